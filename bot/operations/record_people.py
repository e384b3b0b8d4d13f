"""What Slack says about people and groups is kept for every process; who no longer counts loses everything at once."""

from collections.abc import Iterable, Sequence

from bot.core import effects
from bot.core.model import CLOCKS_APART, Person, is_recent
from bot.core.policy import Policy, classify, references
from bot.operations._bind_references import bind_references, report_group_changes
from bot.operations._judge_start import judge_scheduled
from bot.operations._unit import GROUPS_LAST, Unit, World, unit
from bot.operations.offboard_person import take_everything
from storage import facts, outbox, people


def record_people(world: World, found: Sequence[Person]) -> None:
    """Stores people as Slack describes them now. Raises StorageUnavailable."""
    with unit(world) as u:
        if people.save(u.db, found, u.now) and bind_references(u):
            _judge_again(u)
        for person in found:
            if person.unfit() is not None:
                take_everything(u, person.id)


def record_groups(world: World, groups: Iterable[tuple[str, str, Iterable[str]]], read_at: int) -> None:
    """Replaces all user groups by `(id, handle without @, members)`, for which Slack was asked at `read_at`: with it
    every group of roles.toml is resolved. Tells the security channel of roles that nobody could approve any more. Where
    roles.toml is outdated it is left to another process, because the changes of other groups have to be reported."""
    with unit(world) as u:
        if u.outdated or not people.mark_groups_read(u.db, read_at, u.now):
            return
        named = [ref for ref in references(u.policy) if classify(ref) in ("group", "handle")]
        before = people.save_groups(u.db, groups)
        moved = bind_references(u)
        if before is not None:
            report_group_changes(u, before, people.groups(u.db), people.answered(u.db))
        if people.save_answered(u.db, "groups", named) or before is not None or moved:
            _judge_again(u)


def record_emails(world: World, emails: Iterable[str]) -> None:
    """Slack was asked who has these addresses of roles.toml, and whoever was found is recorded."""
    with unit(world) as u:
        if u.outdated:
            return
        asked = world.directory().answered.union(emails)
        named = [ref for ref in references(u.policy) if classify(ref) == "email" and ref in asked]
        moved = bind_references(u)
        if people.save_answered(u.db, "emails", named) or moved:
            _judge_again(u)


def _judge_again(u: Unit) -> None:
    """Does what follows when references stand for other people than before."""
    warn_undecidable(u)
    judge_scheduled(u)


def warn_undecidable(u: Unit) -> None:
    """Tells the security channel of every role that too few people could approve, once all of its approvers are
    resolved. A process whose roles.toml is outdated tells nothing."""
    for role in () if u.outdated else u.policy.roles.values():
        too_few = len(u.directory.resolve(role.approvers)) < role.approvals
        if too_few and not u.directory.unresolved(role.approvers):
            u.tell_leads("nobody_can_decide", role=role.name)


def find_person(world: World, person: str) -> Person | None:
    """What is known of a person, or None for one whom nobody has looked up."""
    with world.db.reading():
        return people.get(world.db, person)


GROUPS_WITHIN = 40
"""Seconds after which all groups are read again, so that what is known of them is at most a minute old."""


def refresh_old_groups(world: World) -> None:
    """Has the groups read again where roles.toml names one and the last time was a while ago, unless that waits
    already: decisions share what Slack allows."""
    if not _names_groups(world.policy()):
        return
    with world.db.reading():
        read_at = people.groups_read_at(world.db)
        waits = outbox.any_in_lane(world.db, effects.GROUPS_LANE)
    if not waits and (read_at is None or not is_recent(read_at, world.now(), GROUPS_WITHIN - 1)):
        save_refresh(world, ["groups"])


def groups_read_since(world: World, at: int) -> bool:
    """Whether Slack was asked for all groups after `at`."""
    with world.db.reading():
        read_at = people.groups_read_at(world.db)
    return read_at is not None and at < read_at <= world.now() + CLOCKS_APART


def _names_groups(policy: Policy) -> bool:
    return any(classify(ref) in ("group", "handle") for ref in references(policy))


def warn_of_old_groups(world: World, started: int) -> None:
    """Notifies the leads, once, that groups could not be read for so long that they give no authority any more.
    `started` is when this process began."""
    with unit(world) as u:
        read_at = people.groups_read_at(u.db)
        since = read_at if read_at and read_at <= u.now + CLOCKS_APART else started
        if since >= u.now - GROUPS_LAST or not _names_groups(u.policy):
            return
        if facts.put(u.db, "unread groups told", str(read_at)):
            u.tell_leads("groups_unread", since=since)


WITHIN = 50
"""Seconds after which a holder must have been looked up again; a minute when there are more than can be by then."""


def people_to_check(world: World, started: int, seconds: int) -> list[str]:
    """Whom to look up now, when that is asked every `seconds`, so that every holder and lead is looked up once a
    minute: 50 a minute, and more only in proportion when there are more of them than that. `started` is when this
    process began.

    Nobody before it has to be, because other processes look too; but of many who were looked up at one moment, as all
    are at the start, some have to be soon, or the last of them would be too late."""
    with world.db.reading():
        waiting = people.to_check(world.db, started)
        leads = world.directory().resolve(world.policy().workspace.leads) - {person for person, _ in waiting}
        known = people.several(world.db, leads)
    seen = {lead: known[lead].checked_at if lead in known else 0 for lead in sorted(leads)}
    waiting += [(lead, at if at >= started else 0) for lead, at in seen.items()]
    latest = world.now() + CLOCKS_APART
    waiting = [(person, at if at <= latest else 0) for person, at in waiting]
    waiting.sort(key=lambda each: each[1])  # stable: of those of one moment, the order stays
    most = -(-max(50, len(waiting)) * seconds // 60)
    due = max(WITHIN, -(-len(waiting) // most) * seconds) - world.now()
    later = (max(0, (seen + due) // seconds) for _, seen in waiting)  # how often each may still be put off
    needed = max((place - most * times for place, times in enumerate(later, 1)), default=0)
    return [person for person, _ in waiting[: max(0, min(needed, most))]]


def save_refresh(world: World, kinds: Iterable[str]) -> None:
    """Leaves word that groups, or people, have to be read from Slack again."""
    table = {"groups": effects.refresh_groups, "people": effects.refresh_people}
    with unit(world) as u:
        u.do(*(table[kind]() for kind in kinds))
