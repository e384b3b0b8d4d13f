"""A person types into the menu of 250 roles, over Socket Mode and over HTTP, and finds the right
one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from bot.sandbox import Person
from tests.faults.running_bot import ROLES, Company, parts

MANY = "".join(
    f"""
[roles.db-{n:03}]
title = "Database {n:03}"
description = "{"The café in Zürich" if n == 249 else "One of many"}"
system = "shop-admin"
actions = ["orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""
    for n in range(250)
)


@pytest.mark.parametrize("mode", ["socket", "http"])
def test_any_of_250_roles_is_found_by_typing_and_requested(
    make_company: Callable[..., Company], mode: str
) -> None:
    company = make_company(mode=mode)
    company.roles.write_text(ROLES + MANY)
    company.start()
    dev = company.dev
    form = company.access(dev, "").view
    assert form is not None
    assert len(dev.options(form, "Role")) == 100
    assert [found["value"] for found in dev.options(form, "Role", "CAFE zurich")] == ["db-249"]
    assert dev.options(form, "Role", "On call") == []  # only for people on call

    dev.fill({"Role": "Database 249", "Reason": "a till is down"})
    assert "The café in Zürich" in dev.plain(dev.wait_view("Gives shop-admin"))
    sent = dev.submit()
    assert sent.errors == {} and company.request(dev, "db-249")[1] == "pending"
    dev.close_view()

    pages = [company.access(dev, "roles").messages[-1]]
    while any(part.get("action_id") == "more" for part in parts(pages[-1])):
        assert dev.click(pages[-1], "More").ok
        seen = {page["ts"] for page in pages}
        pages += [dev.wait_for(partial(_unseen, dev, seen))]
    said = " ".join(map(dev.plain, pages))
    assert all(f"db-{n:03}" in said for n in range(250))


def _unseen(person: Person, seen: set[str]) -> dict[str, Any] | None:
    """The newest answer that is not among `seen`."""
    newest = [*person.ephemerals(), *person.dms()]
    return next(
        (page for page in reversed(newest) if "–" in person.plain(page) and page["ts"] not in seen),
        None,
    )
