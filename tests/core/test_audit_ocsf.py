"""Audit records as OCSF events, validated with the published schema."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from bot.core.audit import COLUMNS, GENESIS, Entry, Event, chained
from bot.core.audit_ocsf import VERSION, ocsf_lines

AT = 1_790_000_000
CLASSES = {
    Event.REQUEST_ASKED: (3004, 1),
    Event.DENIAL_GIVEN: (3004, 3),
    Event.GRANT_STARTED: (3005, 1),
    Event.GRANT_ENDED: (3005, 2),
    Event.USE_FIRST: (6003, 99),
    Event.USE_SUMMED: (6003, 99),
    Event.PANIC_ON: (3004, 99),
}


@cache
def validator(class_uid: int) -> Draft202012Validator:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION))
    return Draft202012Validator(
        schema.get_class_schema(schema.lookup_class_name_from_uid(class_uid))
    )


def events(*entries: Entry) -> list[dict[str, Any]]:
    rows = chained(entries, AT, 0, GENESIS)
    return [json.loads(line) for line in ocsf_lines(rows)]


def entries(event: Event) -> list[Entry]:
    """An entry with everything, one with nothing, and one by each kind of actor."""
    detail = {"source_address": "192.0.2.7", "systems": ["a", "b"], "duration": 3600}
    full = Entry(event, "U0BEN", "U0ANA", "shop", "shop", "r1", "g1", "“why” =1+1", detail)
    others = [Entry(event, actor, detail={"source_address": "laptop"}) for actor in ("os:ana",)]
    return [full, Entry(event, "system"), Entry(event, "rule:on call"), *others]


@pytest.mark.parametrize("event", Event)
def test_every_event_is_valid(event: Event) -> None:
    for found in events(*entries(event)):
        wrong = [error.message for error in validator(found["class_uid"]).iter_errors(found)]
        assert wrong == []


@pytest.mark.parametrize(("event", "expected"), CLASSES.items())
def test_requests_grants_and_use_have_their_classes(
    event: Event, expected: tuple[int, int]
) -> None:
    (found, *_) = events(*entries(event))
    assert (found["class_uid"], found["activity_id"]) == expected
    assert found["type_uid"] == expected[0] * 100 + expected[1]


def test_the_exact_record_is_in_the_event() -> None:
    (found,) = events(entries(Event.REQUEST_ASKED)[0])
    record = json.loads(found["raw_data"])
    assert list(record) == COLUMNS and record["reason"] == "“why” =1+1"
    assert found["time"] == AT * 1000 and found["metadata"]["uid"] == record["hash"]
