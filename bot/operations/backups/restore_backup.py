"""Puts a copy of the database back. Access in the copy may have ended since, so all of it ends, and
nothing is given until an operator allows it again."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event, rfc3339
from bot.core.lifecycle import Move
from bot.core.model import RampState
from bot.operations._absence import end_delegation
from bot.operations._api_tokens import end_token
from bot.operations._end_grant import withdraw
from bot.operations._preapprovals import take_back
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, unit
from bot.operations.audit.verify_audit import Verdict, verdict_text, verify_audit
from bot.operations.grants.panic import end_all
from bot.operations.onboarding.end_ramp import end_ramp
from bot.operations.onboarding.shared import ramp_record
from storage import (
    audit,
    copies,
    delegations,
    key_values,
    outbox,
    preapprovals,
    programs,
    ramps,
    requests,
    streams,
    times,
)
from storage.database import Database

WHY = "The database was restored from an older copy, so this may have ended since."
RUNNING = Refused(
    "A process of the bot has the database open. Stop every process, then restore again."
)


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore: the time of the copy (UTC seconds), the numbers of ended grants and
    withdrawn requests, the verdict about its log, and the new place of the earlier database."""

    copied_at: int
    ended: int
    withdrawn: int
    verdict: Verdict
    aside: Path | None = None


def restore_sqlite(world: Context, by: str, file: Path) -> Restored | Refused:
    """Works on a second copy, and replaces the database last: until then nothing has changed.
    Raises StorageUnavailable, SchemaMismatch and SystemRefused."""
    target = copies.sqlite_path(world.db.url)
    part = target.with_name(f"{target.name}.restoring")
    part.unlink(missing_ok=True)
    try:
        copies.copy_sqlite(file, part)
        if not copies.is_ours(part):
            return Refused(f"{file} is not a copy of this program's database.")
        with _opened(world, f"sqlite:///{part}") as copy:
            verdict = verify_audit(copy)
            if verdict.broken is not None:
                return Refused(f"The copy can't be trusted. {verdict_text(verdict)}")
            done = _settled(copy, by, verdict)
        if target.exists() and not copies.claim_sqlite(target):
            return RUNNING
        copies.claim_sqlite(part)
        moment = rfc3339(world.now()).replace(":", "")
        aside = copies.put_back(part, target, target.with_name(f"{target.name}.before-{moment}"))
        return replace(done, aside=aside)
    finally:
        part.unlink(missing_ok=True)


def restore_postgres(world: Context, by: str, file: Path) -> Restored | Refused:
    """Replaces the tables, then ends the access in them. If it fails in between, it must run again
    before a process starts. Raises StorageUnavailable, SchemaMismatch, SystemUnavailable and
    SystemRefused."""
    if copies.in_use(world.db.url):
        return RUNNING
    copies.restore_postgres(world.db.url, file)
    with _opened(world, world.db.url) as copy:
        return _settled(copy, by, verify_audit(copy))


@contextmanager
def _opened(world: Context, url: str) -> Iterator[Context]:
    with closing(Database(url)) as db:
        db.migrate()
        chain = audit.Chain(world.chain.seals)
        yield Context(db, world.now, world.policy, chain, world.sign, source=world.source)


def _settled(copy: Context, by: str, verdict: Verdict) -> Restored:
    """Ends all access and requests of the copy, in one transaction."""
    with copy.db.reading():
        copied_at = times.newest(copy.db)
    with unit(copy) as u:
        ended = end_all(u, by, WHY)
        pending = requests.pending(u.db, 1_000_000)
        withdrawn = sum(withdraw(u, request, by, WHY) for request in pending)
        _end_rights(u, by)
        outbox.keep_ends(u.db)
        streams.release_all(u.db)
        key_values.drop(u.db, copies.COPIED)
        key_values.switch_on(u.db, "all", "", by, u.now)
        u.note(
            Event.COPY_RESTORED,
            by,
            copied_at=rfc3339(copied_at),
            ended=ended,
            withdrawn=withdrawn,
        )
        u.notify_leads("copy_restored", by=by, at=copied_at, ended=ended, withdrawn=withdrawn)
        u.do(effects.reconcile(SYSTEM, ""))
    return Restored(copied_at, ended, withdrawn, verdict)


def _end_rights(u: UnitOfWork, by: str) -> None:
    """Ends pre-approvals, delegations and planned onboardings, which give or decide without a new
    approval, and pauses the other onboardings."""
    for given in preapprovals.every(u.db, u.now):
        take_back(u, given, by, WHY)
    for delegation in delegations.all_of(u.db):
        end_delegation(u, delegation, by, WHY)
    for token in programs.tokens_to_revoke(u.db, u.now):
        end_token(u, token, by, WHY)
    for ramp in ramps.open_ramps(u.db):
        if ramp.state is RampState.PLANNED:
            end_ramp(u, ramp, Move.END, by, WHY)
        elif ramps.move(u.db, ramp.id, Move.PAUSE, paused_at=u.now):
            ramp_record(u, Event.RAMP_PAUSED, by, ramp, because=WHY)
