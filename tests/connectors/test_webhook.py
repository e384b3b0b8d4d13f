"""The webhook connector, against the receiver of its page, and against receivers that hang, lie and
break."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from bot.connectors.base import Connector
from bot.connectors.transport.document import document, key_of, nobody
from bot.connectors.transport.http import call
from bot.connectors.webhook import Webhook, signature
from bot.core.effects import Queue
from bot.core.errors import OutcomeUnknown, SystemUnavailable
from bot.core.model import GrantState, ProvisionOrder
from bot.worker.dispatcher import Dispatcher
from bot.worker.provisioning import START_PATIENCE
from tests.connectors.contract import Contract, Rig
from tests.connectors.hooks import A_GRANT, GOOD, NOW, hook
from tests.connectors.raw_server import answering, raw_server, read_request, saying
from tests.connectors.receiver import (
    CLAIMED,
    FAULTS,
    LATE,
    LOST,
    MOVED,
    SECRET,
    Between,
    Receiver,
    running_receiver,
)
from tests.factories import CARA, Made, a_person


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with running_receiver(tmp_path_factory.mktemp("receiver")) as found:
        yield found


class InFront(Between):
    url: str


@pytest.fixture(scope="module")
def between(receiver: Receiver) -> Iterator[InFront]:
    found = InFront(receiver)
    with raw_server(found.serve) as server:
        found.url = server.url
        yield found


@pytest.fixture
def rig(receiver: Receiver, between: InFront) -> Rig:
    codes: dict[str, str] = {}

    def works(it: Connector, order: ProvisionOrder) -> bool:
        """Asks to see the code, and tries the newest one that was ever shown."""
        assert isinstance(it, Webhook)
        with suppress(SystemUnavailable):
            codes[order.grant] = dict(it.credentials(order, "").secrets)["Door code"]  # type: ignore[union-attr]
        return order.grant in codes and receiver.lets_in(codes[order.grant])

    @contextmanager
    def down() -> Iterator[None]:
        receiver.kill()
        try:
            yield
        finally:
            receiver.start()

    settings = (
        f'connector = "webhook"\nurl = "{between.url}"\nsecret = "{SECRET}"\ntimeout ='
        ' "5s"\nprivate = true'
    )
    return Rig(settings, ["stock:count"], works, down, lambda step: between.breaking(LOST, step))


class TestWebhook(Contract):
    @pytest.fixture
    def rig(self, rig: Rig) -> Rig:
        return rig

    @pytest.mark.parametrize("fault", FAULTS)
    def test_whatever_becomes_of_a_call_it_can_be_made_again_and_taken_back(
        self,
        it: Webhook,
        rig: Rig,
        order: Callable[..., ProvisionOrder],
        between: InFront,
        fault: str,
    ) -> None:
        asked = order()
        with between.breaking(fault):
            for call in (it.grant, it.extend, it.read_back, it.revoke):
                with pytest.raises(SystemUnavailable):
                    call(asked)
        it.revoke(asked)
        assert not it.read_back(asked) and not rig.works(it, asked)
        other = order(CARA)
        with between.breaking(fault), pytest.raises(SystemUnavailable):
            it.grant(other)
        it.grant(other)
        assert it.read_back(other) and rig.works(it, other)

    def test_two_grants_of_one_person_don_t_cut_each_other(
        self, it: Webhook, rig: Rig, made: Made
    ) -> None:
        now = made.world.now()
        first = ProvisionOrder("a" * 8, "it", "webhook", a_person(), "it", (), now, now + 600)
        second = replace(first, grant="b" * 8, ends_at=now + 1200)
        it.grant(first)
        it.grant(second)
        it.revoke(first)
        assert not rig.works(it, first)
        assert it.read_back(second) and rig.works(it, second)

    def test_a_receiver_that_says_active_and_does_nothing_is_not_believed(
        self, it: Webhook, made: Made, delivery: Dispatcher, between: InFront
    ) -> None:
        grant = made.a_started(made.a_request("it"))
        with between.breaking(CLAIMED):
            delivery.drain(Queue.START)
            assert made.grant(grant.id).state is GrantState.STARTING
            made.clock.at += START_PATIENCE + 1
            delivery.drain(Queue.START)
        assert made.grant(grant.id).state is not GrantState.ACTIVE
        delivery.drain(Queue.END)
        assert made.grant(grant.id).state is GrantState.FAILED
        assert made.events("grant:access:failed") == 1

    def test_a_start_that_is_answered_after_the_time_is_one_access_with_one_key(
        self, rig: Rig, between: InFront, receiver: Receiver
    ) -> None:
        it, asked = (
            hook(between.url),
            replace(A_GRANT, grant="late", ends_at=int(time.time()) + 600),
        )
        between.seen.clear()
        with between.breaking(LATE), pytest.raises(OutcomeUnknown):
            hook(between.url, timeout=1).grant(asked)
        assert it.read_back(asked)  # it did it
        it.grant(asked)
        keys = {
            json.loads(each.partition(b"\r\n\r\n")[2])["key"]
            for each in between.seen
            if b'"grant", "k' in each
        }
        assert keys == {"late:warehouse:grant"}
        it.revoke(asked)
        assert not rig.works(it, asked)

    def test_a_redirect_to_a_private_host_is_not_followed(self, between: InFront) -> None:
        with raw_server(answering("200 OK", GOOD)) as inside:
            between.elsewhere = inside.url
            with between.breaking(MOVED), pytest.raises(SystemUnavailable, match="a redirect"):
                hook(between.url).grant(A_GRANT)
            assert inside.taken == 0

    def test_the_check_of_the_page_s_receiver_finds_nothing(self, it: Webhook) -> None:
        assert list(it.check({"it": ["stock:count"]})) == []


# --- the sent request


def sent(do: str, order: ProvisionOrder = A_GRANT) -> tuple[dict[str, str], bytes]:
    """Headers and body of the call that this makes."""
    seen: list[bytes] = []
    answer = {"revoke": b'{"state": "ended"}'}.get(do, GOOD)

    def serve(line: Any, over: Any) -> None:
        seen.append(read_request(line))
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))

    with raw_server(serve) as server:
        getattr(hook(server.url), do)(order)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook HTTP/1.1\r\n")
    return {
        n: v for n, _, v in (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    }, body


@pytest.mark.parametrize("do", ["grant", "extend", "revoke", "read_back"])
def test_the_document_says_everything_there_is_to_know(do: str) -> None:
    headers, body = sent(do)
    said = json.loads(body)
    key = said.pop("key")
    assert said == {
        "do": do,
        "grant": "g1",
        "person": {"id": "U0ANA", "name": "U0Ana", "email": "u0ana@example.com"},
        "role": "count",
        "system": "warehouse",
        "actions": ["stock:count"],
        "starts_at": "2026-09-21T14:13:20Z",
        "ends_at": "2026-09-21T15:13:20Z",
    }
    assert headers["Idempotency-Key"] == key
    assert headers["Content-Type"] == "application/json"


def test_the_signature_is_over_time_and_body_as_they_are_sent() -> None:
    headers, body = sent(
        "grant", replace(A_GRANT, role="größe", person=a_person(email='"x"\u202e@example.com'))
    )
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["X-Access-Signature"])
    assert found and abs(int(found[1]) - time.time()) < 60
    assert (
        found[2]
        == hmac.new(SECRET.encode(), found[1].encode() + b"." + body, hashlib.sha256).hexdigest()
    )


def test_a_key_is_the_same_for_every_attempt_of_one_call_and_unique_to_it() -> None:
    later = replace(A_GRANT, starts_at=NOW + 60, ends_at=NOW + 7200)
    assert key_of("grant", A_GRANT) == key_of("grant", later)
    assert key_of("revoke", A_GRANT) == key_of("revoke", later)
    assert key_of("extend", A_GRANT) == key_of("extend", A_GRANT) != key_of("extend", later)
    assert key_of("read_back", A_GRANT) != key_of("read_back", A_GRANT)
    others = (A_GRANT, replace(A_GRANT, grant="g2"), replace(A_GRANT, system="other"))
    assert len({key_of(do, each) for do in ("grant", "extend", "revoke") for each in others}) == 9  # type: ignore[arg-type]


# --- settings and checks


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "http://hooks.example.com/", "private": False}, "must begin with https"),
        ({"url": f"https://ana:{SECRET}@hooks.example.com/"}, "user name or password"),
        ({"url": "hooks.example.com"}, "must begin with https"),
        ({"timeout": 301}, "timeout must be at most 5m"),
    ],
)
def test_settings_that_can_t_be_right_are_told(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SystemUnavailable, match=f"warehouse can't be used: .*{words}") as caught:
        hook(**({"url": "https://hooks.example.com/"} | settings))
    assert SECRET not in str(caught.value)


def test_a_private_receiver_is_not_called_unless_roles_toml_says_so(between: InFront) -> None:
    before = between.calls
    it = hook(between.url.replace("http:", "https:"), private=False)
    with pytest.raises(SystemUnavailable, match="private address"):
        it.grant(A_GRANT)
    assert between.calls == before


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (answering("200 OK", GOOD), "a grant which does not exist is active; ended is expected"),
        (answering("200 OK", b'{"state": "ended"}'), "accepts requests that are not signed"),
        (answering("401 No"), "warehouse answered 401 to read_back"),
        (answering("200 OK", b"hello"), "not JSON"),
        (saying(), "it broke off"),
    ],
)
def test_the_check_finds_what_is_wrong_with_a_receiver(serve: Any, words: str) -> None:
    with raw_server(serve) as server:
        (problem,) = hook(server.url).check({"count": ["stock:count"]})
    assert words in problem


def test_a_look_at_how_it_is_asks_only_once_and_signed(
    receiver: Receiver, between: InFront
) -> None:
    between.calls = 0
    assert list(hook(between.url).check({})) == []
    assert between.calls == 1


# --- the receiver of the page


def status_of(receiver: Receiver, order: ProvisionOrder, do: str = "grant", **how: Any) -> int:
    """The status that the receiver answers to such a call."""
    body = document(do, "k", order)  # type: ignore[arg-type]
    signed = signature(
        how.get("secret", SECRET).encode(), how.get("signs", body), how.get("at", int(time.time()))
    )
    headers = {"X-Access-Signature": how.get("header", signed)}
    return call(
        "POST", receiver.url, headers=headers, body=body, timeout=5, allow_private=True
    ).status


@pytest.mark.parametrize(
    "how",
    [
        {"secret": "another-secret-0123456789"},
        {"signs": b"another body"},
        {"at": int(time.time()) - 3600},
        {"at": int(time.time()) + 3600},
        {"header": ""},
        {"header": "t=1"},
        {"header": "t=,v1="},
        {"header": f"v1={'0' * 64}"},
    ],
)
def test_the_receiver_does_nothing_for_a_call_that_is_not_signed_well(
    receiver: Receiver, how: dict[str, Any]
) -> None:
    asked = replace(nobody("warehouse"), ends_at=int(time.time()) + 60)
    assert status_of(receiver, asked, **how) == 401
    assert not hook(receiver.url).read_back(asked)


def test_a_start_that_is_sent_again_after_the_end_opens_nothing(receiver: Receiver) -> None:
    it, asked = hook(receiver.url), replace(nobody("warehouse"), ends_at=int(time.time()) + 60)
    assert status_of(receiver, asked) == 200 and it.read_back(asked)
    it.revoke(asked)
    assert status_of(receiver, asked) == 200 and status_of(receiver, asked, "extend") == 200
    assert not it.read_back(asked)


def test_the_receiver_lets_nobody_in_after_the_end_whatever_becomes_of_the_bot(
    receiver: Receiver,
) -> None:
    it, asked = hook(receiver.url), nobody("warehouse")
    with pytest.raises(SystemUnavailable, match="answered ended"):
        it.grant(asked)  # its end has come already
    assert not it.read_back(asked)
