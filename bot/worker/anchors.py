"""Takes anchors to where the database is not, and verifies the log against them."""

from collections.abc import Sequence

from bot.core.anchors import STAMPED_WITHIN, Anchor, AnchorSource, CheckStamp, without_gaps
from bot.core.errors import SystemUnavailable
from bot.core.roles import Workspace
from bot.operations._unit_of_work import Context
from bot.operations.audit.anchor_head import record_stamp
from bot.operations.audit.record_verified import record_verified
from bot.operations.audit.verify_audit import Outside, verdict_text, verify_audit
from bot.operations.audit.written_anchors import written_anchors
from bot.operations.claim_work import Work
from bot.sources import anchor_file
from bot.sources.time_stamps import StampCheck, stamp
from bot.worker.deps import HandlerDeps


def write_anchor(deps: HandlerDeps, work: Work) -> None:
    """Appends an anchor to the anchor file."""
    if path := deps.world.policy().workspace.anchor_file:
        anchor_file.append(path, _anchor(work))


def stamp_anchor(deps: HandlerDeps, work: Work) -> None:
    """Gets a time stamp for an anchor, unless it would be too late to prove its time."""
    workspace, anchor = deps.world.policy().workspace, _anchor(work)
    if workspace.tsa_url and deps.world.now() <= anchor.at + STAMPED_WITHIN:
        token = stamp(workspace.tsa_url, workspace.tsa_ca, anchor)
        stamped = Anchor(anchor.seq, anchor.hash, anchor.at, token)
        work.finish(record_stamp, stamped)


def verify_log(deps: HandlerDeps, work: Work) -> None:
    """Verifies the audit log and answers the lead who asked."""
    verdict = verify_audit(deps.world, outside=outside(deps.world))
    incident = "" if verdict.broken is None else "\nThis is an incident."
    deps.messenger.answer_text(work, verdict_text(verdict) + incident)
    if verdict.is_intact:
        work.finish(record_verified, work.data["person"], verdict.records, verdict.head)


def outside(world: Context) -> Outside:
    """The anchors outside of the database, and the check of their time stamps. Raises
    StorageUnavailable."""
    workspace = world.policy().workspace
    # The log is read before the file, so that the file has every anchor that the log has.
    return outside_of(workspace, written_anchors(world, workspace.anchor_file))


def outside_of(workspace: Workspace, written: Sequence[Anchor]) -> Outside:
    """As `outside`; the anchor file must have the anchors `written`."""
    path = workspace.anchor_file
    sources = [without_gaps(anchor_file.read(path), written)] if path else []
    check: CheckStamp | None = None
    if workspace.tsa_ca:
        try:
            check = StampCheck(workspace.tsa_ca)
        except SystemUnavailable as error:
            sources.append(AnchorSource("tsa_ca", problem=str(error)))
    return Outside(sources, check)


def _anchor(work: Work) -> Anchor:
    data = work.data
    return Anchor(data["seq"], data["hash"], data["at"], data.get("token", ""))
