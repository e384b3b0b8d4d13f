"""Explains a role to a person: in general, and with the result of a request by one person now."""

from collections.abc import Iterable, Sequence
from functools import partial

from bot.core.approval import Refused
from bot.core.authority import OPERATOR, deciders
from bot.core.criteria import Facts, denial
from bot.core.eligibility import find_role, may_ask_at_all
from bot.core.explanation import Explanation, Known, for_person, points
from bot.core.model import Person
from bot.core.preapproval import enough
from bot.core.roles import Role
from bot.operations._criteria import gather
from bot.operations._leads_only import seen_as_lead
from bot.operations._open_emergency import has_open_emergency
from bot.operations._preapprovals import holding
from bot.operations._unit_of_work import Context, Snapshot, reading
from storage import people


def explain_role(world: Context, by: str, name: str, about: str) -> Explanation | Refused:
    """Explains a role for the person `about`, "" for the role in general. Only leads and people who
    decide on the role see it for somebody else. Raises StorageUnavailable."""
    with reading(world) as u:
        if not by.startswith(OPERATOR) and (unfit := may_ask_at_all(u.person(by))) is not None:
            return unfit
        found = find_role(u.policy, name)
        if isinstance(found, Refused):
            return found
        role = (u.role_for(name, about) if about else None) or found
        general = points(role, partial(_called, u))
        if not about or not _may_see(u, role, by, about):
            return Explanation(role, general, withheld=bool(about))
        person = u.person(about)
        facts = gather(u, role, about)
        return Explanation(
            role, general, for_person(role, person, facts, _known(u, role, facts, person))
        )


def _may_see(u: Snapshot, role: Role, by: str, about: str) -> bool:
    return by == about or seen_as_lead(u, by) is None or by in deciders(role, about, u.authority())


def _known(u: Snapshot, role: Role, facts: Facts, person: Person) -> Known:
    held = holding(u, role, person.id)
    leads = u.directory.resolve(u.policy.workspace.leads)
    decided = enough(role, held, role.default_duration, leads, u.directory) if held else ()
    in_advance = bool(decided) and not has_open_emergency(u, person.id)
    refused = may_ask_at_all(person) or u.paused(role.name, person.id)
    return Known(refused or denial(role, person, facts), held, in_advance)


def _called(u: Snapshot, refs: Iterable[str]) -> Sequence[str]:
    """People by name, groups by handle."""
    refs = tuple(refs)
    known = people.several(u.db, [ref for ref in refs if ref[:1] in "UW"])
    handles = u.directory.called(refs)
    return [
        known[ref].name if ref in known else handle
        for ref, handle in zip(refs, handles, strict=True)
    ]
