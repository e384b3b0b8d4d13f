"""`browser` and `url` of a gateway system, as `access-bot check` checks them."""

from __future__ import annotations

import pytest

from bot.connectors.gateway import KIND

WRONG = [
    ({"browser": True}, "is required"),
    ({"url": "https://shop.example.com"}, "for browsers only"),
    ({"browser": False, "url": "https://shop.example.com"}, "for browsers only"),
    ({"browser": True, "url": "http://shop.example.com"}, "https://"),
    ({"browser": True, "url": "https://shop.example.com/admin"}, "without a path"),
    ({"browser": True, "url": "https://shop.example.com?x=1"}, "?"),
    ({"browser": True, "url": "https://me@shop.example.com"}, "user name"),
    ({"browser": True, "url": "https://Shop.example.com"}, "lower case"),
    ({"browser": True, "url": "shop.example.com"}, "https://"),
    ({"browser": True, "url": "https://*.example.com"}, "not a host"),
]


@pytest.mark.parametrize(("settings", "word"), WRONG)
def test_a_wrong_address_is_an_error(settings: dict[str, object], word: str) -> None:
    ((key, said),) = KIND.wrong_settings(settings)
    assert key == "url" and word in said


@pytest.mark.parametrize(
    "url", ["https://shop_1.example.com/", "https://[::1]", "http://127.0.0.1:8080"]
)
def test_an_address_is_a_scheme_and_a_host(url: str) -> None:
    assert list(KIND.wrong_settings({"browser": True, "url": url})) == []
