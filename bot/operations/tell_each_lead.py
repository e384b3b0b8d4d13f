"""Tells each lead by direct message what the security channel can't take."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core import effects
from bot.core.effects import Kind
from bot.operations._unit import Snapshot, Unit
from storage import people

log = logging.getLogger(__name__)

FAILING = "failing "
"""Begins the key under which a channel or lead is kept that refuses messages."""

LEADS_TOLD = 10
"""How many leads get such messages, so that a large group is not flooded."""


def leads_of(u: Snapshot) -> list[str]:
    """The leads to tell, at most LEADS_TOLD of them: also by groups that are too old to act by, as those who were in
    them last are better told than nobody."""
    found = sorted(u.world.directory(however_old=True).resolve(u.policy.workspace.leads))
    known = {person: people.get(u.db, person) for person in found}
    able = [person for person, it in known.items() if it is None or it.unfit() is None]
    return able[:LEADS_TOLD]


def tell_each_lead(u: Unit, note: str, **facts: object) -> None:
    u.do(*(effects.tell_security(lead, note, **facts) for lead in leads_of(u)))


def forward_to_leads(u: Unit, work: Sequence[tuple[Kind, Mapping[str, Any]]], error: str) -> None:
    """Hands on what the security channel has refused, alarms first; `error` says why it did."""
    leads = leads_of(u)
    if not leads:
        log.error("nobody is told: the security channel refuses messages (%s), and there is no lead", error)
    for kind, data in sorted(work, key=lambda each: each[0] is not Kind.ALARM):
        facts = {name: value for name, value in data.items() if name not in ("channel", "note")}
        for lead in leads:
            if kind is Kind.ALARM:
                u.do(effects.alarm_lead(lead, data["grant"], data["system"]))
            else:
                u.do(effects.tell_security(lead, data["note"], **facts))
