"""Records that a roles.toml was loaded or rejected, once for each content however many processes
read it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core import effects
from bot.core.audit import Event
from bot.core.errors import Problem
from bot.core.policy_changes import Change, changes, summary
from bot.core.roles import Policy
from bot.operations._bind_references import bind_references
from bot.operations._judge_start import judge_scheduled
from bot.operations._preapprovals import end_lost
from bot.operations._unit_of_work import (
    POLICY_IN_FORCE,
    SYSTEM,
    Context,
    Snapshot,
    UnitOfWork,
    unit,
)
from bot.operations.onboarding.shared import refresh_ramp
from bot.operations.people.record_people import warn_undecidable
from storage import key_values, people, ramps

_LOADED, _REJECTED, _SUMMARY = "policy loaded", "policy rejected", "policy summary"
_TEXT = "policy text"
"""The digest of the content whose text is in the log."""

RECORDED = 200
MOST_CHANGES = 30
"""The number of changes in the audit record and in the message to the security channel."""


def record_loaded(world: Context, policy: Policy, revision: str = "") -> list[Change]:
    """Records that `policy` is in force. Returns its changes to the caller that recorded them, and
    nothing to others.

    `revision` is the version of the file in its repository, "" if unknown. Raises
    StorageUnavailable.
    """
    with unit(world) as u:
        key_values.put(u.db, _REJECTED, "")
        # Other processes wait from here on.
        other_text = key_values.put(u.db, _LOADED, policy.digest)
        key_values.put(u.db, POLICY_IN_FORCE, policy.version)
        old, new = key_values.get(u.db, _SUMMARY), summary(policy)
        # The environment may have changed, too.
        other_meaning = key_values.put(u.db, _SUMMARY, json.dumps(new))
        to_keep = key_values.put(u.db, _TEXT, policy.digest)
        if not other_text and not other_meaning and not to_keep:
            return []
        found = changes(json.loads(old), new) if old else []
        u.note(
            Event.POLICY_LOADED,
            SYSTEM,
            file=policy.file,
            **_content(policy, revision, other_text or to_keep),
            roles=sorted(policy.roles),
            changes=[str(each) for each in found[:RECORDED]],
            loosening=sum(each.loosens for each in found),
            high_risk=sorted(name for name, role in policy.roles.items() if role.risk == "high"),
        )
        if old and found:
            _notify(u, json.loads(old)["workspace"]["security_channel"], found)
        _apply(u)
        return found


def _apply(u: UnitOfWork) -> None:
    """Applies the consequences of new roles to requests, pre-approvals and onboardings."""
    bind_references(u)
    warn_undecidable(u)
    judge_scheduled(u)
    end_lost(u)
    for ramp in ramps.open_ramps(u.db):
        refresh_ramp(u, ramp)


def _content(policy: Policy, revision: str, with_text: bool) -> dict[str, Any]:
    """Returns the recorded content. `sha256` covers only the recorded text: a digest that includes
    the secrets would let them be guessed."""
    text, secrets = policy.redacted()
    found: dict[str, Any] = {"sha256": hashlib.sha256(text.encode()).hexdigest()}
    if secrets:
        found["redacted"] = secrets
    if with_text:
        found["text"] = text
    if revision:
        found["revision"] = revision
    return found


def is_outdated(world: Context) -> bool:
    """Returns whether another process has loaded another roles.toml since. Raises
    StorageUnavailable."""
    with world.db.reading():
        return Snapshot(world).outdated


def warn_outdated(world: Context, host: str) -> None:
    """Notifies the security channel, once for each pair of files, that two hosts have different
    ones. Raises StorageUnavailable."""
    with unit(world) as u:
        if not u.outdated:
            return
        pair = f"{key_values.get(u.db, POLICY_IN_FORCE)}:{u.policy.version}"
        channel = (
            json.loads(key_values.get(u.db, _SUMMARY) or "{}")
            .get("workspace", {})
            .get("security_channel")
        )
        if channel and key_values.claim_key(u.db, f"outdated:{pair}", u.now):
            u.do(effects.notify_security(channel, "policy_outdated", host=host, file=u.policy.file))


def _notify(u: UnitOfWork, channel_before: str, found: Sequence[Change]) -> None:
    """Also notifies the previous security channel: moving it must not be a way to hide the other
    changes."""
    looser = [str(each) for each in found if each.loosens]
    other = [str(each) for each in found if not each.loosens]
    room = max(0, MOST_CHANGES - len(looser))
    about = {
        "looser": _with_names(u, looser[:MOST_CHANGES]),
        "other": _with_names(u, other[:room]),
        "loosening": len(looser),
        "count": len(found),
    }
    u.notify_leads("policy_changed", **about)
    if channel_before and channel_before != u.policy.workspace.security_channel:
        u.do(effects.notify_security(channel_before, "policy_changed", **about))


def _with_names(u: UnitOfWork, texts: Sequence[str]) -> list[str]:
    """Returns the texts with a name behind each known id of a group or person."""
    ids = {id for text in texts for id in _ID.findall(text)}
    names = {id: person.name for id, person in people.several(u.db, ids).items()}
    names |= {id: handle for handle, id in u.directory.handles.items()}
    return [_ID.sub(lambda match: _with_name(match[0], names), text) for text in texts]


def _with_name(id: str, names: Mapping[str, str]) -> str:
    return f"{id} ({names[id]})" if id in names else id


_ID = re.compile(r"\b[SUW][A-Z0-9]{2,20}\b")


def record_rejected(world: Context, digest: str, problems: Sequence[Problem]) -> None:
    """Records a bad new file; the last good one stays in force. `digest` distinguishes bad
    contents."""
    with unit(world) as u:
        if not key_values.put(u.db, _REJECTED, digest):
            return
        lines = [str(problem) for problem in problems]
        u.note(Event.POLICY_REJECTED, SYSTEM, sha256=digest, problems=lines[:20])
        u.notify_leads("policy_rejected", problems=lines[:10], count=len(lines))
