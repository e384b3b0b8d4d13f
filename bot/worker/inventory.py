"""Scans the access on every connected system, and removes orphans that a lead has confirmed.
`bot/operations/systems/reconcile.py` records the result and notifies people."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from bot.connectors import Systems
from bot.connectors.base import Connector, Lists
from bot.connectors.fan_out import FanOut
from bot.connectors.health import Health
from bot.core.drift import Finding, ScanResult, What, compare
from bot.core.errors import AccessBotError, SystemRefused, SystemUnavailable
from bot.core.model import GrantState, ProvisionOrder
from bot.core.plurals import counted
from bot.operations._unit_of_work import Context
from bot.operations.grants.record_results import order_for
from bot.operations.systems.expected_access import expected_access, known_systems
from bot.operations.systems.remove_orphan import Removal, to_remove

PATIENCE = 60.0
"""Seconds to wait for all systems together."""

ROOM = 0.8
"""The share of that time after which a system gets no more calls, so that its answers are not
lost."""


class InventoryScan:
    """The scans of one process."""

    def __init__(
        self,
        world: Context,
        systems: Systems,
        patience: float = PATIENCE,
        health: Health | None = None,
    ) -> None:
        self._world, self._systems, self._patience = world, systems, patience
        self._fan_out, self._health = FanOut(), health

    def stop(self) -> None:
        """Stops waiting for the answers of systems."""
        self._fan_out.stop()

    def scan(self) -> list[ScanResult]:
        """The scan results of all systems, in the order of roles.toml. Raises StorageUnavailable,
        and SystemUnavailable if it is stopped meanwhile."""
        places = known_systems(self._world)
        until = time.monotonic() + self._patience * ROOM
        questions = {_place(*place): partial(self._seen, *place, until) for place in places}
        answers = self._fan_out.ask(questions, self._patience)
        seen = [_result(name, answers[_place(name, kind)]) for name, kind in places]
        return [
            _joined(name, [one for one in seen if one.system == name])
            for name in dict.fromkeys(n for n, _ in places)
        ]

    def remove(self, finding_id: str) -> Removal | None:
        """Removes it and checks that it is gone. Returns None if there is nothing to remove, or no
        longer a reason."""
        finding = to_remove(self._world, finding_id)
        if finding is None:
            return None
        answer = self._fan_out.ask(
            {finding.system: partial(self._remove, finding)}, self._patience
        )[finding.system]
        return Removal(finding, str(answer) if isinstance(answer, AccessBotError) else "")

    # --- one system

    def _seen(self, name: str, kind: str, until: float) -> ScanResult:
        with self._health.watching(name) if self._health else nullcontext():
            return self._asked(self._systems.of(name, kind), name, kind, until)

    def _asked(self, connector: Connector, name: str, kind: str, until: float) -> ScanResult:
        listed = [*connector.list_active()] if isinstance(connector, Lists) else []
        leases = [
            each
            for each in expected_access(self._world, name, [f.grant for f in listed])
            if each.connector == kind
        ]
        if isinstance(connector, Lists):
            differs = [*compare(name, listed, {lease.grant: lease.state for lease in leases})]
            found = self._there(
                connector, [each for each in differs if each.what is not What.MISSING]
            )
            doubtful = [each for each in differs if each.what is What.MISSING]
        else:
            ended, found = [lease.grant for lease in leases if lease.state is GrantState.ENDED], []
            doubtful = [
                Finding(name, What.LINGERING, grant=each, detail="reported by the system")
                for each in ended
            ]
        for place, each in enumerate(doubtful):
            if time.monotonic() > until:
                left = counted(len(doubtful) - place, "grant")
                problem = f"it is slow: not checked: {left} of {len(doubtful):,}"
                return ScanResult(name, tuple(found), problem)
            if self._is_so(connector, each):
                found.append(each)
        return ScanResult(name, tuple(found))

    def _there(self, connector: Lists, differs: Sequence[Finding]) -> list[Finding]:
        """The unexpected access, checked a second time, because a revocation may have been
        running."""
        again = {found.name for found in connector.list_active()} if differs else set()
        return [each for each in differs if each.name in again]

    def _is_so(self, connector: Connector, each: Finding) -> bool:
        """Whether the system confirms a doubtful finding about this grant. A missing grant must be
        active before and after the query."""
        should_be = each.what is What.MISSING
        order = order_for(self._world, each.grant, each.system, still_active=should_be)
        if order is None or self._is_there(connector, order, each) is should_be:
            return False
        return (
            not should_be
            or order_for(self._world, each.grant, each.system, still_active=True) is not None
        )

    @staticmethod
    def _is_there(connector: Connector, order: ProvisionOrder, each: Finding) -> bool:
        """All of the access if only a part was missing, else any of it."""
        if each.what is What.MISSING and each.detail and isinstance(connector, Lists):
            return not any(
                found.lacks for found in connector.list_active() if found.grant == each.grant
            )
        return connector.read_back(order)

    def _remove(self, finding: Finding) -> None:
        """Removes it. Raises SystemUnavailable or SystemRefused unless it is gone."""
        connector = self._systems.of(finding.system, self._kind(finding))
        if not finding.name:
            return self._end(connector, finding)
        if not isinstance(connector, Lists):
            raise SystemRefused("not_listed", f"{finding.system} can no longer list its access")
        for found in [each for each in connector.list_active() if each.name == finding.name]:
            connector.remove(found)
        if any(each.name == finding.name for each in connector.list_active()):
            raise SystemUnavailable(f"{finding.system} still has it")
        return None

    def _end(self, connector: Connector, finding: Finding) -> None:
        order = order_for(self._world, finding.grant, finding.system)
        if order is None:
            raise SystemRefused("no_grant", "its grant is no longer on record")
        connector.revoke(order)
        if connector.read_back(order):
            raise SystemUnavailable(f"{finding.system} still has it")

    def _kind(self, finding: Finding) -> str:
        kinds = [kind for name, kind in known_systems(self._world) if name == finding.system]
        if not kinds:
            raise SystemUnavailable(f"{finding.system} is no longer in roles.toml: add it again")
        return kinds[0]


def _place(name: str, kind: str) -> str:
    return f"{name} ({kind})"


def _result(name: str, answer: ScanResult | AccessBotError) -> ScanResult:
    return answer if isinstance(answer, ScanResult) else ScanResult(name, problem=str(answer))


def _joined(name: str, seen: Sequence[ScanResult]) -> ScanResult:
    """The connectors of a system: one for each kind that it has had."""
    problems = "; ".join(one.problem for one in seen if one.problem)
    return ScanResult(name, tuple(each for one in seen for each in one.findings), problems)
