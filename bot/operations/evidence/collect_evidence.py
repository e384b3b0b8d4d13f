"""Collects the tables of the folder of evidence, row by row, as the database was at one moment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from bot.core.audit import parsed_detail
from bot.core.evidence import (
    Cover,
    Period,
    PolicyText,
    Sample,
    Table,
    high_risk_roles,
    lateness,
    listed,
    moment,
    pairs,
    policies_of,
)
from bot.core.flags.flag import Flag
from bot.core.record_lines import lines_of, sentence
from bot.core.recorded_paths import paths_digest
from bot.core.usage import Known
from bot.operations._unit_of_work import SYSTEM, Context
from bot.operations.audit.changed_paths import paths_record
from bot.operations.audit.verify_audit import Verdict, verdict_text
from bot.operations.reviews.describe_campaign import review_report
from storage import audit, evidence, flags, recorded_paths
from storage.database import Reads

Row = tuple[Any, ...]
Names = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The content of the folder. `tables` and `policies` are read while they are written, in this
    order; `reviews` has the lines of a CSV file."""

    cover: Cover
    policies: Iterator[PolicyText]
    tables: Sequence[Table]
    reviews: Iterator[str]


def collect_evidence(
    world: Context,
    view: Reads,
    period: Period,
    sample: Sample,
    verdict: Verdict,
    by: str,
    version: str,
) -> Evidence:
    """The evidence of a period from a snapshot `view`, which stays open until all of it was
    written. Raises StorageUnavailable, also while the rows are read."""
    head = audit.head(view)
    count, first, last = evidence.bounds(view, period.start, period.end)
    result = "broken" if verdict.broken else "unchecked" if verdict.unchecked else "intact"
    votes = evidence.operator_votes(view, period.start, period.end)
    cover = Cover(
        *(period, count, first, last, world.now(), by, version, sample),
        *(head.seq if head else 0, head.hash if head else "", result, verdict_text(verdict), votes),
        archived=verdict.archived,
    )
    risky: set[str] = set()
    folder = _Folder(world, view, period, sample, evidence.names(view), risky)
    return Evidence(
        cover, folder.policies(), [*folder.tables()], review_report(view, folder.campaigns())
    )


class _Folder:
    """Makes the tables. `risky` has the roles of high risk, once the policies were read."""

    def __init__(
        self,
        world: Context,
        view: Reads,
        period: Period,
        sample: Sample,
        names: Names,
        risky: set[str],
    ) -> None:
        self._world, self._view, self._sample = world, view, sample
        self._names, self._risky, self._period = names, risky, period
        self._span = (period.start, period.end)

    def campaigns(self) -> list[str]:
        return evidence.campaigns(self._view, *self._span)

    def policies(self) -> Iterator[PolicyText]:
        rows = evidence.policies(self._view)
        for policy in policies_of(rows, self._period):
            self._risky.update(high_risk_roles(policy.text))
            yield policy

    def tables(self) -> Iterator[Table]:
        """Each file, the sample after the grants from which it is drawn."""
        yield from self._populations()
        yield from self._access()
        yield from self._exceptions()
        yield from self._irregularities()

    def _populations(self) -> Iterator[Table]:
        yield Table(
            "population-requests.csv",
            *(REQUEST_COLUMNS, self._requests()),
            "Which access was asked for in the period, and how was each request decided?",
            "Every request that was made in the period, in the order of the log. It is complete:"
            " the log has one record `request:access:asked` for each, and its number is in `seq`.",
            "requests that were refused before they were made, such as those of people who may not"
            " ask; each is a record `request:action:refused` or `request:rule:denied`.",
        )
        yield Table(
            "population-grants.csv",
            *(GRANT_COLUMNS, self._grants(self._sample)),
            "Who had access in the period, and by which decision?",
            "Every grant that was approved before the end of the period and had not ended before"
            " its beginning. `seq` is the record of its decision.",
        )
        yield Table(
            "sample.csv",
            *(SAMPLE_COLUMNS, self._stories()),
            "Can single grants be followed from the request to the end?",
            f"Up to {self._sample.size} grants of `population-grants.csv` with every record about"
            f" them. They are the ones with the lowest SHA-256 of `{self._sample.seed}:GRANT`, so"
            " that anybody can draw the same sample again.",
        )

    def _access(self) -> Iterator[Table]:
        for at in dict.fromkeys((self._period.start, self._period.end)):
            yield Table(
                f"access-on-{moment(at).replace(':', '')}.csv".replace("T000000Z", ""),
                *(GRANT_COLUMNS, self._held_at(at)),
                f"Who held what at {moment(at)}?",
                "Every grant that had started and whose end was not yet confirmed at that moment.",
            )
        yield Table(
            "ends.csv",
            *(END_COLUMNS, self._ends()),
            "Did access end on time, and how was that proved?",
            "Every end that was asked for before the end of the period and was not confirmed before"
            " its beginning, for each system. An end is due at the planned time, or at once where"
            " somebody ended the access earlier. It counts as confirmed only after the system was"
            " asked, and no longer showed the access.",
        )
        yield Table(
            "leavers.csv",
            *(LEAVER_COLUMNS, self._leavers()),
            "Did people who left lose their access?",
            "Everybody whose account in Slack was found deactivated in the period.",
            "the moment of the deactivation, because Slack does not report it. `noticed_at` is"
            " when the bot learned of it, within a minute for people with access. Of somebody who"
            " came back and left again, only the last time is shown.",
        )

    def _exceptions(self) -> Iterator[Table]:
        yield Table(
            "emergencies.csv",
            *(EMERGENCY_COLUMNS, self._emergencies()),
            "Which access was taken in an emergency, before anybody approved it?",
            "Every emergency that started in the period, or whose review was open or was signed in"
            " it, with its reason and the conclusion of its review. A drill is an exercise with"
            " real access.",
        )
        yield Table(
            "privileged.csv",
            *(PRIVILEGED_COLUMNS, self._privileged()),
            "Who held roles of high risk, and did they use them?",
            "Every grant of the period of a role that a roles.toml in force in the period marks"
            ' with `risk = "high"`, for each system; a role that nobody held has one row without a'
            " grant.",
            "use on systems that do not report it; `use_known` says so.",
        )
        yield Table(
            "used-paths.csv",
            *(PATH_COLUMNS, self._paths()),
            "What did people do on systems that record the paths of requests?",
            "Every path that was requested in the period with a grant on a system with"
            ' `record = "paths"`. `proof` names the record that has the SHA-256 of the paths that'
            " the grant used there; it is written after the end.",
            "queries and bodies of requests, paths beyond the first 500 of a grant, and what"
            " `[retention] usage` has deleted.",
        )

    def _irregularities(self) -> Iterator[Table]:
        yield Table(
            "self-approvals.csv",
            *(SELF_COLUMNS, self._self_approvals()),
            "Did anybody decide on their own request?",
            "Every vote or approval of the period in which the requester is the voter, one of the"
            " approvers, or the person in whose place somebody decided. This file has to be empty.",
            "emergencies, which are in `emergencies.csv`.",
        )
        yield Table(
            "flags.csv",
            *(FLAG_COLUMNS, self._flags()),
            "Which unusual patterns were noticed, and what was done about them?",
            "Every flag that a rule raised in the period, with its answer and the reason for it.",
        )

    # --- rows

    def _who(self, id: str | None) -> tuple[str, str]:
        """Id and name of an actor, for two cells."""
        return (id or "", self._names.get(id or "", ("", ""))[0])

    def _requests(self) -> Iterator[Row]:
        for row in evidence.requests(self._view, *self._span):
            seq, at, request, person, role, systems, actions, duration, reason, ticket = row[:10]
            renews, state, decided_at, decided_by, why, urgency, program, values = row[10:]
            yield (
                *(seq, moment(at), request, *self._who(person), self._email(person)),
                *(role, listed(systems), listed(actions), duration, reason, ticket, renews or ""),
                *(state, moment(decided_at), decided_by or "", self._deciders(decided_by)),
                *(why, urgency, program, pairs(values)),
            )

    def _grants(self, sample: Sample) -> Iterator[Row]:
        for row in evidence.grants(self._view, *self._span):
            sample.offer(row[1], row[2])
            yield self._grant(row)

    def _held_at(self, at: int) -> Iterator[Row]:
        return map(self._grant, evidence.held_at(self._view, at))

    def _grant(self, row: Row) -> Row:
        seq, grant, request, person, role, systems, actions, state = row[:8]
        starts_at, ends_at, started_at, ended_at, renewals, why, end_by = row[8:15]
        decided_at, decided_by, reason, ticket, urgency, values = row[15:]
        return (
            *(seq or "", grant, request, *self._who(person), self._email(person), role),
            *(listed(systems), listed(actions), state, moment(starts_at), moment(ends_at)),
            *(moment(started_at), moment(ended_at), renewals, why or "", end_by or ""),
            *(moment(decided_at), decided_by or "", self._deciders(decided_by)),
            *(reason, ticket, urgency, pairs(values)),
        )

    def _email(self, id: str) -> str:
        return self._names.get(id, ("", ""))[1]

    def _deciders(self, ids: str | None) -> str:
        return ", ".join(self._names.get(id, (id, ""))[0] for id in (ids or "").split(",") if id)

    def _named(self, id: str) -> str:
        return "Access Bot" if id == SYSTEM else self._names.get(id, (id, ""))[0]

    def _stories(self) -> Iterator[Row]:
        for number, (grant, request) in enumerate(self._sample.drawn(), 1):
            records = evidence.story(self._view, request, grant)
            for record, line in zip(records, lines_of(records), strict=True):
                yield (
                    *(number, grant, record.request, record.seq, moment(record.at), record.event),
                    *(*self._who(record.actor), record.system, sentence(line, self._named)),
                    *("; ".join(line.more), record.detail, record.hash),
                )

    def _ends(self) -> Iterator[Row]:
        now = self._world.now()
        for row in evidence.ends(self._view, *self._span):
            grant, person, role, system, asked_seq, asked_at, by, reason, asked = row[:9]
            seq, recorded, proof = row[9:]
            details, ended = parsed_detail(asked), parsed_detail(proof or "")
            planned = int(str(details.get("ends_at", asked_at)))
            confirmed = ended.get("ended_at")
            late = lateness(
                asked_at, planned, int(str(confirmed)) if confirmed else None, recorded, now
            )
            proved = f"the system was asked and no longer showed it (record {seq})"
            yield (
                *(
                    grant,
                    *self._who(person),
                    role,
                    system,
                    moment(planned),
                    str(details.get("why")),
                ),
                *(moment(asked_at), by, reason, asked_seq, moment(late.due)),
                *(moment(late.confirmed), late.seconds),
                proved if seq else "not confirmed yet; the bot keeps asking the system",
            )

    def _leavers(self) -> Iterator[Row]:
        for *who, left_at, ended_at, held, is_back in evidence.leavers(self._view, *self._span):
            after = max(0, ended_at - left_at) if ended_at and not held else ""
            back = "yes" if is_back else "no"
            yield (*who, moment(left_at), moment(ended_at), after, held, back)

    def _emergencies(self) -> Iterator[Row]:
        for row in evidence.emergencies(self._view, *self._span):
            request, grant, person, role, urgency, declared_by, alone, started = row[:8]
            ended, reason, signed_at, signed_by, conclusion = row[8:]
            yield (
                *(request, grant, *self._who(person), role, urgency, *self._who(declared_by)),
                *("no" if alone else "yes", moment(started), moment(ended), reason),
                *(moment(signed_at), *self._who(signed_by), conclusion),
            )

    def _privileged(self) -> Iterator[Row]:
        unheld = set(self._risky)
        rows = evidence.grants_of(self._view, *self._span, sorted(unheld)) if unheld else iter(())
        for row in rows:
            grant, person, role, started, ended = row[1], row[3], row[4], row[10], row[11]
            unheld.discard(role)
            first = (role, grant, *self._who(person), moment(started), moment(ended))
            uses = evidence.uses(self._view, grant)
            for system, detail in uses.items():
                yield (*first, system, *_use(parsed_detail(detail)))
            if not uses:
                yield (*first, listed(row[5]), "", "", "", "not summed up before the end")
        for role in sorted(unheld):
            yield (role, *[""] * 10)

    def _paths(self) -> Iterator[Row]:
        proofs: dict[tuple[str, str], str] = {}
        for row in evidence.paths(self._view, *self._span):
            grant, person, role, system, method, path, allowed, refused, first, last = row
            if (grant, system) not in proofs:
                proofs[grant, system] = self._proof(grant, system)
            yield (
                *(grant, *self._who(person), role, system, method, path, allowed, refused),
                *(moment(first), moment(last), proofs[grant, system]),
            )

    def _proof(self, grant: str, system: str) -> str:
        found = evidence.sums_of_use(self._view, grant, system)
        record = paths_record(*found[-1]) if found else None
        if record is None:
            return "no record yet"
        agrees = paths_digest(recorded_paths.used(self._view, grant, system)) == record.digest
        return f"as in record {record.seq}" if agrees else f"differs from record {record.seq}"

    def _self_approvals(self) -> Iterator[Row]:
        for seq, at, event, actor, person, role, request, reason, detail in evidence.decisions(
            self._view, *self._span
        ):
            found = parsed_detail(detail)
            approvers = found.get("approvers")
            others = approvers if isinstance(approvers, list) else []
            if person in (actor, found.get("for"), *others):
                yield (seq, moment(at), event, *self._who(actor), person, role, request, reason)

    def _flags(self) -> Iterator[Row]:
        for flag in flags.raised_between(self._view, *self._span):
            yield tuple(map(_cell, astuple(flag), FLAG_COLUMNS))


def _use(detail: Mapping[str, object]) -> Row:
    """Checks, sessions, the last use, and the way in which use is known."""
    last = detail.get("last")
    known = detail.get("known")
    return (
        *(detail.get("allowed", 0), detail.get("sessions", 0)),
        *(moment(last if isinstance(last, int) else None), known or Known.REPORTED),
    )


def _cell(value: object, column: str) -> object:
    if column == "at" or column.endswith("_at"):
        return moment(value if isinstance(value, int) else None)
    return "" if value is None else value


WHO = ("person", "name", "email")
REQUEST_COLUMNS = (
    *("seq", "asked_at", "request", *WHO, "role", "systems", "actions", "seconds", "reason"),
    *("ticket", "renews_grant", "state", "decided_at", "decided_by", "decided_by_name"),
    *("decision_reason", "urgency", "program", "parameters"),
)
GRANT_COLUMNS = (
    *("seq", "grant", "request", *WHO, "role", "systems", "actions", "state", "starts_at"),
    *("planned_end", "started_at", "ended_at", "renewals", "end_reason", "ended_by"),
    *("decided_at", "decided_by", "decided_by_name", "reason", "ticket", "urgency"),
    "parameters",
)
SAMPLE_COLUMNS = (
    *("sample", "grant", "request", "seq", "at", "event", "actor", "actor_name", "system"),
    *("sentence", "criteria", "detail", "hash"),
)
END_COLUMNS = (
    *("grant", "person", "name", "role", "system", "planned_end", "why", "asked_at", "asked_by"),
    *("reason", "asked_seq", "due_at", "confirmed_at", "late_seconds", "proof"),
)
LEAVER_COLUMNS = (
    *(*WHO, "noticed_at", "last_access_ended_at", "seconds_between", "grants_not_ended"),
    "came_back",
)
EMERGENCY_COLUMNS = (
    *("request", "grant", "person", "name", "role", "kind", "declared_by", "declared_by_name"),
    *("approved", "started_at", "ended_at", "reason", "signed_at", "signed_by"),
    *("signed_by_name", "conclusion"),
)
PRIVILEGED_COLUMNS = (
    *("role", "grant", "person", "name", "started_at", "ended_at", "systems", "checks"),
    *("sessions", "last_used_at", "use_known"),
)
PATH_COLUMNS = (
    *("grant", "person", "name", "role", "system", "method", "path", "allowed", "refused"),
    *("first_at", "last_at", "proof"),
)
SELF_COLUMNS = (
    *("seq", "at", "event", "actor", "actor_name", "requester", "role", "request", "reason"),
)
FLAG_COLUMNS = tuple(field.name for field in fields(Flag))
