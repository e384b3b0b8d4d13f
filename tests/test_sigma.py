"""The Sigma rules in docs/sigma: those that the generator writes, and what they select."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.core.audit import Event
from bot.core.flags.facts import LogRow, fact_of
from bot.core.flags.rules import RULES

FOLDER = Path(__file__).parent.parent / "docs" / "sigma"
_SPEC = importlib.util.spec_from_file_location("sigma_generate", FOLDER / "generate.py")
assert _SPEC is not None and _SPEC.loader is not None
generate = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(generate)

Record = dict[str, Any]


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / f"{name}.yml").read_text()))


def test_the_files_are_those_that_the_generator_writes() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.yml")}
    assert written == generate.files(), "run docs/sigma/generate.py"
    assert {name.removesuffix(".yml") for name in written} == set(RULES)


def test_ids_are_unique_and_correlations_name_their_rule() -> None:
    every = [each for name in RULES for each in documents(name)]
    assert len({each["id"] for each in every}) == len(every) > len(RULES)
    names = {each.get("name") for each in every}
    correlated = [each["correlation"] for each in every if "correlation" in each]
    assert {rule for each in correlated for rule in each["rules"]} <= names
    assert {each["level"] for each in every} == {"informational", "low", "medium", "high"}


def matches(selection: Any, record: Record) -> bool:
    """As Sigma has it: a list of selections means any of them, a table all of its fields, a list of
    values any of them."""
    if isinstance(selection, list):
        return any(matches(each, record) for each in selection)
    return all(_field(key, wanted, record) for key, wanted in selection.items())


def _field(key: str, wanted: Any, record: Record) -> bool:
    field, _, how = key.partition("|")
    values, text = wanted if isinstance(wanted, list) else [wanted], record[field]
    test = {
        "": lambda value: text == value,
        "contains": lambda value: value in text,
        "startswith": lambda value: text.startswith(value),
        "re": lambda value: re.search(value, text) is not None,
    }[how]
    return any(map(test, values))


def selected(rule: str, record: Record) -> bool:
    detection = documents(rule)[0]["detection"]
    excepted = "except" in detection and matches(detection["except"], record)
    return matches(detection["selection"], record) and not excepted


def a_record(event: str, actor: str = "U0ANA", subject: str = "U0ANA", **detail: Any) -> Record:
    text = json.dumps(detail, sort_keys=True, separators=(",", ":"))
    return {"event": event, "actor": actor, "subject": subject, "detail": text}


@pytest.mark.parametrize(
    ("rule", "record", "is_selected"),
    [
        ("many_ended", a_record(Event.END_ASKED, "U0LEA", why="revoked"), True),
        ("many_ended", a_record(Event.END_ASKED, "U0LEA", because="panic switch"), False),
        ("many_ended", a_record(Event.END_ASKED, "system", why="expired"), False),
        ("many_ended", a_record(Event.GRANT_ENDED, "U0LEA"), False),
        ("nagging", a_record(Event.REQUEST_WITHDRAWN), True),
        ("nagging", a_record(Event.REQUEST_WITHDRAWN, "system"), False),
        ("nagging", a_record(Event.DENIAL_GIVEN, "U0BEN"), True),
        ("many_credentials", a_record(Event.CERTIFICATE_ISSUED), True),
        ("approved_in_seconds", a_record(Event.VOTE_GIVEN, risk="high", waited=9), True),
        ("approved_in_seconds", a_record(Event.VOTE_GIVEN, risk="high", waited=10), False),
        ("approved_in_seconds", a_record(Event.VOTE_GIVEN, risk="low", waited=9), False),
        ("emergency_used", a_record(Event.EMERGENCY_STARTED), True),
        ("used_after_end", a_record(Event.USE_AFTER_END, "system"), True),
        ("unexplained_access", a_record(Event.EXCESS_FOUND, "system", ""), True),
        ("dormant", a_record(Event.FLAG_RAISED, "system", rule="dormant"), True),
        ("dormant", a_record(Event.FLAG_RAISED, "system", rule="nagging"), False),
    ],
)
def test_a_rule_selects_the_records_that_the_flag_counts(
    rule: str, record: Record, is_selected: bool
) -> None:
    assert selected(rule, record) is is_selected
    if rule in generate.EVENTS:
        about = (record["event"], record["actor"], record["subject"], "", "", "", "")
        fact = fact_of(LogRow(1, 0, *about, json.loads(record["detail"])))
        low = rule == "approved_in_seconds"
        assert low or (fact is not None and fact.what in RULES[rule].on) is is_selected
