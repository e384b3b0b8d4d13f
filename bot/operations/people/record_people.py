"""Stores people and groups from Slack; a person who no longer counts loses all access at once."""

from collections.abc import Iterable, Sequence

from bot.core import effects
from bot.core.authority import shortage
from bot.core.model import CLOCKS_APART, Person, is_recent
from bot.core.roles import Policy, references
from bot.core.values import classify
from bot.operations._bind_references import bind_references, report_group_changes
from bot.operations._judge_start import judge_scheduled
from bot.operations._preapprovals import end_lost
from bot.operations._unit_of_work import GROUPS_LAST, Context, UnitOfWork, unit
from bot.operations.people.offboard_person import revoke_all_of
from storage import key_values, outbox, people, preapprovals, ramps


def record_people(world: Context, found: Sequence[Person]) -> None:
    """Stores people as Slack describes them now. Raises StorageUnavailable."""
    with unit(world) as u:
        if people.save(u.db, found, u.now) and bind_references(u):
            _judge_again(u)
        for person in found:
            if person.ineligible_reason() is not None:
                revoke_all_of(u, person.id)


def record_groups(
    world: Context, groups: Iterable[tuple[str, str, Iterable[str]]], read_at: int
) -> None:
    """Replaces all user groups by `(id, handle without @, members)`, for which Slack was asked at
    `read_at`; this resolves every group of roles.toml. Notifies the security channel of roles that
    nobody could still approve. With an outdated roles.toml it is left to another process,
    because the changes of other groups must be reported."""
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


def record_emails(world: Context, emails: Iterable[str]) -> None:
    """Records the people with these addresses of roles.toml, and that Slack was asked for them."""
    with unit(world) as u:
        if u.outdated:
            return
        asked = world.directory().answered.union(emails)
        named = [ref for ref in references(u.policy) if classify(ref) == "email" and ref in asked]
        moved = bind_references(u)
        if people.save_answered(u.db, "emails", named) or moved:
            _judge_again(u)


def _judge_again(u: UnitOfWork) -> None:
    """Applies the consequences when references resolve to other people than before."""
    warn_undecidable(u)
    judge_scheduled(u)
    end_lost(u)


def warn_undecidable(u: UnitOfWork) -> None:
    """Notifies the security channel of every role that too few people could approve, once all of
    its approvers are resolved. A process with an outdated roles.toml reports none."""
    for role in () if u.outdated else u.policy.roles.values():
        too_few = shortage(role, "", u.authority()) is not None
        if too_few and not u.directory.unresolved(role.approvers):
            u.notify_leads("nobody_can_decide", role=role.name)


def find_person(world: Context, person: str) -> Person | None:
    """Returns a person, or None if nobody has looked them up."""
    with world.db.reading():
        return people.get(world.db, person)


GROUPS_WITHIN = 40
"""Seconds after which all groups are read again, so that they are at most a minute old."""


def refresh_old_groups(world: Context) -> None:
    """Queues reading the groups again if roles.toml names one and the last time was a while ago,
    unless it is queued: decisions share Slack's rate limit."""
    if not _names_groups(world.policy()):
        return
    with world.db.reading():
        read_at = people.groups_read_at(world.db)
        waits = outbox.any_with_key(world.db, effects.GROUPS_KEY)
    if not waits and (read_at is None or not is_recent(read_at, world.now(), GROUPS_WITHIN - 1)):
        save_refresh(world, ["groups"])


def groups_read_since(world: Context, at: int) -> bool:
    """Returns whether Slack was asked for all groups after `at`."""
    with world.db.reading():
        read_at = people.groups_read_at(world.db)
    return read_at is not None and at < read_at <= world.now() + CLOCKS_APART


def _names_groups(policy: Policy) -> bool:
    return any(classify(ref) in ("group", "handle") for ref in references(policy))


def warn_of_old_groups(world: Context, started: int) -> None:
    """Notifies the leads, once, that groups could not be read for so long that they no longer give
    authority. `started` is when this process started."""
    with unit(world) as u:
        read_at = people.groups_read_at(u.db)
        since = read_at if read_at and read_at <= u.now + CLOCKS_APART else started
        if since >= u.now - GROUPS_LAST or not _names_groups(u.policy):
            return
        if key_values.put(u.db, "unread groups reported", str(read_at)):
            u.notify_leads("groups_unread", since=since)


WITHIN = 50
"""Seconds after which a holder must be looked up again; a minute if there are too many for that."""


def people_to_check(world: Context, started: int, seconds: int) -> list[str]:
    """Returns the people to look up now, if called every `seconds`, so that every holder and lead,
    everybody in an onboarding, and everybody who approved in advance is looked up once a minute: 50
    a minute, and more only if there are more of them.

    `started` is the start of this process. Other processes look people up too. If many were looked
    up at the same moment, as at the start, some are returned early, or the last of them would be
    too late.
    """
    with world.db.reading():
        waiting = people.to_check(world.db, started)
        leads = world.directory().resolve(world.policy().workspace.leads)
        # A mentor opens stages, a newcomer gets them, and a pre-approval of somebody decides, even
        # if they hold nothing now.
        deciding = ramps.people_in(world.db) | preapprovals.givers(world.db, world.now())
        others = (leads | deciding) - {person for person, _ in waiting}
        known = people.several(world.db, others)
    seen = {each: known[each].checked_at if each in known else 0 for each in sorted(others)}
    waiting += [(each, at if at >= started else 0) for each, at in seen.items()]
    latest = world.now() + CLOCKS_APART
    waiting = [(person, at if at <= latest else 0) for person, at in waiting]
    waiting.sort(key=lambda each: each[1])  # stable: equal times keep their order
    most = -(-max(50, len(waiting)) * seconds // 60)
    due = max(WITHIN, -(-len(waiting) // most) * seconds) - world.now()
    # The number of times each may still be postponed.
    later = (max(0, (seen + due) // seconds) for _, seen in waiting)
    needed = max((place - most * times for place, times in enumerate(later, 1)), default=0)
    return [person for person, _ in waiting[: max(0, min(needed, most))]]


def save_refresh(world: Context, kinds: Iterable[str]) -> None:
    """Queues reading groups, or people, from Slack again."""
    table = {"groups": effects.refresh_groups, "people": effects.refresh_people}
    with unit(world) as u:
        u.do(*(table[kind]() for kind in kinds))
