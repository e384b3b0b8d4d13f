"""Show credentials for systems that make their own: a window that is open at once, and filled when they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

import pytest

from bot.connectors import Systems
from bot.core.errors import SystemUnavailable
from bot.core.model import Grant, Order
from bot.core.policy import parse_policy
from bot.core.reality import Question, Way
from bot.slack import showing
from bot.slack.ids import Action, Modal
from bot.ways import EACH, Ways
from tests.builders import ENVIRON, SYSTEMS, policy_text
from tests.fakes import until
from tests.slack.front import Front, words
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
        self.answers: list[Future[dict[str, Way | Question | str]]] = []
        self.at_once: dict[str, Way | Question | str] | None = None

    def __call__(self, orders: Sequence[Order], given: Mapping[str, str]) -> Future[dict[str, Way | Question | str]]:
        assert [order.system for order in orders] == ["ledger", "vault"]
        self.given.append(given)
        self.answers.append(Future())
        if self.at_once is not None:
            self.answers[-1].set_result(self.at_once)
        return self.answers[-1]

    def answer(self, ledger: Way | Question | str, vault: Way | Question | str = "nothing") -> None:
        self.answers[-1].set_result({"ledger": ledger, "vault": vault})


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def ours(front: Front, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Front:
    monkeypatch.setattr(type(front.desk), "ask_systems", property(lambda desk: asked), raising=False)
    text = policy_text(systems=SYSTEMS + CUSTOM, ledger=ROLE)
    front.made.policies.append(parse_policy(text, "roles.toml", ENVIRON, ("custom",)))
    return front


@pytest.fixture
def grant(ours: Front) -> Grant:
    return ours.made.a_grant("ledger")


def test_what_systems_make_comes_into_the_open_window(ours: Front, asked: Asked, grant: Grant) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    assert "is being asked" in words(ours.views.last)
    asked.answer(Way({"": "postgresql://u:p%40ss@db:5432/orders"}, ("Use it with `psql`.",)))
    method, arguments = ours.views.calls[-1]
    assert (method, arguments["view_id"], "hash" in arguments) == ("views.update", "V0OPENED", False)
    assert "postgresql://u:p%40ss@db:5432/orders" in words(ours.views.last)
    assert "is being asked" not in words(ours.views.last)
    assert "p%40ss" not in str(ours.rows("SELECT * FROM audit")) + str(ours.rows("SELECT * FROM outbox"))
    assert ours.rows("SELECT COUNT(*) FROM tokens") == [(0,)]


def test_nobody_but_the_holder_makes_a_system_do_anything(ours: Front, asked: Asked, grant: Grant) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id, BEN)
    ours.submit(Modal.CREDENTIALS, {"given ledger": "ssh-ed25519 AAAA"}, BEN, metadata=grant.id)
    assert asked.given == []
    assert len(ours.refusals()) == 2


def test_a_system_asks_for_something_first_and_gets_it(ours: Front, asked: Asked, grant: Grant) -> None:
    ours.press(Action.SHOW_CREDENTIALS, grant.id)
    asked.answer(KEY)
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
    asked.answer(Way({"": "secret"}))
    assert ours.views.calls[-1][0] == "views.update" and "secret" in words(ours.views.last)


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
    ways = Ways(All(vault)).ask([order, replace(order, system="other")], {}).result(10)
    assert said in str(ways["vault"]) and "secret" not in str(ways)
    vault.error = None
    assert Ways(All(vault)).ask([order], {"vault": "sesame"}).result(10) == {"vault": Way({"": "open sesame"})}


def test_one_that_hangs_is_asked_a_few_times_and_no_more(order: Order) -> None:
    vault, going = Vault(), Future[None]()
    quick, vault.credentials = vault.credentials, lambda order, given: going.result() or Way({})  # type: ignore[method-assign,assignment]
    ways = Ways(All(vault))
    hanging = [ways.ask([order], {}) for _ in range(EACH)]
    until(lambda: ways._asked["vault"] == EACH)
    assert "others are waiting" in str(ways.ask([order], {}).result(10))
    assert quick(order, "") == Way({"": "open"})
    going.set_result(None)
    assert [each.result(10) for each in hanging] == [{"vault": Way({})}] * EACH
