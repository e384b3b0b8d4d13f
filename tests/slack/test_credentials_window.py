"""Show credentials for systems that make their own: a window that is open at once, and filled when
they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

import pytest

from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS, AnyTable, Systems
from bot.connectors.base import ConnectorKind
from bot.connectors.credentials import EACH, CredentialService
from bot.core.errors import SystemUnavailable
from bot.core.model import Grant, ProvisionOrder
from bot.core.observed import AccessInstructions, CredentialAnswer, Prompt
from bot.operations.grants.show_credentials import Credentials
from bot.sandbox.blocks import validate_view
from bot.slack import credentials_window
from bot.slack.ids import Action, Modal
from bot.slack.views import credentials_modal
from tests.builders import ENVIRON, SYSTEMS, policy_text
from tests.factories import ANA, BEN, Made, a_person
from tests.slack.slack_driver import SlackDriver, words
from tests.slack.views_samples import a_grant, a_grant_view
from tests.waiting import until

CUSTOM = '\n[systems.ledger]\nconnector = "custom"\n[systems.vault]\nconnector = "custom"\n'
ROLE = """
title = "Ledger"
systems = ["ledger", "vault"]
actions = ["read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""
KEY = Prompt("Public key", "One line.")


class Asked:
    """Answers of systems, which wait until a test releases them."""

    def __init__(self) -> None:
        self.given: list[Mapping[str, str]] = []
        self.answers: list[dict[str, Future[CredentialAnswer]]] = []
        self.at_once: dict[str, CredentialAnswer] = {}

    def __call__(
        self, orders: Sequence[ProvisionOrder], given: Mapping[str, str]
    ) -> dict[str, Future[CredentialAnswer]]:
        assert [order.system for order in orders] == ["ledger", "vault"]
        self.given.append(given)
        self.answers.append({"ledger": Future(), "vault": Future()})
        self.answer(**self.at_once)
        return self.answers[-1]

    def answer(self, **said: CredentialAnswer) -> None:
        for system, each in said.items():
            self.answers[-1][system].set_result(each)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def ours(driver: SlackDriver, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> SlackDriver:
    monkeypatch.setattr(type(driver.ctx), "ask_systems", property(lambda ctx: asked), raising=False)
    custom = ConnectorKind(make=lambda *_: None, table=AnyTable)  # type: ignore[arg-type, return-value]
    text = policy_text(systems=SYSTEMS + CUSTOM, ledger=ROLE)
    driver.made.policies.append(
        parse_policy(text, "roles.toml", ENVIRON, {**KINDS, "custom": custom})
    )
    return driver


@pytest.fixture
def grant(ours: SlackDriver) -> Grant:
    return ours.made.a_grant("ledger")


def test_what_systems_make_comes_into_the_open_window(
    ours: SlackDriver, asked: Asked, grant: Grant
) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    assert "is being asked" in words(ours.views.last)
    asked.answer(
        ledger=AccessInstructions(
            {"": "postgresql://u:p%40ss@db:5432/orders"}, ("Use it with `psql`.",)
        )
    )
    method, arguments = ours.views.calls[-1]
    assert (method, arguments["view_id"], arguments["hash"]) == ("views.update", "V0OPENED", "h1")
    assert "postgresql://u:p%40ss@db:5432/orders" in words(ours.views.last)
    assert "is being asked" in words(ours.views.last)
    asked.answer(vault="it is asleep")
    assert "p%40ss" in words(ours.views.last) and "it is asleep" in words(ours.views.last)
    assert "is being asked" not in words(ours.views.last)
    assert "p%40ss" not in str(ours.rows("SELECT * FROM audit")) + str(
        ours.rows("SELECT * FROM outbox")
    )
    assert ours.rows("SELECT COUNT(*) FROM tokens") == [(0,)]


def test_nobody_but_the_holder_makes_a_system_do_anything(
    ours: SlackDriver, asked: Asked, grant: Grant
) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id, BEN)
    ours.submit(Modal.CREDENTIALS, {"given ledger": "ssh-ed25519 AAAA"}, BEN, metadata=grant.id)
    assert asked.given == []
    assert {(who, what) for who, what, _ in ours.refusals()} == {(BEN, "show credentials")}


def test_a_system_asks_for_something_first_and_gets_it(
    ours: SlackDriver, asked: Asked, grant: Grant
) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    asked.answer(ledger=KEY)
    assert "Public key" in words(ours.views.last) and ours.views.last["submit"]
    assert ours.views.last["private_metadata"] == grant.id
    asked.at_once = {
        "ledger": AccessInstructions({"certificate": "ssh-ed25519-cert AAAA"}),
        "vault": "it could not be asked",
    }
    reply = ours.submit(
        Modal.CREDENTIALS, {"given ledger": " ssh-ed25519 AAAA \n"}, metadata=grant.id
    )
    assert asked.given[-1] == {"ledger": "ssh-ed25519 AAAA"}
    assert reply["response_action"] == "update"
    assert "ssh-ed25519-cert AAAA" in words(reply["view"]) and "it could not be asked" in words(
        reply["view"]
    )


def test_a_slow_answer_comes_after_the_acknowledgement(
    ours: SlackDriver, asked: Asked, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials_window, "AT_ONCE", 0.01)
    monkeypatch.setattr(credentials_window, "ACKED", 0.0)
    reply = ours.submit(Modal.CREDENTIALS, {"given ledger": "key"}, metadata=grant.id)
    assert "is being asked" in words(reply["view"])
    assert not ours.views.calls
    asked.answer(ledger=AccessInstructions({"": "secret"}))
    until(lambda: ours.views.calls)
    assert ours.views.calls[-1][0] == "views.update" and "secret" in words(ours.views.last)


def test_what_comes_late_does_not_replace_what_the_holder_asked_for_since(
    ours: SlackDriver, asked: Asked, grant: Grant
) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    asked.answer(ledger=KEY)
    ours.views.hash = "by the answer to what was sent"
    asked.answer(vault=AccessInstructions({"": "an older secret"}))
    assert [(method, view.get("hash")) for method, view in ours.views.calls] == [
        ("views.open", None),
        ("views.update", "h1"),
        ("views.update", "h2"),  # refused, and not tried without
    ]
    assert ours.views.hash == "by the answer to what was sent"


def test_a_window_that_slack_did_not_fill_in_time_is_filled_all_the_same(
    ours: SlackDriver, asked: Asked, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials_window, "PAUSE", 0)
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    fails = iter([TimeoutError("no answer"), "ratelimited", None])
    ours.views.before = lambda: setattr(ours.views, "error", next(fails))
    asked.answer(ledger=AccessInstructions({"": "secret"}))
    assert [(method, view.get("hash")) for method, view in ours.views.calls[1:]] == [
        ("views.update", "h1"),
        ("views.update", None),  # whether the first one changed it is not known
        ("views.update", None),
    ]
    assert "secret" in words(ours.views.last)


def test_what_slack_can_not_show_is_said_and_not_waited_for(
    ours: SlackDriver, asked: Asked, grant: Grant, caplog: pytest.LogCaptureFixture
) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    fails = iter(["view_too_large", None])
    ours.views.before = lambda: setattr(ours.views, "error", next(fails))
    asked.answer(ledger=AccessInstructions({"": "a very long secret"}))
    assert "rejected what the systems returned" in words(ours.views.last)
    asked.answer(vault=AccessInstructions({"": "another"}))
    assert len(ours.views.calls) == 3
    assert "view_too_large" in caplog.text and "secret" not in caplog.text


def test_a_window_that_was_closed_is_not_filled(
    ours: SlackDriver, asked: Asked, grant: Grant
) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    ours.views.error = "not_found"
    asked.answer(ledger=AccessInstructions({"": "secret"}))
    asked.answer(vault=AccessInstructions({"": "secret"}))
    assert [method for method, _ in ours.views.calls] == ["views.open", "views.update"]


def test_who_pressed_again_is_sent_to_the_newer_window(
    ours: SlackDriver, asked: Asked, grant: Grant
) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    asked.answers[-1]["ledger"].cancel()
    assert "the newer window has the valid credentials" in words(ours.views.last)


def test_everything_that_a_role_can_have_fits_into_the_window() -> None:
    """Twenty systems with ten secrets each, and all of them asking for something."""
    orders = tuple(
        ProvisionOrder("g1", f"s{n}", "custom", a_person(ANA), "ledger", ("read",), 0, 10)
        for n in range(20)
    )
    shown = Credentials(a_grant(), "j", "token", True, gates=("shop",), orders=orders)
    full: dict[str, CredentialAnswer] = {
        o.system: AccessInstructions({str(n): "x" * 1000 for n in range(10)}, ("How.",))
        for o in orders
    }
    for ways in (full, {order.system: KEY for order in orders}):
        view = credentials_modal.render(shown, a_grant_view(), ways)
        assert validate_view(view) == [] and len(view["blocks"]) < 50


def test_access_that_is_over_makes_no_system_do_anything(
    ours: SlackDriver, asked: Asked, grant: Grant
) -> None:
    ours.made.clock.at = grant.ends_at
    reply = ours.submit(Modal.CREDENTIALS, {"given ledger": "key"}, metadata=grant.id)
    assert "Not possible" in words(reply["view"]) and asked.given == []


# --- asking


class Vault:
    """A system whose credentials are one word, or a failure."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = 0

    def grant(self, order: ProvisionOrder) -> None: ...

    def revoke(self, order: ProvisionOrder) -> None: ...

    def read_back(self, order: ProvisionOrder) -> bool:
        return True

    def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions:
        self.asked += 1
        if self.error:
            raise self.error
        return AccessInstructions({"": f"open {given}".strip()})


class All(Systems):
    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    def of(self, name: str, kind: str) -> Vault:
        return self.vault


@pytest.fixture
def order(made: Made) -> ProvisionOrder:
    return ProvisionOrder("g1", "vault", "custom", a_person(ANA), "ledger", ("read",), 0, 10)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemUnavailable("it sleeps"), "can't be reached now (it sleeps)"),
        (KeyError("secret"), "gave no credentials"),
    ],
)
def test_a_system_that_fails_is_said_to_and_keeps_nothing_from_the_others(
    order: ProvisionOrder, error: Exception, said: str
) -> None:
    vault = Vault()
    vault.error = error
    asked = CredentialService(All(vault)).ask([order, replace(order, system="other")], {})
    ways = [each.result(10) for each in asked.values()]
    assert said in str(ways[0]) and "secret" not in str(ways)
    vault.error = None
    assert CredentialService(All(vault)).ask([order], {"vault": "sesame"})["vault"].result(
        10
    ) == AccessInstructions({"": "open sesame"})


def test_one_that_hangs_is_asked_a_few_times_and_no_more(order: ProvisionOrder) -> None:
    vault, going, begun = Vault(), Future[None](), list[str]()
    quick, vault.credentials = (
        vault.credentials,
        lambda order, given: begun.append(given) or going.result() or AccessInstructions({}),
    )  # type: ignore[method-assign,assignment,func-returns-value]
    ways = CredentialService(All(vault))
    hanging = [ways.ask([replace(order, grant=f"g{n}")], {})["vault"] for n in range(EACH)]
    until(lambda: len(begun) == EACH)
    assert "others are waiting" in str(
        ways.ask([replace(order, grant="another")], {})["vault"].result(10)
    )
    assert quick(order, "") == AccessInstructions({"": "open"})
    going.set_result(None)
    assert [each.result(10) for each in hanging] == [AccessInstructions({})] * EACH


def test_one_that_hangs_keeps_no_other_system_of_the_grant_waiting(order: ProvisionOrder) -> None:
    going = Future[None]()

    class Hangs(Vault):
        def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions:
            return (
                going.result(10) or AccessInstructions({})
                if order.system == "vault"
                else super().credentials(order, given)
            )

    asked = CredentialService(All(Hangs())).ask([order, replace(order, system="other")], {})
    assert asked["other"].result(10) == AccessInstructions({"": "open"})
    assert not asked["vault"].done()
    going.set_result(None)
    assert asked["vault"].result(10) == AccessInstructions({})


def test_of_five_quick_presses_two_passwords_are_made_and_the_last_window_has_the_one_that_works(
    order: ProvisionOrder,
) -> None:
    going, made = Future[None](), []

    class Remakes(Vault):
        def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions:
            if not made:
                made.append("first")
                going.result(10)
            else:
                made.append(given)
            return AccessInstructions({"": made[-1]})

    ways = CredentialService(All(Remakes()))
    presses = [ways.ask([order], {"vault": "first"})["vault"]]
    until(lambda: made)
    presses += [ways.ask([order], {"vault": f"press {n}"})["vault"] for n in range(2, 6)]
    going.set_result(None)
    assert presses[-1].result(10) == AccessInstructions({"": "press 5"})
    assert made == ["first", "press 5"]
    until(lambda: [press.cancelled() for press in presses] == [True, True, True, True, False])
    assert ways.ask([order], {"vault": "later"})["vault"].result(10) == AccessInstructions(
        {"": "later"}
    )
