"""Sends each lead by direct message the notes and alerts that the security channel does not
accept."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core import effects
from bot.core.effects import Kind
from bot.operations._unit_of_work import Snapshot, UnitOfWork
from storage import people

log = logging.getLogger(__name__)

FAILING = "failing "
"""Prefix of the key that stores a channel or lead that refuses messages."""

MOST_LEADS = 10
"""The number of leads that get such messages, so that a large group is not flooded."""


def leads_of(u: Snapshot) -> list[str]:
    """Returns the leads to notify, at most MOST_LEADS: also from groups that are too old to give
    authority, because notifying their last members is better than notifying nobody."""
    found = sorted(u.world.directory(however_old=True).resolve(u.policy.workspace.leads))
    known = {person: people.get(u.db, person) for person in found}
    able = [person for person, it in known.items() if it is None or it.ineligible_reason() is None]
    return able[:MOST_LEADS]


def notify_each_lead(u: UnitOfWork, note: str, **facts: object) -> None:
    u.do(*(effects.notify_security(lead, note, **facts) for lead in leads_of(u)))


def forward_to_leads(
    u: UnitOfWork, work: Sequence[tuple[Kind, Mapping[str, Any]]], error: str
) -> None:
    """Forwards messages that the security channel refused, alerts first; `error` is the reason."""
    leads = leads_of(u)
    if not leads:
        log.error(
            "nobody was notified: the security channel refuses messages (%s), and there is no lead",
            error,
        )
    for kind, data in sorted(work, key=lambda each: each[0] is not Kind.ALERT):
        facts = {name: value for name, value in data.items() if name not in ("channel", "note")}
        for lead in leads:
            if kind is Kind.ALERT:
                u.do(effects.alert_lead(lead, data["grant"], data["system"]))
            elif kind is Kind.SEND_DIGEST:
                u.do(effects.send_digest(lead, data["report"], data["since"], data["until"]))
            elif kind is Kind.POST_FLAG:
                u.do(effects.post_flag(lead, data["flag"]))
            else:
                u.do(effects.notify_security(lead, data["note"], **facts))
