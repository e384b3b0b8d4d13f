"""The recorded path of a checked request, without any query, token or e-mail."""

from __future__ import annotations

import pytest

from bot.core import recorded_paths
from bot.core.recorded_paths import LONGEST_PATH, LONGEST_READ, NOT_SENT, recorded_path

UUID = "3f2b8c1e-5d4a-4c6b-9e7f-0a1b2c3d4e5f"
HEX = "9f86d081884c7d659a2feaa0c55ad015"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

SHOWN = {
    "/": "/",
    "/orders/17": "/orders/17",
    "/orders?token=abc&q=1": "/orders",
    "/orders#top": "/orders",
    "https://ana:pw@shop.example.com/orders/17?x=1": "/orders/17",
    f"/orders/{UUID}": f"/orders/{UUID}",
    "/blog/how-to-reset-your-password-2024": "/blog/how-to-reset-your-password-2024",
    "/api/AbstractSingletonProxyFactory": "/api/AbstractSingletonProxyFactory",
    "/2026-11-29T10:15:00Z": "/2026-11-29T10:15:00Z",
    "/customers/ana@example.com/orders": "/customers/[e-mail]/orders",
    "/customers/ana%40example.com": "/customers/[e-mail]",
    "/customers/ana%2540example.com": "/customers/[e-mail]",
    "/files/x%2Fana@example.com": "/files/x%2F[e-mail]",
    "/find;mail=ana@example.com;page=2": "/find;mail=[e-mail];page=2",
    "/customers/ana.lee+work@example.com": "/customers/[e-mail]",
    "/customers/o'brien@example.com;page=2": "/customers/[e-mail];page=2",
    "/customers/ana%25252540example.com": "/customers/[e-mail]",
    "/@scope/package": "/@scope/package",
    f"/reset/{HEX}": "/reset/[token]",
    f"/reset/{HEX.upper()}/done": "/reset/[token]/done",
    f"/join/{JWT}": "/join/[token]",
    "/join/dQw4w9WgXcQ-fFz_1LmN0pQrStUv": "/join/[token]",
    "/hooks/xoxb-123456789-abcdef": "/hooks/[token]",
    "/cards/4111111111111111": "/cards/[token]",
    "/orders/481516234200": "/orders/481516234200",
    "/to/https://shop.example.com/a": "/to/https://shop.example.com/a",
    "/" + "a" * (LONGEST_PATH + 1): "/[token]",
    "/caf\xc3\xa9\r\nX: y": "/caf%C3%A9%0D%0AX:%20y",
}


@pytest.mark.parametrize(("target", "shown"), SHOWN.items())
def test_a_path_is_recorded_without_query_tokens_and_emails(target: str, shown: str) -> None:
    assert recorded_path("GET", target) == ("GET", shown)


@pytest.mark.parametrize(
    ("method", "target"),
    [("", "/"), ("get", "/"), ("GET\r\n", "/"), ("G" * 21, "/"), ("GET", ""), ("GET", "*")],
)
def test_a_request_without_a_valid_method_or_path_is_not_sent(method: str, target: str) -> None:
    assert recorded_path(method, target) == NOT_SENT


def test_a_long_path_is_cut_after_secrets_were_taken_out() -> None:
    _, path = recorded_path("GET", "/" + "a/" * 90 + HEX + "/b" * 90)
    assert len(path) == LONGEST_PATH and path.endswith("…") and HEX[:8] not in path


def test_a_value_of_which_only_a_part_was_read_is_left_out() -> None:
    _, path = recorded_path("GET", "/1234567890123" * 142 + "/ana@example.com")
    assert path.startswith("/[token]/[token]") and "ana" not in path
    _, path = recorded_path("GET", "/" + "a" * (LONGEST_READ - 10) + "/ana@example.com")
    assert path == "/[token]/…"


@pytest.mark.parametrize("target", ["/" + "a" * 1500, "/" + "b" * 60_000])
def test_a_pattern_never_searches_a_long_text(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target is the client's, before its token is checked, and a search for an e-mail takes the
    square of the length."""
    searched: list[int] = []

    class Pattern:
        def search(self, text: str) -> None:
            searched.append(len(text))

    monkeypatch.setattr(recorded_paths, "_IS_EMAIL", Pattern())
    recorded_path("GET", target)
    assert max(searched, default=0) <= LONGEST_PATH
