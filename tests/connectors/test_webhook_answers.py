"""Answers to the webhook connector: good ones, slow ones, credentials, and invalid ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.connectors.transport.document import read_reply
from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from tests.connectors.hooks import A_GRANT, GOOD, hook
from tests.connectors.raw_server import (
    answering,
    dripping,
    endless,
    raw_server,
    read_request,
    saying,
    silent,
)

PASSING = ["500 Oops", "503 Busy", "599 Odd", "429 Slow down", "408 Late", "302 Found", "304 Same"]


@pytest.mark.parametrize("do", ["grant", "extend", "revoke", "read_back"])
@pytest.mark.parametrize("status", PASSING)
def test_trouble_is_tried_again_and_is_never_active(status: str, do: str) -> None:
    with raw_server(answering(status, GOOD, "Retry-After: 7")) as server:
        with pytest.raises(SystemUnavailable) as caught:
            getattr(hook(server.url), do)(A_GRANT)
        assert caught.value.retry_after == (None if status[0] == "3" else 7)


@pytest.mark.parametrize(
    "status", ["400 Bad", "401 No", "403 No", "404 None", "409 Clash", "422 What", "499 Odd"]
)
def test_any_other_no_is_final_for_a_start_and_for_nothing_else(status: str) -> None:
    with raw_server(answering(status, b"", "Retry-After: 7")) as server:
        it = hook(server.url)
        with pytest.raises(SystemRefused, match=f"warehouse answered {status[:3]} to the start"):
            it.grant(A_GRANT)
        for call in (it.extend, it.revoke, it.read_back):
            with pytest.raises(SystemUnavailable, match=f"warehouse answered {status[:3]}"):
                call(A_GRANT)


@pytest.mark.parametrize(
    "serve",
    [
        saying(),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n" + GOOD[:-1]),
        saying(b"HTTP/1.1 200 OK\r\n\r\n" + GOOD + b" " * 10_000_000),
        endless,
        answering("200 OK", b""),
        answering("204 No Content"),
        answering("200 OK", b"active"),
        answering("200 OK", b'"active"'),
        answering("200 OK", b'["active"]'),
        answering("200 OK", b'{"state": ["active"]}'),
        answering("200 OK", b'{"state": "ACTIVE"}'),
        answering("200 OK", b'{"state": null}'),
        answering("200 OK", b'{"status": "active"}'),
    ],
)
def test_no_answer_or_one_that_says_no_state_is_tried_again(serve: Any) -> None:
    with raw_server(serve) as server:
        it = hook(server.url)
        for call in (it.grant, it.extend, it.revoke, it.read_back):
            with pytest.raises(SystemUnavailable):
                call(A_GRANT)


@pytest.mark.parametrize(
    "serve", [silent, dripping(b"HTTP/1.1 200 OK\r\n\r\n" + GOOD)], ids=["silent", "dripping"]
)
def test_a_receiver_that_never_answers_is_given_the_timeout(serve: Any) -> None:
    with raw_server(serve) as server, pytest.raises(OutcomeUnknown, match="the time was over"):
        hook(server.url, timeout=1).grant(A_GRANT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON | st.fixed_dictionaries({"state": JSON}))
def test_only_three_words_are_a_state(said: object) -> None:
    try:
        state = read_reply(said, "it").state
    except SystemUnavailable:
        return
    assert state in ("active", "ended", "pending")
    assert isinstance(said, dict) and said["state"] == state


def test_a_state_that_is_not_what_was_asked_for_is_not_taken_for_it() -> None:
    with raw_server(answering("200 OK", b'{"state": "ended"}')) as server:
        it = hook(server.url)
        for call in (it.grant, it.extend):
            with pytest.raises(SystemUnavailable, match="answered ended to"):
                call(A_GRANT)
    with (
        raw_server(answering("200 OK", GOOD)) as server,
        pytest.raises(SystemUnavailable, match="active to revoke"),
    ):
        hook(server.url).revoke(A_GRANT)


# --- slow systems


def slow(pending: int, then: bytes) -> tuple[Any, list[str]]:
    """Answers "pending" so many times and then this; and what it was asked to do."""
    asked: list[str] = []

    def serve(line: Any, over: Any) -> None:
        asked.append(json.loads(read_request(line).partition(b"\r\n\r\n")[2])["do"])
        body = b'{"state": "pending"}' if len(asked) <= pending else then
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return serve, asked


@pytest.mark.parametrize(
    ("do", "then"), [("grant", "active"), ("extend", "active"), ("revoke", "ended")]
)
def test_what_is_pending_is_asked_about_until_it_is_so(do: str, then: str) -> None:
    serve, asked = slow(2, json.dumps({"state": then}).encode())
    with raw_server(serve) as server:
        getattr(hook(server.url), do)(A_GRANT)
    assert asked == [do, "read_back", "read_back"]


@pytest.mark.parametrize("do", ["grant", "revoke", "read_back"])
def test_what_stays_pending_is_put_off_in_time(do: str) -> None:
    serve, asked = slow(1000, b"")
    with (
        raw_server(serve) as server,
        pytest.raises(SystemUnavailable, match=r"has not finished|the time was over"),
    ):
        getattr(hook(server.url, timeout=1), do)(A_GRANT)
    assert asked[0] == do and len(asked) <= 5


def test_what_turns_out_otherwise_after_pending_is_not_taken_for_it() -> None:
    serve, _ = slow(1, b'{"state": "ended"}')
    with (
        raw_server(serve) as server,
        pytest.raises(SystemUnavailable, match="answered ended to grant"),
    ):
        hook(server.url).grant(A_GRANT)


# --- credentials


def shown(credentials: object) -> object:
    with raw_server(
        answering("200 OK", json.dumps({"state": "active", "credentials": credentials}).encode())
    ) as server:
        return hook(server.url).credentials(A_GRANT, "")


def test_credentials_are_shown_by_their_labels_and_not_in_a_repr() -> None:
    way: Any = shown({"Door code": "1234-secret", "Key": "-----BEGIN\nabc\n"})
    assert way.secrets == {"Door code": "1234-secret", "Key": "-----BEGIN\nabc\n"}
    assert "1234" not in repr(way)


def test_looking_at_access_that_has_ended_does_not_make_it_again() -> None:
    serve, asked = slow(0, b'{"state": "ended"}')
    with (
        raw_server(serve) as server,
        pytest.raises(SystemUnavailable, match="does not have the access"),
    ):
        hook(server.url).credentials(A_GRANT, "")
    assert asked == ["read_back"]


def test_a_receiver_that_gives_none_is_said_to() -> None:
    for nothing in (None, {}):
        way: Any = shown(nothing)
        assert way.secrets == {} and "nothing to copy" in way.how[0]


@pytest.mark.parametrize(
    "credentials",
    [
        "s3cret",
        ["s3cret"],
        {"code": 53},
        {"code": {"s3cret": "x"}},
        {"code": ""},
        {"": "s3cret"},
        {"co\nde": "s3cret"},
        {"code": "s3cret\u202e"},
        {"code": "s3cret\0"},
        {"code": "s3cret" * 2000},
        {"c" * 76: "s3cret"},
        {str(number): "s3cret" for number in range(11)},
    ],
)
def test_credentials_that_can_t_be_shown_are_refused_without_repeating_them(
    credentials: object,
) -> None:
    with pytest.raises(SystemUnavailable, match="credentials") as caught:
        shown(credentials)
    assert "s3cret" not in str(caught.value)


def test_credentials_do_not_keep_a_start_from_being_one() -> None:
    body = json.dumps({"state": "active", "credentials": 7}).encode()
    with raw_server(answering("200 OK", body)) as server:
        hook(server.url).grant(A_GRANT)
