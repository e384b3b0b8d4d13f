"""A roles.toml is compared without the variables of the bot."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config.roles.parse import parse_policy
from bot.config.roles.without_secrets import policy_without_secrets
from bot.connectors import KINDS
from bot.core.errors import ConfigError
from bot.core.policy_changes import changes, summary
from bot.core.roles import Policy
from tests.builders import ENVIRON, policy_text

RULES = """
[[roles.shop-admin.auto_approve]]
name = "on call"
on_call = "backend"
[[roles.shop-admin.auto_approve]]
name = "ticket"
ticket = true
[oncall.backend]
ical = "https://${CALENDAR_HOST}/${CALENDAR_TOKEN}.ics"
[tickets]
kind = "github"
url = "${TICKETS}"
"""
SHOP = 'ticket = "^OPS-[0-9]+$"' + RULES


def read(path: Path, text: str, environ: dict[str, str] | None = None) -> Policy:
    (path / "new.toml").write_text(text)
    return policy_without_secrets(str(path / "new.toml"), environ or {}, KINDS)


def test_unset_variables_do_not_stop_it(tmp_path: Path) -> None:
    found = read(tmp_path, policy_text(shop_admin=SHOP))
    whole = parse_policy(
        policy_text(shop_admin=SHOP),
        "roles.toml",
        {
            **ENVIRON,
            "CALENDAR_HOST": "a.example",
            "CALENDAR_TOKEN": "t",
            "TICKETS": "https://github.com/o",
        },
        KINDS,
    )
    assert set(found.systems) == set(whole.systems) and set(found.on_call) == {"backend"}
    assert found.tickets is not None
    rules = [role.auto_approve for role in found.roles.values()]
    assert rules == [role.auto_approve for role in whole.roles.values()]


STREAMS = """
[[stream]]
kind = "syslog"
address = "${SIEM_HOST}:6514"
[[stream]]
kind = "webhook"
url = "${SIEM_URL}"
secret = "${SIEM_SECRET}"
"""


def test_unset_variables_of_streams_do_not_stop_it(tmp_path: Path) -> None:
    found = read(tmp_path, policy_text() + STREAMS)
    assert sorted((each.kind, each.name) for each in found.streams) == [
        ("syslog", "syslog"),
        ("webhook", "webhook"),
    ]
    assert not changes(
        summary(found), summary(read(tmp_path, policy_text() + STREAMS + "\n# more"))
    )


def test_two_files_with_the_same_variables_do_not_differ(tmp_path: Path) -> None:
    text = policy_text(shop_admin=SHOP)
    assert not changes(summary(read(tmp_path, text)), summary(read(tmp_path, text + "\n# more")))


CHANGES = {
    "another calendar": ("${CALENDAR_TOKEN}", "${OTHER_TOKEN}"),
    "another ticket system": ("${TICKETS}", "${OTHER}"),
}


@pytest.mark.parametrize(("old", "new"), CHANGES.values(), ids=CHANGES)
def test_another_variable_is_a_change(tmp_path: Path, old: str, new: str) -> None:
    text = policy_text(shop_admin=SHOP)
    found = changes(summary(read(tmp_path, text)), summary(read(tmp_path, text.replace(old, new))))
    assert found


WRONG = {
    "in a role": ('max_duration = "soon"', "roles.shop-admin.max_duration"),
    "a system that is not there": ('system = "shop"', "there is no system"),
    "a variable in a role": ('title = "${NAME}"', "is read only below"),
}


@pytest.mark.parametrize(("lines", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_roles_is_told(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, policy_text(shop_admin=lines))
    assert said in str(refused.value)


def test_a_table_with_all_its_variables_is_checked(tmp_path: Path) -> None:
    text = policy_text().replace('"${REPORTS_SECRET}"', "7")
    with pytest.raises(ConfigError, match=r"systems\.reports\.secret"):
        read(tmp_path, text)


def test_a_secret_of_the_bot_is_refused(tmp_path: Path) -> None:
    text = policy_text().replace("REPORTS_SECRET", "SLACK_BOT_TOKEN")
    with pytest.raises(ConfigError, match="own secret"):
        read(tmp_path, text)
