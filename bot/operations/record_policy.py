"""A roles.toml was read, or could not be: both are on record, once for each content and whatever the number of
processes that read it.
"""

from collections.abc import Sequence

from bot.core.audit import Event
from bot.core.errors import Problem
from bot.core.policy import Policy
from bot.operations._judge_start import judge_scheduled
from bot.operations._unit import SYSTEM, World, unit
from bot.operations.record_people import warn_undecidable
from storage import facts

_LOADED, _REJECTED = "policy loaded", "policy rejected"


def record_loaded(world: World, policy: Policy) -> None:
    """`policy` is in force from now on. Raises StorageUnavailable."""
    with unit(world) as u:
        facts.put(u.db, _REJECTED, "")
        if not facts.put(u.db, _LOADED, policy.digest):
            return
        u.note(Event.POLICY_LOADED, SYSTEM, file=policy.file, sha256=policy.digest, roles=sorted(policy.roles))
        warn_undecidable(u)
        judge_scheduled(u)


def record_rejected(world: World, digest: str, problems: Sequence[Problem]) -> None:
    """A changed file is bad; the last good one stays in force. `digest` tells one bad content from the next."""
    with unit(world) as u:
        if not facts.put(u.db, _REJECTED, digest):
            return
        lines = [str(problem) for problem in problems]
        u.note(Event.POLICY_REJECTED, SYSTEM, sha256=digest, problems=lines[:20])
        u.tell_leads("policy_rejected", problems=lines[:10], count=len(lines))
