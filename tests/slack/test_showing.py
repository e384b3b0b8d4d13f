"""Show credentials for systems that make their own: a window that is open at once, and filled when they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

import pytest

from bot.connectors import KINDS, AnyTable, Systems
from bot.connectors.base import ConnectorKind
from bot.core.errors import SystemUnavailable
from bot.core.model import Grant, Order
from bot.core.policy import parse_policy
from bot.core.reality import Answer, Question, Way
from bot.operations.show_credentials import Credentials
from bot.sandbox.blocks import validate_view
from bot.slack import showing
from bot.slack.ids import Action, Modal
from bot.slack.views import credentials_modal
from bot.ways import EACH, Ways
from tests.builders import ENVIRON, SYSTEMS, policy_text
from tests.fakes import until
from tests.slack.front import Front, words
from tests.slack.views_samples import a_grant, a_grant_view
from tests.worlds import ANA, BEN, Made, a_person

CUSTOM = '\n[systems.ledger]\nconnector = "custom"\n[systems.vault]\nconnector = "custom"\n'
ROLE = """
title = "Ledger"
systems = ["ledger", "vault"]
actions = ["read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""
KEY = Question("Public key", "One line.")


class Asked:
    """What systems answer, when a test lets them."""

    def __init__(self) -> None:
        self.given: list[Mapping[str, str]] = []
        self.answers: list[dict[str, Future[Answer]]] = []
        self.at_once: dict[str, Answer] = {}

    def __call__(self, orders: Sequence[Order], given: Mapping[str, str]) -> dict[str, Future[Answer]]:
        assert [order.system for order in orders] == ["ledger", "vault"]
        self.given.append(given)
        self.answers.append({"ledger": Future(), "vault": Future()})
        self.answer(**self.at_once)
        return self.answers[-1]

    def answer(self, **said: Answer) -> None:
        for system, each in said.items():
            self.answers[-1][system].set_result(each)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def ours(front: Front, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Front:
    monkeypatch.setattr(type(front.desk), "ask_systems", property(lambda desk: asked), raising=False)
    custom = ConnectorKind(make=lambda *_: None, table=AnyTable)  # type: ignore[arg-type, return-value]
    text = policy_text(systems=SYSTEMS + CUSTOM, ledger=ROLE)
    front.made.policies.append(parse_policy(text, "roles.toml", ENVIRON, {**KINDS, "custom": custom}))
    return front


@pytest.fixture
def grant(ours: Front) -> Grant:
    return ours.made.a_grant("ledger")


def test_what_systems_make_comes_into_the_open_window(ours: Front, asked: Asked, grant: Grant) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    assert "is being asked" in words(ours.views.last)
    asked.answer(ledger=Way({"": "postgresql://u:p%40ss@db:5432/orders"}, ("Use it with `psql`.",)))
    method, arguments = ours.views.calls[-1]
    assert (method, arguments["view_id"], arguments["hash"]) == ("views.update", "V0OPENED", "h1")
    assert "postgresql://u:p%40ss@db:5432/orders" in words(ours.views.last)
    assert "is being asked" in words(ours.views.last)
    asked.answer(vault="it is asleep")
    assert "p%40ss" in words(ours.views.last) and "it is asleep" in words(ours.views.last)
    assert "is being asked" not in words(ours.views.last)
    assert "p%40ss" not in str(ours.rows("SELECT * FROM audit")) + str(ours.rows("SELECT * FROM outbox"))
    assert ours.rows("SELECT COUNT(*) FROM tokens") == [(0,)]


def test_nobody_but_the_holder_makes_a_system_do_anything(ours: Front, asked: Asked, grant: Grant) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id, BEN)
    ours.submit(Modal.CREDENTIALS, {"given ledger": "ssh-ed25519 AAAA"}, BEN, metadata=grant.id)
    assert asked.given == []
    assert {(who, what) for who, what, _ in ours.refusals()} == {(BEN, "show credentials")}


def test_a_system_asks_for_something_first_and_gets_it(ours: Front, asked: Asked, grant: Grant) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    asked.answer(ledger=KEY)
    assert "Public key" in words(ours.views.last) and ours.views.last["submit"]
    assert ours.views.last["private_metadata"] == grant.id
    asked.at_once = {"ledger": Way({"certificate": "ssh-ed25519-cert AAAA"}), "vault": "it could not be asked"}
    reply = ours.submit(Modal.CREDENTIALS, {"given ledger": " ssh-ed25519 AAAA \n"}, metadata=grant.id)
    assert asked.given[-1] == {"ledger": "ssh-ed25519 AAAA"}
    assert reply["response_action"] == "update"
    assert "ssh-ed25519-cert AAAA" in words(reply["view"]) and "it could not be asked" in words(reply["view"])


def test_a_slow_answer_comes_after_the_acknowledgement(
    ours: Front, asked: Asked, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showing, "AT_ONCE", 0.01)
    monkeypatch.setattr(showing, "ACKED", 0.0)
    reply = ours.submit(Modal.CREDENTIALS, {"given ledger": "key"}, metadata=grant.id)
    assert "is being asked" in words(reply["view"])
    assert not ours.views.calls
    asked.answer(ledger=Way({"": "secret"}))
    until(lambda: ours.views.calls)
    assert ours.views.calls[-1][0] == "views.update" and "secret" in words(ours.views.last)


def test_what_comes_late_does_not_replace_what_the_holder_asked_for_since(
    ours: Front, asked: Asked, grant: Grant
) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    asked.answer(ledger=KEY)
    ours.views.hash = "by the answer to what was sent"
    asked.answer(vault=Way({"": "an older secret"}))
    assert [(method, view.get("hash")) for method, view in ours.views.calls] == [
        ("views.open", None),
        ("views.update", "h1"),
        ("views.update", "h2"),  # refused, and not tried without
    ]
    assert ours.views.hash == "by the answer to what was sent"


def test_a_window_that_slack_did_not_fill_in_time_is_filled_all_the_same(
    ours: Front, asked: Asked, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showing, "PAUSE", 0)
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    fails = iter([TimeoutError("no answer"), "ratelimited", None])
    ours.views.before = lambda: setattr(ours.views, "error", next(fails))
    asked.answer(ledger=Way({"": "secret"}))
    assert [(method, view.get("hash")) for method, view in ours.views.calls[1:]] == [
        ("views.update", "h1"),
        ("views.update", None),  # whether the first one changed it is not known
        ("views.update", None),
    ]
    assert "secret" in words(ours.views.last)


def test_what_slack_can_not_show_is_said_and_not_waited_for(
    ours: Front, asked: Asked, grant: Grant, caplog: pytest.LogCaptureFixture
) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    fails = iter(["view_too_large", None])
    ours.views.before = lambda: setattr(ours.views, "error", next(fails))
    asked.answer(ledger=Way({"": "a very long secret"}))
    assert "rejected what the systems returned" in words(ours.views.last)
    asked.answer(vault=Way({"": "another"}))
    assert len(ours.views.calls) == 3
    assert "view_too_large" in caplog.text and "secret" not in caplog.text


def test_a_window_that_was_closed_is_not_filled(ours: Front, asked: Asked, grant: Grant) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    ours.views.error = "not_found"
    asked.answer(ledger=Way({"": "secret"}))
    asked.answer(vault=Way({"": "secret"}))
    assert [method for method, _ in ours.views.calls] == ["views.open", "views.update"]


def test_who_pressed_again_is_sent_to_the_newer_window(ours: Front, asked: Asked, grant: Grant) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    asked.answers[-1]["ledger"].cancel()
    assert "the newer window has the valid credentials" in words(ours.views.last)


def test_everything_that_a_role_can_have_fits_into_the_window() -> None:
    """Twenty systems with ten secrets each, and all of them asking for something."""
    orders = tuple(Order("g1", f"s{n}", "custom", a_person(ANA), "ledger", ("read",), 0, 10) for n in range(20))
    shown = Credentials(a_grant(), "j", "token", True, gates=("shop",), orders=orders)
    full: dict[str, Answer] = {o.system: Way({str(n): "x" * 1000 for n in range(10)}, ("How.",)) for o in orders}
    for ways in (full, {order.system: KEY for order in orders}):
        view = credentials_modal.render(shown, a_grant_view(), ways)
        assert validate_view(view) == [] and len(view["blocks"]) < 50


def test_access_that_is_over_makes_no_system_do_anything(ours: Front, asked: Asked, grant: Grant) -> None:
    ours.made.clock.at = grant.ends_at
    reply = ours.submit(Modal.CREDENTIALS, {"given ledger": "key"}, metadata=grant.id)
    assert "Not possible" in words(reply["view"]) and asked.given == []


# --- asking


class Vault:
    """A system whose credentials are one word, or a failure."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = 0

    def grant(self, order: Order) -> None: ...

    def revoke(self, order: Order) -> None: ...

    def read_back(self, order: Order) -> bool:
        return True

    def credentials(self, order: Order, given: str) -> Way:
        self.asked += 1
        if self.error:
            raise self.error
        return Way({"": f"open {given}".strip()})


class All(Systems):
    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    def of(self, name: str, kind: str) -> Vault:
        return self.vault


@pytest.fixture
def order(made: Made) -> Order:
    return Order("g1", "vault", "custom", a_person(ANA), "ledger", ("read",), 0, 10)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemUnavailable("it sleeps"), "could not be asked now (it sleeps)"),
        (KeyError("secret"), "gave no credentials"),
    ],
)
def test_a_system_that_fails_is_said_to_and_keeps_nothing_from_the_others(
    order: Order, error: Exception, said: str
) -> None:
    vault = Vault()
    vault.error = error
    asked = Ways(All(vault)).ask([order, replace(order, system="other")], {})
    ways = [each.result(10) for each in asked.values()]
    assert said in str(ways[0]) and "secret" not in str(ways)
    vault.error = None
    assert Ways(All(vault)).ask([order], {"vault": "sesame"})["vault"].result(10) == Way({"": "open sesame"})


def test_one_that_hangs_is_asked_a_few_times_and_no_more(order: Order) -> None:
    vault, going = Vault(), Future[None]()
    quick, vault.credentials = vault.credentials, lambda order, given: going.result() or Way({})  # type: ignore[method-assign,assignment]
    ways = Ways(All(vault))
    hanging = [ways.ask([replace(order, grant=f"g{n}")], {})["vault"] for n in range(EACH)]
    until(lambda: ways._asked["vault"] == EACH)
    assert "others are waiting" in str(ways.ask([replace(order, grant="another")], {})["vault"].result(10))
    assert quick(order, "") == Way({"": "open"})
    going.set_result(None)
    assert [each.result(10) for each in hanging] == [Way({})] * EACH


def test_one_that_hangs_keeps_no_other_system_of_the_grant_waiting(order: Order) -> None:
    going = Future[None]()

    class Hangs(Vault):
        def credentials(self, order: Order, given: str) -> Way:
            return going.result(10) or Way({}) if order.system == "vault" else super().credentials(order, given)

    asked = Ways(All(Hangs())).ask([order, replace(order, system="other")], {})
    assert asked["other"].result(10) == Way({"": "open"})
    assert not asked["vault"].done()
    going.set_result(None)
    assert asked["vault"].result(10) == Way({})


def test_of_five_quick_presses_two_passwords_are_made_and_the_last_window_has_the_one_that_works(order: Order) -> None:
    going, made = Future[None](), []

    class Remakes(Vault):
        def credentials(self, order: Order, given: str) -> Way:
            if not made:
                made.append("first")
                going.result(10)
            else:
                made.append(given)
            return Way({"": made[-1]})

    ways = Ways(All(Remakes()))
    presses = [ways.ask([order], {"vault": "first"})["vault"]]
    until(lambda: made)
    presses += [ways.ask([order], {"vault": f"press {n}"})["vault"] for n in range(2, 6)]
    going.set_result(None)
    assert presses[-1].result(10) == Way({"": "press 5"})
    assert made == ["first", "press 5"]
    until(lambda: [press.cancelled() for press in presses] == [True, True, True, True, False])
    assert ways.ask([order], {"vault": "later"})["vault"].result(10) == Way({"": "later"})
