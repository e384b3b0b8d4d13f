"""`[flags]` of roles.toml: rules that are off, trusted networks, and what is wrong there."""

from __future__ import annotations

import pytest

from bot.core.errors import ConfigError
from bot.core.policy_changes import changes, summary
from tests.builders import SYSTEMS, a_policy

GOOD = """[flags]
trusted_networks = ["10.0.0.0/8", "2001:db8::/32"]
off = { dormant = "most of us ask once a quarter" }
"""


def test_the_table_is_read() -> None:
    flags = a_policy(systems=SYSTEMS + GOOD).flags
    assert flags.off == {"dormant": "most of us ask once a quarter"}
    assert flags.trusts("10.1.2.0/24") and flags.trusts("2001:db8:1::/48")
    assert not flags.trusts("11.1.2.0/24") and not flags.trusts("2001:db9:1::/48")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('off = { dorment = "x" }', 'is not a flag rule; did you mean "dormant"?'),
        ('off = { dormant = "" }', "flags.off.dormant"),
        ('trusted_networks = ["10.0.0.1/8"]', "must be a network such as 10.0.0.0/8"),
        ('trusted_networks = ["home"]', "must be a network such as 10.0.0.0/8"),
        ('trusted = ["10.0.0.0/8"]', "unknown key"),
    ],
)
def test_what_is_wrong_is_named(lines: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        a_policy(systems=f"{SYSTEMS}[flags]\n{lines}\n")
    assert says in str(refused.value)


def test_a_rule_that_is_switched_off_loosens_the_file() -> None:
    found = changes(summary(a_policy()), summary(a_policy(systems=SYSTEMS + GOOD)))
    assert [(each.loosens, each.where) for each in found] == [
        (True, "flags.off"),
        (True, "flags.trusted_networks"),
    ]
