"""Describes ramps: their people, their plan, and the access that they gave and its use."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bot.core.approval import Refused
from bot.core.model import Grant, Request, RequestState
from bot.core.onboarding import (
    Missed,
    PlannedStage,
    Ramp,
    StageState,
    bundle_toml,
    suggested_bundle,
    why_denied,
    why_left_out,
)
from bot.core.roles import Role
from bot.core.usage import GrantUsage
from bot.operations._leads_only import seen_as_lead
from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations._usage import used_of
from bot.operations.onboarding.shared import acting_mentors, facts_of
from bot.operations.onboarding.start_ramp import Start, ramp_of
from storage import grants, people, ramps, requests
from storage.ramps import RampMessage

__all__ = [
    "Graduation",
    "RampMessage",
    "RampView",
    "describe_graduation",
    "describe_ramp",
    "find_ramp_note",
    "list_ramps",
    "preview_ramp",
    "ramps_seen_by",
    "record_ramp_note",
]


@dataclass(frozen=True, slots=True)
class RampView:
    """`mentors` act as the mentor now; `given` are the grants by stage; `used` their use so far;
    `names` are those of everybody in it; `titles` of its roles. `refused` has why a role can't be
    given or requested as things are now, by stage and role."""

    ramp: Ramp
    mentors: tuple[str, ...]
    given: dict[int, tuple[Grant, ...]] = field(default_factory=dict)
    used: dict[str, GrantUsage] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    refused: dict[tuple[int, str], str] = field(default_factory=dict)

    @property
    def ready(self) -> list[PlannedStage]:
        """The stages that wait for the mentor's press."""
        return [
            stage
            for stage in self.ramp.stages
            if stage.state is StageState.READY and self.ramp.reached(stage)
        ]


@dataclass(frozen=True, slots=True)
class Graduation:
    """The result of a ramp. `beyond` are the newcomer's requests for roles that the plan does not
    have, `denied` those of any role that were denied. `suggested` is a better bundle as lines of
    roles.toml, "" where nothing follows."""

    view: RampView
    beyond: tuple[Request, ...]
    denied: tuple[Request, ...]
    suggested: str


def describe_ramp(world: Context, ramp_id: str) -> RampView | None:
    """Returns None if there is no such ramp. Raises StorageUnavailable."""
    with reading(world) as u:
        ramp = ramps.get(u.db, ramp_id)
        return view_of(u, ramp) if ramp else None


def ramps_seen_by(u: Snapshot, person: str) -> list[RampView]:
    """The open ramps that this person sees in App Home: their own first, then those that they
    mentor, then for a lead all others."""
    is_lead = seen_as_lead(u, person) is None
    seen = []
    for ramp in ramps.open_ramps(u.db):
        mentors = acting_mentors(u, ramp)
        if is_lead or person in (ramp.newcomer, *mentors):
            place = 0 if person == ramp.newcomer else 1 if person in mentors else 2
            seen.append((place, ramp))
    seen.sort(key=lambda each: each[0])
    return [view_of(u, ramp) for _, ramp in seen]


def list_ramps(
    world: Context, by: str, limit: int, every: bool = False
) -> list[RampView] | Refused:
    """The open ramps, or with `every` the newest of all, for a lead. Raises StorageUnavailable."""
    with reading(world) as u:
        if (refused := seen_as_lead(u, by)) is not None:
            return refused
        found = ramps.latest(u.db, limit) if every else ramps.open_ramps(u.db)[:limit]
        return [view_of(u, ramp) for ramp in found]


def preview_ramp(world: Context, by: str, start: Start) -> RampView | Refused:
    """The ramp that this start would make, with the present reasons to refuse the newcomer. Raises
    StorageUnavailable."""
    with reading(world) as u:
        ramp = ramp_of(u, by, start)
        if isinstance(ramp, Refused):
            return ramp
        starts_at = ramp.starts_at or (u.now if ramp.newcomer else None)
        return view_of(u, replace(ramp, starts_at=starts_at))


def view_of(u: Snapshot, ramp: Ramp) -> RampView:
    given: dict[int, list[Grant]] = {}
    for number, name in ramps.grants_of(u.db, ramp.id):
        if (grant := grants.get(u.db, name)) is not None:
            given.setdefault(number, []).append(grant)
    every = [grant for some in given.values() for grant in some]
    mentors = tuple(sorted(acting_mentors(u, ramp)))
    named = people.several(u.db, {ramp.newcomer, ramp.mentor, ramp.lead, *mentors} - {""})
    roles = {name for stage in ramp.stages for name in (*stage.roles, *stage.may_ask)}
    return RampView(
        ramp=ramp,
        mentors=mentors,
        given={number: tuple(some) for number, some in given.items()},
        used=used_of(u, every),
        names={person.id: person.name for person in named.values()},
        titles={name: _title(u.policy.roles.get(name), name) for name in roles},
        refused=_refused(u, ramp),
    )


def _title(role: Role | None, name: str) -> str:
    return role.title if role else name


def _refused(u: Snapshot, ramp: Ramp) -> dict[tuple[int, str], str]:
    """The present reasons against roles of stages that are not open, by stage and role. None are
    known before the newcomer has joined."""
    if not ramp.newcomer:
        return {}
    newcomer, facts = u.person(ramp.newcomer), facts_of(u)
    found: dict[tuple[int, str], str] = {}
    for stage in ramp.stages:
        for name in stage.roles if stage.state is not StageState.OPENED else ():
            found[stage.number, name] = why_left_out(name, stage, ramp, u.policy, newcomer, facts)
        for name in stage.may_ask:
            role = u.policy.roles.get(name)
            found[stage.number, name] = why_denied(role, newcomer, facts) if role else _GONE
    return {place: why for place, why in found.items() if why}


_GONE = "the role is no longer in roles.toml"


def describe_graduation(world: Context, ramp_id: str) -> Graduation | None:
    """Raises StorageUnavailable."""
    with reading(world) as u:
        ramp = ramps.get(u.db, ramp_id)
        if ramp is None:
            return None
        made = _requests(u, ramp)
        planned = {name for stage in ramp.stages for name in (*stage.roles, *stage.may_ask)}
        view = view_of(u, ramp)
        beyond = tuple(request for request in made if request.role not in planned)
        return Graduation(
            view=view,
            beyond=beyond,
            denied=tuple(request for request in made if request.state is RequestState.DENIED),
            suggested=_suggested(u, view, beyond),
        )


def _suggested(u: Snapshot, view: RampView, beyond: Sequence[Request]) -> str:
    bundle = u.policy.bundles.get(view.ramp.bundle)
    if bundle is None:
        return ""
    granted = [request for request in beyond if request.state is RequestState.APPROVED]
    first = {request.role: request.created_at for request in reversed(granted)}
    missed = [
        Missed(role, at - (view.ramp.starts_at or at))
        for name, at in sorted(first.items())
        if (role := u.policy.roles.get(name)) is not None
    ]
    changed = suggested_bundle(bundle, _unused(view), missed)
    return bundle_toml(changed) if changed.stages and changed != bundle else ""


def _unused(view: RampView) -> frozenset[str]:
    """The roles of which no grant was used, and of which that is known."""
    every = [grant for some in view.given.values() for grant in some]
    given = [grant for grant in every if grant.started_at is not None]
    known = {grant.role for grant in given if not view.used[grant.id].silent}
    used = {grant.role for grant in given if view.used[grant.id].times}
    return frozenset(known - used)


def _requests(u: Snapshot, ramp: Ramp) -> Sequence[Request]:
    if ramp.starts_at is None:
        return ()
    until = ramp.ended_at if ramp.ended_at is not None else u.now
    return requests.of_person_between(u.db, ramp.newcomer, ramp.starts_at, until)


def record_ramp_note(world: Context, shown: RampMessage) -> None:
    """Records a posted message with buttons about a ramp. Raises StorageUnavailable."""
    with world.db.transaction():
        ramps.add_message(world.db, shown)


def find_ramp_note(world: Context, channel: str, ts: str) -> RampMessage | None:
    """Returns the note that this message shows. Raises StorageUnavailable."""
    with world.db.reading():
        return ramps.message(world.db, channel, ts)
