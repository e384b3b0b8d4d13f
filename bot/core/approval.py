"""Decides who may vote on a request and whether the votes are enough, from the current role, the
current groups and the stored request and votes. Each answer is a value with its reason."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.core.authority import (
    OPERATOR,
    Authority,
    Count,
    Shortage,
    count,
    deciders,
    free_seats,
    right_of,
    shortage,
)
from bot.core.durations import format_duration
from bot.core.model import (
    Directory,
    Grant,
    GrantState,
    Lease,
    Person,
    Request,
    Terms,
    Vote,
    all_actions,
)
from bot.core.names import slash
from bot.core.roles import Role, System, ticket_matches
from bot.core.rules import Tier

LATEST_START = 30 * 86400
"""Seconds ahead that a start may lie."""


@dataclass(frozen=True, slots=True)
class Approved:
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NeedsApproval:
    """`tier` is the name of the tier that is asked, "" for a role without tiers; `have` and `need`
    are about that tier alone."""

    have: tuple[str, ...]
    need: int
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal. `reason` is a sentence for the person, with the next step. `field` names the input
    that it is about: role, duration, reason, ticket, start or actions. `rule` is the denial rule of
    the role that applies, `wait` the seconds until another try may succeed, 0 where waiting does
    not help."""

    reason: str
    field: str = ""
    rule: str = ""
    wait: int = 0


def may_decide(
    role: Role | None, request: Request, who: Person, authority: Authority
) -> Refused | None:
    """Whether `who` may deny `request`, and is among those who approve it in any tier, under the
    current role and groups; None means yes."""
    if who.id == request.requester:
        return Refused(
            "You can't decide on your own request. Somebody else among the approvers has to."
        )
    if (unfit := who.ineligible_reason()) is not None:
        return Refused(f"You can't decide here: {unfit}.")
    if role is not None and who.id.startswith(OPERATOR):
        return None
    if role is None:
        return Refused(
            f"The role {request.role} is no longer in roles.toml, so nobody can approve it. "
            "The requester can cancel and ask for another role."
        )
    if who.id not in deciders(role, request.requester, authority):
        return _not_a_decider(role, who, authority.directory)
    return None


def _not_a_decider(role: Role, who: Person, directory: Directory) -> Refused:
    if role.escalation and who.id in directory.resolve(role.escalation.approvers):
        return Refused(
            f"You are a backup for {role.name}: you can decide once nobody has decided for"
            f" {format_duration(role.escalation.after)}."
        )
    return Refused(
        f"Only the approvers of {role.name} ({', '.join(role.approvers)}) can decide on this."
    )


def may_approve(
    role: Role, request: Request, who: Person, votes: Sequence[Vote], authority: Authority
) -> Refused | None:
    """Refuses an approval by `who`, a decider, that would not count now. `votes` are those given so
    far."""
    so_far = count(role, request, votes, authority)
    if so_far.tier is None or who.id in so_far.have:
        return None
    if who.id in so_far.earlier:
        return Refused(
            f"You have approved this already. “{so_far.tier.name}” is asked now, and it takes"
            " somebody else."
        )
    if who.id.startswith(OPERATOR):
        return None
    return _not_asked(role, request, who.id, so_far, so_far.tier, authority) or _needed_later(
        role, request, who.id, so_far, so_far.tier, authority
    )


def _not_asked(
    role: Role, request: Request, who: str, so_far: Count, tier: Tier, authority: Authority
) -> Refused | None:
    """Refuses a vote in a tier of other approvers, and the second vote of two people who share an
    approval."""
    if free_seats(role, tier, request.requester, who, so_far.used, authority):
        return None
    right = right_of(role, request.requester, who, authority, tier)
    if right is None:
        return Refused(
            f"“{tier.name}” is asked now ({_counted(so_far, tier)}), and you are not among its"
            " approvers. You can approve when your own tier is asked, and deny at any time."
        )
    if right.seat == who:
        return Refused(
            "Your delegate has approved this in your place. The two of you count as one approval."
        )
    return Refused(
        "The approver for whom you decide has approved this already. The two of you count as one"
        " approval."
    )


def _counted(so_far: Count, tier: Tier) -> str:
    return f"{len(so_far.have)} of {tier.approvals} approvals"


def _needed_later(
    role: Role, request: Request, who: str, so_far: Count, tier: Tier, authority: Authority
) -> Refused | None:
    """Refuses an approval that would leave a later tier without enough people, because a person
    counts in one tier only."""
    seat = free_seats(role, tier, request.requester, who, so_far.used, authority)[0]
    after = replace(so_far, have=(*so_far.have, who), seats=so_far.seats | {seat})
    short = shortage(role, request.requester, authority, after)
    if short is None or shortage(role, request.requester, authority, so_far) is not None:
        return None
    return Refused(
        f"You are needed later, for {_names(short.tiers)}: a person counts in one tier only."
        f" Somebody else has to approve for “{tier.name}”."
    )


def _names(tiers: Iterable[Tier]) -> str:
    return " and ".join(f"“{tier.name}”" for tier in tiers)


def tier_asked(
    role: Role, request: Request, who: str, votes: Iterable[Vote], authority: Authority
) -> str:
    """The name of the tier in which an approval of `who` counts now, "" for a role without
    tiers."""
    tier = count(role, request, [v for v in votes if v.voter != who], authority).tier
    return tier.name if tier else ""


def unchanged(role: Role, request: Request) -> Refused | None:
    """Refuses an approval when the role or its systems have changed in roles.toml since the
    request."""
    if role.fingerprint == request.fingerprint:
        return None
    return Refused(
        f"The role {role.name}, or a system of it, was changed in roles.toml after this was asked,"
        " so approving would not give what you see. Deny it, and let the requester ask again."
    )


def as_approved(leases: Iterable[Lease], systems: Mapping[str, System]) -> Refused | None:
    """Refuses new credentials or a renewal for a grant when roles.toml has changed one of its
    systems since the approval. The access that its holder has stays until its end."""
    changed = [
        each.system
        for each in leases
        if (now := systems.get(each.system)) is None or now.reach != each.reach
    ]
    if not changed:
        return None
    return Refused(
        f"The settings of {', '.join(changed)} in roles.toml are not those that were approved, so"
        " nothing more is given under this access. What you have ends as planned. Press I'm done"
        " and ask again to continue."
    )


def tally(
    role: Role, request: Request, votes: Iterable[Vote], authority: Authority
) -> Approved | NeedsApproval:
    """Whether the votes are enough; if not, the tier that is asked and its approvals so far."""
    so_far = count(role, request, votes, authority)
    if so_far.tier is None:
        return Approved(so_far.earlier)
    return NeedsApproval(so_far.have, so_far.tier.approvals, so_far.tier.name)


def with_vote(votes: Sequence[Vote], vote: Vote) -> list[Vote]:
    """The votes on a request once `vote` is among them, in the order in which they were given. The
    latest terms of a voter replace the earlier ones; the same terms again change nothing."""
    earlier = {each.voter: each for each in votes}
    same = earlier.get(vote.voter)
    if same is not None and replace(same, at=vote.at) == vote:
        return list(votes)
    return sorted(
        [*(each for each in votes if each.voter != vote.voter), vote],
        key=lambda each: (each.at, each.voter),
    )


def terms(request: Request, votes: Iterable[Vote]) -> Terms:
    """The terms that all of these votes allow: the strictest of the approvers sets them. A system
    of which no action is left is left out."""
    votes = list(votes)
    systems = tuple(
        system
        for system in request.systems
        if all(vote.systems is None or system in vote.systems for vote in votes)
    )
    actions = tuple(
        action for action in request.actions if all(action in vote.actions for vote in votes)
    )
    starts = [vote.start_at for vote in votes if vote.start_at is not None]
    duration = min(vote.duration for vote in votes)
    start_at = max((*starts, request.start_at or 0)) if starts else request.start_at
    if not request.system_actions:
        return Terms(duration, start_at, systems, actions)
    each = {
        system: tuple(action for action in request.actions_of(system) if action in actions)
        for system in systems
    }
    left = {name: these for name, these in each.items() if these or not request.actions_of(name)}
    return Terms(duration, start_at, tuple(left), all_actions(left), left)


def something_left(
    role: Role, request: Request, votes: Iterable[Vote], authority: Authority, by: str = ""
) -> Refused | None:
    """Refuses the vote of `by` when approvers would cross out all actions between them. A voter's
    earlier vote is replaced by their later one."""
    latest = list({vote.voter: vote for vote in votes}.values())
    so_far = count(role, request, latest, authority)
    counted = [vote for vote in latest if vote.voter in (*so_far.earlier, *so_far.have, by)]
    left = terms(request, counted or latest)
    if left.systems and (left.actions or not request.actions):
        return None
    what = "action" if left.systems else "system"
    return Refused(
        f"Another approver left out exactly the {what}s that you leave in, so nothing would be"
        f" given. Agree on at least one {what}, or deny.",
        field=f"{what}s",
    )


def narrowed(request: Request, vote: Vote, now: int) -> Refused | None:
    """An approver may give less than was asked for and later, never more, never earlier and never
    nothing; where no actions are the least that a system can give (ssh), none were asked for."""
    if not 0 < vote.duration <= request.duration:
        return Refused(
            f"You can only shorten: {format_duration(request.duration)} were asked for. Enter that"
            " much or less.",
            field="duration",
        )
    if bool(vote.actions) != bool(request.actions) or not set(vote.actions) <= set(request.actions):
        return Refused("Choose at least one of the actions that were asked for.", field="actions")
    if vote.systems is not None and not set(vote.systems) <= set(request.systems):
        return Refused("Choose only systems that were asked for.", field="systems")
    if vote.systems == () or not terms(request, [vote]).systems:
        return Refused("Choose at least one system, and one of its actions.", field="systems")
    return _later(request, vote.start_at, now)


def _later(request: Request, start_at: int | None, now: int) -> Refused | None:
    """Refuses a start that is earlier than asked for."""
    if start_at is None or start_at == request.start_at:
        return None
    if request.renews is not None:
        return Refused("A renewal has no start of its own. Leave the start as it is.", "start")
    if start_at < max(now, request.start_at or 0):
        return Refused(
            "It can only start later than asked for. Choose a later start, or leave it as it is.",
            "start",
        )
    if start_at > now + LATEST_START:
        return Refused(
            f"The start is too far away; {format_duration(LATEST_START)} ahead is the most.",
            "start",
        )
    return None


def too_long_now(role: Role, duration: int) -> Refused | None:
    """Refuses a duration that is above the role's present maximum; the maximum at the time of the
    request does not matter."""
    if duration <= role.max_duration:
        return None
    return Refused(
        f"{role.name} is given for at most {format_duration(role.max_duration)} now, and this"
        f" would be for {format_duration(duration)}. Shorten it with Edit, or deny it.",
        field="duration",
    )


def ticket_asked_now(role: Role, request: Request) -> Refused | None:
    """Refuses access whose ticket is not one that the role asks for now. A renewal has the ticket
    of its first request."""
    if request.renews is not None or ticket_matches(role, request.ticket):
        return None
    given = f"“{request.ticket[:60]}”" if request.ticket else "none"
    return Refused(
        f"{role.name} asks for a ticket like {role.ticket} now, and this request has {given}. It"
        " has to be requested again.",
        field="ticket",
    )


def may_start(
    role: Role | None, request: Request, grant: Grant, holder: Person, directory: Directory
) -> Refused | None:
    """Whether the approved access would still be given, checked again before a system is called."""
    if role is None:
        return Refused(f"The role {grant.role} is no longer in roles.toml. Ask for another role.")
    if role.fingerprint != request.fingerprint:
        return Refused(
            f"The role {role.name}, or a system of it, was changed in roles.toml after this was"
            " asked. Ask again."
        )
    if (unfit := holder.ineligible_reason()) is not None:
        return Refused(f"Its holder can no longer have access: {unfit}.")
    if not role.requesters:
        return Refused(f"{role.name} has no emergency access now. Ask with {slash()} request.")
    if not directory.includes(role.requesters, holder):
        allowed = ", ".join(directory.called(role.requesters))
        return Refused(f"{role.name} is only for {allowed} now. Ask a lead if that is wrong.")
    if grant.duration > role.max_duration:
        longest, approved = format_duration(role.max_duration), format_duration(grant.duration)
        return Refused(
            f"{role.name} is given for at most {longest} now, and this was approved for"
            f" {approved}. Ask for less."
        )
    return ticket_asked_now(role, request)


def nobody_can_decide(role: Role, requester: str, authority: Authority) -> Refused | None:
    """Refuses a request that too few people could ever approve, instead of letting it wait for
    nothing."""
    short = shortage(role, requester, authority)
    if short is None:
        return None
    named, refs = _short_tiers(role, short)
    if short.able == 0:
        return Refused(
            f"Nobody can approve {role.name}{named} right now: its approvers ({refs}) are no one"
            " but you, or no one at all. Ask a lead to correct that."
        )
    if len(short.tiers) > 1:
        return Refused(
            f"{_names(short.tiers)} of {role.name} need {short.need} different people, but only"
            f" {short.able} could approve. Ask a lead to correct that."
        )
    return Refused(
        f"{role.name} needs {short.need} approvals{named}, but only {short.able} other people could"
        " give one. Ask a lead to correct that."
    )


def _short_tiers(role: Role, short: Shortage) -> tuple[str, str]:
    """The tiers as a part of a sentence, "" for a role without tiers, and their approvers."""
    refs = dict.fromkeys(ref for tier in short.tiers for ref in tier.approvers)
    return f" for {_names(short.tiers)}" if role.tiers else "", ", ".join(refs)


def may_renew_pending(
    role: Role, request: Request, grant: Grant | None, vote: Vote, now: int
) -> Refused | None:
    """Refuses a renewal of access that has ended, or of a role that can't be renewed, and one that
    leaves out actions in use. A request that renews nothing passes."""
    if request.renews is None:
        return None
    if grant is None or grant.state is not GrantState.ACTIVE or grant.ends_at <= now:
        return Refused(
            "The access that this would renew has ended meanwhile. The requester can ask for it"
            " again."
        )
    if role.max_renewals == 0:
        return Refused(
            f"{role.name} can no longer be renewed. Deny it, and let the requester ask again when"
            " the access has ended."
        )
    if set(vote.actions) != set(request.actions):
        return Refused(
            "A renewal keeps all actions. Shorten it, or deny it and let the requester ask again.",
            "actions",
        )
    if vote.systems is not None and set(vote.systems) != set(request.systems):
        return Refused(
            "A renewal keeps all systems. Shorten it, or deny it and let the requester ask again.",
            "systems",
        )
    return None
