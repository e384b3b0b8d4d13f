"""A roles.toml was read, or could not be: both are on record, once for each content and whatever the number of
processes that read it.
"""

import json
from collections.abc import Sequence

from bot.core import effects
from bot.core.audit import Event
from bot.core.errors import Problem
from bot.core.policy import Policy
from bot.core.policy_changes import Change, changes, summary
from bot.operations._judge_start import judge_scheduled
from bot.operations._unit import SYSTEM, Unit, World, unit
from bot.operations.record_people import warn_undecidable
from storage import facts

_LOADED, _REJECTED, _SUMMARY = "policy loaded", "policy rejected", "policy summary"

RECORDED = 200
TOLD = 30
"""How many changes are in the audit record, and in the message to the security channel."""


def record_loaded(world: World, policy: Policy) -> list[Change]:
    """`policy` is in force from now on. Returns its changes to the caller that recorded them, and nothing to others.

    Raises StorageUnavailable.
    """
    with unit(world) as u:
        facts.put(u.db, _REJECTED, "")
        other_text = facts.put(u.db, _LOADED, policy.digest)  # from here on, other processes wait
        old, new = facts.get(u.db, _SUMMARY), summary(policy)
        other_meaning = facts.put(u.db, _SUMMARY, json.dumps(new))  # the environment may have changed, too
        if not other_text and not other_meaning:
            return []
        found = changes(json.loads(old), new) if old else []
        u.note(
            Event.POLICY_LOADED,
            SYSTEM,
            file=policy.file,
            sha256=policy.digest,
            roles=sorted(policy.roles),
            changes=[str(each) for each in found[:RECORDED]],
            loosening=sum(each.loosens for each in found),
        )
        if old and found:
            _tell(u, json.loads(old)["workspace"]["security_channel"], found)
        warn_undecidable(u)
        judge_scheduled(u)
        return found


def _tell(u: Unit, channel_before: str, found: Sequence[Change]) -> None:
    """Also tells the channel that was the security channel so far: moving it must not be a way to hide the rest."""
    looser = [str(each) for each in found if each.loosens]
    other = [str(each) for each in found if not each.loosens]
    room = max(0, TOLD - len(looser))
    about = {
        "looser": looser[:TOLD],
        "other": other[:room],
        "loosening": len(looser),
        "count": len(found),
    }
    u.tell_leads("policy_changed", **about)
    if channel_before and channel_before != u.policy.workspace.security_channel:
        u.do(effects.tell_security(channel_before, "policy_changed", **about))


def record_rejected(world: World, digest: str, problems: Sequence[Problem]) -> None:
    """A changed file is bad; the last good one stays in force. `digest` tells one bad content from the next."""
    with unit(world) as u:
        if not facts.put(u.db, _REJECTED, digest):
            return
        lines = [str(problem) for problem in problems]
        u.note(Event.POLICY_REJECTED, SYSTEM, sha256=digest, problems=lines[:20])
        u.tell_leads("policy_rejected", problems=lines[:10], count=len(lines))
