"""Who may decide on a request and when it is decided. It takes the current role, the current groups
and the stored request and votes, and answers with a value that says why; it doesn't know who
clicked where or what is written down.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.core.durations import format_duration
from bot.core.model import Directory, Grant, GrantState, Lease, Person, Request, Vote
from bot.core.roles import Role, System


@dataclass(frozen=True, slots=True)
class Approved:
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NeedsApproval:
    have: tuple[str, ...]
    need: int


@dataclass(frozen=True, slots=True)
class Refused:
    """No, with the reason as a sentence for the person who asked, and what to do about it. `field`
    names the input that it is about: role, duration, reason, ticket, start or actions. `rule` is
    the denial rule of the role that says no."""

    reason: str
    field: str = ""
    rule: str = ""


OPERATOR = "os:"
"""How the command line's user is called, `os:USER`: whoever may run it on the bot's database may
decide there."""


def deciders(role: Role, request_by: str, directory: Directory) -> frozenset[str]:
    """Everybody who may decide on a request of `request_by` for `role` now. The requester never
    can."""
    return directory.resolve(role.approvers) - {request_by}


def may_decide(
    role: Role | None, request: Request, who: Person, directory: Directory
) -> Refused | None:
    """Whether `who` may approve or deny `request` under the current role and groups; None means
    yes."""
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
    if who.id not in deciders(role, request.requester, directory):
        return Refused(
            f"Only the approvers of {role.name} ({', '.join(role.approvers)}) can decide on this."
        )
    return None


def unchanged(role: Role, request: Request) -> Refused | None:
    """Refuses an approval when roles.toml gives something else now than what was asked for and
    shown."""
    if role.fingerprint == request.fingerprint:
        return None
    return Refused(
        f"The role {role.name}, or a system of it, was changed in roles.toml after this was asked,"
        " so approving would not give what you see. Deny it, and let the requester ask again."
    )


def as_approved(leases: Iterable[Lease], systems: Mapping[str, System]) -> Refused | None:
    """Refuses to give anything more under a grant whose systems give something else in roles.toml
    now than what was approved. What its holder has already stays until its end."""
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
    role: Role, request: Request, votes: Iterable[Vote], directory: Directory
) -> Approved | NeedsApproval:
    """Counts people, not presses: a vote counts once, and only while its voter may still decide."""
    have = tuple(dict.fromkeys(vote.voter for vote in _counted(role, request, votes, directory)))
    if len(have) >= role.approvals:
        return Approved(have)
    return NeedsApproval(have, role.approvals)


def _counted(
    role: Role, request: Request, votes: Iterable[Vote], directory: Directory
) -> list[Vote]:
    entitled = deciders(role, request.requester, directory)
    return [vote for vote in votes if vote.voter in entitled or vote.voter.startswith(OPERATOR)]


def with_vote(votes: Sequence[Vote], vote: Vote) -> list[Vote]:
    """The votes on a request once `vote` is among them, in the order in which they were given. The
    latest terms of a voter replace the earlier ones; the same terms again change nothing."""
    earlier = {each.voter: each for each in votes}
    same = earlier.get(vote.voter)
    if same is not None and (same.duration, same.actions) == (vote.duration, vote.actions):
        return list(votes)
    return sorted(
        [*(each for each in votes if each.voter != vote.voter), vote],
        key=lambda each: (each.at, each.voter),
    )


def terms(request: Request, votes: Iterable[Vote]) -> tuple[int, tuple[str, ...]]:
    """Duration and actions that all of these votes allow: the strictest of the approvers sets the
    terms."""
    votes = list(votes)
    actions = tuple(
        action for action in request.actions if all(action in vote.actions for vote in votes)
    )
    return min(vote.duration for vote in votes), actions


def something_left(
    role: Role, request: Request, votes: Iterable[Vote], directory: Directory
) -> Refused | None:
    """Refuses the latest of `votes` when approvers would cross out all actions between them. A
    voter's earlier vote is replaced by their later one."""
    latest = {vote.voter: vote for vote in votes}
    if (
        not request.actions
        or terms(request, _counted(role, request, latest.values(), directory) or latest.values())[1]
    ):
        return None
    return Refused(
        "Another approver left out exactly the actions that you leave in, so nothing would be"
        " given. Agree on at least one action, or deny.",
        field="actions",
    )


def narrowed(request: Request, duration: int, actions: tuple[str, ...]) -> Refused | None:
    """An approver may give less than was asked for, never more and never nothing; where no actions
    are the least that a system can give (ssh), none were asked for."""
    if not 0 < duration <= request.duration:
        return Refused(
            f"You can only shorten: {format_duration(request.duration)} were asked for. Enter that"
            " much or less.",
            field="duration",
        )
    if bool(actions) != bool(request.actions) or not set(actions) <= set(request.actions):
        return Refused("Choose at least one of the actions that were asked for.", field="actions")
    return None


def too_long_now(role: Role, duration: int) -> Refused | None:
    """Refuses more than the role gives by now, whatever it gave when it was asked for."""
    if duration <= role.max_duration:
        return None
    return Refused(
        f"{role.name} is given for at most {format_duration(role.max_duration)} by now, and this"
        f" would be for {format_duration(duration)}. Shorten it with Edit, or deny it.",
        field="duration",
    )


def may_start(
    role: Role | None, request: Request, grant: Grant, holder: Person, directory: Directory
) -> Refused | None:
    """Whether what was approved would still be given, checked again before a system is told to make
    it."""
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
        return Refused(f"{role.name} has no emergency access now. Ask with /access request.")
    if not directory.includes(role.requesters, holder):
        allowed = ", ".join(directory.called(role.requesters))
        return Refused(f"{role.name} is only for {allowed} now. Ask a lead if that is wrong.")
    if grant.duration > role.max_duration:
        longest, approved = format_duration(role.max_duration), format_duration(grant.duration)
        return Refused(
            f"{role.name} is given for at most {longest} by now, and this was approved for"
            f" {approved}. Ask for less."
        )
    return None


def nobody_can_decide(role: Role, requester: str, directory: Directory) -> Refused | None:
    """Refuses a request that too few people could ever approve, instead of letting it wait for
    nothing."""
    able = len(deciders(role, requester, directory))
    if able >= role.approvals:
        return None
    if able == 0:
        return Refused(
            f"Nobody can approve {role.name} right now: its approvers ({', '.join(role.approvers)})"
            " are no one but you, or no one at all. Ask a lead to put that right."
        )
    return Refused(
        f"{role.name} needs {role.approvals} approvals, but only {able} other people could give"
        " one. Ask a lead to put that right."
    )


def may_renew_pending(
    role: Role, request: Request, grant: Grant | None, actions: tuple[str, ...], now: int
) -> Refused | None:
    """Refuses to extend what is over, or what the role does not renew at all, and to leave out what
    is in use; a request that renews nothing passes."""
    if request.renews is None:
        return None
    if grant is None or grant.state is not GrantState.ACTIVE or grant.ends_at <= now:
        return Refused(
            "The access that this would renew has ended meanwhile. The requester can ask for it"
            " again."
        )
    if role.max_renewals == 0:
        return Refused(
            f"{role.name} can't be renewed by now. Deny it, and let the requester ask again when"
            " the access has ended."
        )
    if set(actions) != set(request.actions):
        return Refused(
            "A renewal keeps all actions. Shorten it, or deny it and let the requester ask again.",
            "actions",
        )
    return None
