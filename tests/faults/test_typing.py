"""Somebody types into the menu of 250 roles, over Socket Mode and over HTTP, and gets the one they meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.live import ROLES, Company

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
def test_any_of_250_roles_is_found_by_typing_and_asked_for(make_company: Callable[..., Company], mode: str) -> None:
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

    page = company.access(dev, "roles").messages[-1]
    said = dev.plain(page)
    while "More" in said.rpartition(" of ")[2]:
        known = len(dev.ephemerals())
        assert dev.click(page, "More").ok
        dev.wait_for(lambda: len(dev.ephemerals()) > known)
        page = dev.ephemerals()[-1]
        said += dev.plain(page)
    assert all(f"db-{n:03}" in said for n in range(250))
