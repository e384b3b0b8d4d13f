"""Gathers the facts that the criteria of a request are judged by, inside a reading scope or a
transaction."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from bot.core.approval import Refused
from bot.core.criteria import Asked, Facts, Judgement, denial, judge
from bot.core.model import Person, Request
from bot.core.roles import Role
from bot.operations._unit_of_work import Snapshot
from storage import requests


def judge_request(u: Snapshot, role: Role, request: Request, requester: Person) -> Judgement:
    """The criteria of a stored request as they are now."""
    asked = Asked(requester, request.duration, request.ticket, request.fingerprint)
    return judge(role, asked, gather(u, role, requester.id))


def denied(u: Snapshot, role: Role, person: Person, *times: int) -> Refused | None:
    """Refuses what a denial rule forbids this person now, or at one of `times` instead."""
    known = Facts(u.now, ZoneInfo(u.policy.workspace.timezone), u.directory)
    found = (denial(role, person, replace(known, now=at)) for at in times or (u.now,))
    return next(filter(None, found), None)


def gather(u: Snapshot, role: Role, person: str) -> Facts:
    """What is known now about this role and person."""
    zone = ZoneInfo(u.policy.workspace.timezone)
    return Facts(
        now=u.now,
        zone=zone,
        directory=u.directory,
        on_call=_on_call(u, role),
        used={
            rule.name: requests.decided_since(
                u.db, person, role.name, f"rule:{rule.name}", rule.quota.since(u.now, zone)
            )
            for rule in role.auto_approve
            if rule.quota
        },
        tickets=u.policy.tickets,
    )


def _on_call(u: Snapshot, role: Role) -> dict[str, frozenset[str]]:
    """Who is on call now, by duty; a duty that could not be read is left out."""
    duties = {rule.on_call for rule in role.auto_approve if rule.on_call}
    groups = {name: u.policy.on_call[name].group for name in duties}
    return {
        name: u.directory.resolve([group])
        for name, group in groups.items()
        if group and not u.directory.unresolved([group])
    }
