"""Writes the flag rules as Sigma rules over `access-bot audit export --format jsonl` into this
folder: `python docs/sigma/generate.py`.

A rule that needs only the log is written out, with a correlation where it counts. A rule that
compares people with their own past, or that waits, is found by the record of its flag.
"""

from __future__ import annotations

import json
import sys
from inspect import getdoc
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent.parent))

from bot.core.audit import Event  # noqa: E402
from bot.core.flags import decision_rules, request_rules, use_rules  # noqa: E402
from bot.core.flags.rule import Rule, Severity  # noqa: E402
from bot.core.flags.rules import RULES  # noqa: E402

LEVELS = {
    Severity.INFO: "informational",
    Severity.LOW: "low",
    Severity.MEDIUM: "medium",
    Severity.HIGH: "high",
}
Selection = dict[str, object]
"""Fields of a record and their values; a list means any of them."""

EVENTS: dict[str, list[Event]] = {
    "unexplained_access": [Event.EXCESS_FOUND],
    "used_after_end": [Event.USE_AFTER_END],
    "emergency_used": [Event.EMERGENCY_STARTED],
    "nagging": [Event.REQUEST_WITHDRAWN, Event.DENIAL_GIVEN],
    "many_credentials": [Event.CREDENTIALS_SHOWN, Event.CERTIFICATE_ISSUED],
    "many_ended": [Event.END_ASKED],
    "approved_in_seconds": [Event.VOTE_GIVEN],
}
"""The rules that are written out, with the events that they look at."""

MORE: dict[str, Selection] = {
    "approved_in_seconds": {
        "detail|re": r'"risk":"(medium|high)".*"waited":[0-9][,}]',
    },
}
"""What else their records have."""

EXCEPT: dict[str, list[Selection]] = {
    "nagging": [{"event": str(Event.REQUEST_WITHDRAWN), "actor": "system"}],
    "many_ended": [
        {"actor|startswith": ["system", "rule:"]},
        {"detail|contains": '"because":'},
    ],
}
"""Records that do not count: those of the bot, and ends under the panic switch, which have their
cause in `because`."""

COUNTED: dict[str, tuple[int, int, str]] = {
    "nagging": (request_rules.NAGGING_TIMES, request_rules.NAGGING_WITHIN, "subject"),
    "many_credentials": (use_rules.MANY_CREDENTIALS, use_rules.CREDENTIALS_WITHIN, "subject"),
    "many_ended": (decision_rules.MANY_ENDED, decision_rules.MANY_ENDED_WITHIN, "actor"),
    "approved_in_seconds": (decision_rules.QUICK_TIMES, decision_rules.QUICK_WITHIN, "actor"),
}
"""How many records, within how many seconds, with the same value of which field."""


def selections(rule: Rule) -> dict[str, Selection | list[Selection]]:
    """The selections of a rule by name; none of `except` may match."""
    if rule.name not in EVENTS:
        flag = {"event": str(Event.FLAG_RAISED), "detail|contains": f'"rule":"{rule.name}"'}
        return {"selection": flag}
    events = [str(event) for event in EVENTS[rule.name]]
    selection: Selection = {"event": events[0] if len(events) == 1 else events}
    selection |= MORE.get(rule.name, {})
    excepted = {"except": EXCEPT[rule.name]} if rule.name in EXCEPT else {}
    return {"selection": selection, **excepted}


def written(rule: Rule) -> str:
    """The file of one rule: the rule, and its correlation if it counts."""
    detection: dict[str, object] = dict(selections(rule))
    detection["condition"] = "selection and not except" if "except" in detection else "selection"
    is_counted = rule.name in COUNTED
    base: dict[str, object] = {
        "title": f"Access Bot: {rule.name.replace('_', ' ')}" + (", one record" * is_counted),
        "id": _id(rule.name),
        "name": f"access_bot_{rule.name}" + ("_record" * is_counted),
        "status": "experimental",
        "description": _description(rule),
        "logsource": {"product": "access-bot", "service": "audit"},
        "detection": detection,
        "level": "informational" if is_counted else LEVELS[rule.severity],
    }
    return "\n".join(_yaml(base)) + "\n" + (_correlation(rule) if is_counted else "")


def _correlation(rule: Rule) -> str:
    times, seconds, field = COUNTED[rule.name]
    counted: dict[str, object] = {
        "title": f"Access Bot: {rule.name.replace('_', ' ')}",
        "id": _id(f"{rule.name} counted"),
        "status": "experimental",
        "description": _description(rule),
        "correlation": {
            "type": "event_count",
            "rules": [f"access_bot_{rule.name}_record"],
            "group-by": [field],
            "timespan": f"{seconds // 60}m",
            "condition": {"gte": times},
        },
        "level": LEVELS[rule.severity],
    }
    return "---\n" + "\n".join(_yaml(counted)) + "\n"


def _description(rule: Rule) -> str:
    return " ".join((getdoc(rule.check) or "").split())


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"access-bot/flags/{name}"))


def _yaml(table: dict[str, object], indent: str = "") -> list[str]:
    """JSON's texts and numbers are YAML, too."""
    lines = []
    for key, value in table.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_yaml(value, indent + "  ")]
        elif isinstance(value, list):
            items = [f"{indent}  - {json.dumps(each)}" for each in value]
            lines += [f"{indent}{key}:", *items]
        else:
            lines.append(f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}")
    return lines


def files() -> dict[str, str]:
    """The content of every file, by name."""
    return {f"{name}.yml": written(rule) for name, rule in RULES.items()}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text)
