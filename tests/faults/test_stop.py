"""The bot is asked to stop: it finishes its current work, loses nothing, and stops in time, with
exit code 0."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGTERM

from tests.connectors import folder
from tests.faults.processes import ROLES, a_seed, assert_sound, finish, ready_at, under_load
from tests.faults.running_bot import ROLES as LIVE_ROLES
from tests.faults.running_bot import ROOT, Bot, Company
from tests.waiting import until

IN_TIME = 15


def ended_in_time(bot: Bot, number: signal.Signals, again: bool = False) -> int:
    """Sends the signal and returns the exit code."""
    began = time.monotonic()
    bot.process.send_signal(number)
    if again:
        bot.process.send_signal(number)
    code = bot.process.wait(60)
    assert time.monotonic() - began < IN_TIME, bot.output[-3000:]
    return int(code)


def stopped_under_load(company: Company, number: signal.Signals) -> None:
    company.roles.write_text(ROLES)
    company.start()
    with under_load(company, a_seed()) as load:
        until(lambda: len(company.rows("SELECT id FROM grants")) > 5)
        assert ended_in_time(company.bot, number) == 0
        assert (
            company.rows(
                "SELECT id FROM outbox WHERE claimed_by IS NOT NULL OR outcome_unknown > 0"
            )
            == []
        )
        ready_at(company.launch())
        finish(company, load)
    assert_sound(company)


def test_sigterm_under_load_loses_nothing_and_repeats_no_message(
    database_url: str, make_company: Callable[..., Company]
) -> None:
    stopped_under_load(make_company(environment={"DATABASE_URL": database_url}), SIGTERM)


def test_sigint_does_the_same(make_company: Callable[..., Company]) -> None:
    stopped_under_load(make_company(), SIGINT)


def test_a_slack_that_hangs_does_not_delay_a_stop(own_company: Company) -> None:
    company = own_company
    who = company.newcomer()
    assert company.access(who, "list").ok
    company.sandbox.faults.hang("*")
    assert company.access(who, "request shop-admin 1h while Slack hangs").ok
    until(lambda: company.sandbox.inspector.hanging())
    assert ended_in_time(company.bot, SIGTERM) == 0
    company.sandbox.faults.clear()
    company.start()
    request, state = company.request(who, "shop-admin")
    assert state == "pending"
    assert "while Slack hangs" in company.card_text(request)


def test_a_system_that_hangs_does_not_delay_a_stop_and_its_end_is_done_later(
    make_company: Callable[..., Company], tmp_path: Path
) -> None:
    files, packages = tmp_path / "files", tmp_path / "packages"
    files.mkdir()
    packages.mkdir()
    folder.install(packages)
    company = make_company(environment={"PYTHONPATH": f"{ROOT}:{packages}"})
    company.roles.write_text(LIVE_ROLES + folder.settings("files", files))
    company.start()
    who = company.newcomer()
    grant = company.hold(who, "files")
    (files / ".hang").touch()
    assert company.access(who, "done").ok
    until(
        lambda: company.rows(
            "SELECT id FROM outbox WHERE kind = 'end_lease' AND claimed_by IS NOT NULL"
        )
    )
    assert ended_in_time(company.bot, SIGTERM) == 0
    assert (files / f"access-{grant}").exists()
    (files / ".hang").unlink()
    company.start()
    until(lambda: company.grant(who, "files")[1] == "ended")
    assert not (files / f"access-{grant}").exists()


def test_a_signal_while_it_starts_is_never_lost(make_company: Callable[..., Company]) -> None:
    """Before any of our code runs, the signal simply ends the process."""
    company = make_company()
    codes = []
    for part in range(7):
        began, bot = time.monotonic(), company.launch()
        until(lambda: time.monotonic() > began + part * 0.3)  # noqa: B023
        codes.append(ended_in_time(bot, SIGTERM))
    assert set(codes) <= {-SIGTERM, 0}, codes
    bot = company.launch()
    ready_at(bot)
    assert ended_in_time(bot, SIGTERM) == 0


def test_a_second_signal_interrupts_nothing(own_company: Company) -> None:
    company = own_company
    who = company.newcomer()
    assert company.access(who, "request shop-admin 1h now stop twice").ok
    assert ended_in_time(company.bot, SIGTERM, again=True) == 0
    company.start()
    company.quiet()
    request, _ = company.request(who, "shop-admin")
    posted = [
        m for m in company.sandbox.inspector.messages("#access-approvals") if request in str(m)
    ]
    assert len(posted) == 1
