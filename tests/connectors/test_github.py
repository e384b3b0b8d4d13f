"""The github connector, tried on a stand-in that was written from GitHub's published API description."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from bot.connectors.base import Connector, Tools
from bot.connectors.github import _limited, make
from bot.connectors.http import Answer
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Order
from bot.core.policy import System
from tests.connectors.contract import Contract, Rig, Sharing
from tests.connectors.standins.github import TOKEN, GitHub
from tests.connectors.standins.server import BUSY
from tests.worlds import ANA, CARA, Made, a_person

TEAMS = ("deployers", "on-call")


@pytest.fixture
def github() -> Iterator[GitHub]:
    with closing(GitHub()) as server:
        for person in (ANA, CARA):
            server.join(person.lower())
        yield server


def rig_of(github: GitHub) -> Rig:
    def works(_it: Connector, order: Order) -> bool:
        login = order.names.get("github") or order.person.email.partition("@")[0]
        return all(github.may(login, team) for team in order.actions)

    settings = f'connector = "github"\norg = "acme"\ntoken = "{TOKEN}"\nurl = "{github.url}"'
    people = "".join(f'[people."{person}"]\ngithub = "{person.lower()}"\n' for person in (ANA, CARA))
    return Rig(settings, TEAMS, works, github.down, github.breaking, people)


class TestGitHub(Contract, Sharing):
    @pytest.fixture
    def rig(self, github: GitHub) -> Rig:
        return rig_of(github)


class TestWho(Contract):
    """By e-mail, or by what roles.toml says."""

    __test__ = True
