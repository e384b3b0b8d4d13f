"""Slack's own sample payloads, whole and broken, at `/slack/events`: every signed one is answered
200."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from bot.operations.people.record_people import record_people
from bot.slack.listeners import EVENTS
from tests.factories import ANA, Made, a_person
from tests.slack.slack_driver import make_driver
from tests.web.conftest import Site
from tests.web.test_slack_events import a_site, signed

SAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "slack_samples" / "payloads.json").read_text()
)

FILLED = {
    "team_id": "T1",
    "user_id": ANA,
    "trigger_id": "1.trigger",
    "event_id": "Ev1",
    "callback_id": "request",
    "action_id": "approve",
    "command": "/access",
    "text": "request shop-admin 1h fix",
    "tab": "home",
    "ts": "17.5",
}
"""Values for fields that the samples leave empty and our listeners read, by key."""

ODD: list[Any] = [
    None,
    "",
    7,
    1e300,
    True,
    [],
    {},
    [[]],
    [None],
    {"id": []},
    "\x00",
    "\ud800",
    "x" * 5000,
]


def filled(value: Any, key: str = "", place: str = "") -> Any:
    """The sample with ids in its empty fields."""
    if isinstance(value, dict):
        return {name: filled(each, name, key) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, key, place) for each in value]
    if value == "" and key == "id":
        return {"user": ANA, "team": "T1", "view": "V1", "channel": "C1"}.get(place, "X1")
    if value == "" and key == "user":
        return ANA
    return FILLED.get(key, value) if value == "" else value


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path to every key and item."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, each in items:
        yield (name,)
        yield from ((name, *rest) for rest in paths(each))


def is_ours(name: str, sample: Any) -> bool:
    """Whether a listener takes it: everything but the events to which we don't subscribe."""
    return not name.startswith("events/") or sample.get("event", {}).get("type") in EVENTS


FIRST_OTHER = next(name for name, sample in SAMPLES.items() if not is_ours(name, sample))


def spoilt(name: str, sample: Any) -> Iterator[Any]:
    """The sample as it is, with ids, without each of its keys, and with a wrong value in the place
    of each. Of events to which we don't subscribe, only the event's own keys, and of the first of
    them those of the envelope, which is the same for all; of the message of a press, not the
    thousand places in its blocks, which no listener reads."""
    ours = is_ours(name, sample)
    whole = filled(sample)
    yield sample
    yield whole
    for number, path in enumerate(paths(whole)):
        if not ours and (len(path) > 2 or path[0] == "authorizations"):
            continue
        if not ours and path[0] != "event" and name != FIRST_OTHER:
            continue
        if path[0] in ("message", "original_message") and len(path) > 2:
            continue
        for odd in (None, [ODD[number % len(ODD)]]) if ours else (None,):
            found = copy.deepcopy(whole)
            place = found
            for step in path[:-1]:
                place = place[step]
            if odd is None:
                del place[path[-1]]
            else:
                place[path[-1]] = odd[0]
            yield found


def request_of(name: str, payload: Any) -> tuple[str, str]:
    """Body and content type, as Slack sends this kind."""
    if name.startswith("events/"):
        return json.dumps(payload), "application/json"
    if "slash-commands" in name:
        return urlencode(payload, errors="replace"), "application/x-www-form-urlencoded"
    return urlencode({"payload": json.dumps(payload)}), "application/x-www-form-urlencoded"


GROUPS = sorted({name.rpartition("/")[0] for name in SAMPLES})


@pytest.mark.parametrize("group", GROUPS)
def test_every_sample_of_slack_is_answered_200_whatever_is_missing_or_wrong(
    made: Made, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    record_people(made.world, [a_person(ANA)])
    site = a_site(made, make_driver(made).app.dispatch, within=2.7)
    bodies = [
        request_of(name, payload)
        for name, sample in SAMPLES.items()
        if name.rpartition("/")[0] == group
        for payload in spoilt(name, sample)
    ]
    wrong = [
        (body, status)
        for (body, _), status in zip(bodies, asyncio.run(sent(site, bodies)), strict=True)
        if status != 200
    ]
    assert wrong == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def sent(site: Site, bodies: list[tuple[str, str]]) -> list[int]:
    """The status of each, sent one after the other."""

    async def all_of(client: httpx2.AsyncClient) -> Any:
        return [
            (
                await client.post("/slack/events", content=body, headers=signed(body, kind=kind))
            ).status_code
            for body, kind in bodies
        ]

    found: Any = (await site.gather([all_of]))[0]
    return list(found)
