"""Reads the whole story of one request or grant from the audit log, for leads and operators."""

from dataclasses import dataclass

from bot.core.approval import Refused
from bot.core.audit import Event, Record
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from bot.operations.usage.describe_usage import paths_of
from storage import evidence, grants, requests
from storage.recorded_paths import PathCount


@dataclass(frozen=True, slots=True)
class RequestStory:
    """Every record about a request and its grant, oldest first, with the names of the people in it.
    `grant` is "" where there is none. `paths` are those of its use that a gateway recorded, last
    used first."""

    request: str
    grant: str
    records: tuple[Record, ...]
    names: dict[str, str]
    paths: tuple[PathCount, ...] = ()


def read_story(world: Context, by: str, id: str) -> RequestStory | Refused:
    """`id` is that of a request, of a renewal or of a grant. The reading is recorded. Raises
    StorageUnavailable."""
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, "read the audit log")
        request, grant = _both(u, id)
        if not request:
            unknown = Refused(f"No request or grant has the id “{id[:60]}”.")
            return u.refuse(unknown, by, "read the audit log")
        u.note(Event.AUDIT_READ, by, filters={"request": request, "grant": grant})
        records = tuple(evidence.story(u.db, request, grant))
        named = {each.actor for each in records} | {each.subject for each in records}
        names = {each.id: each.name for each in u.people(named).values()}
        return RequestStory(request, grant, records, names, paths_of(u.db, grant))


def _both(u: UnitOfWork, id: str) -> tuple[str, str]:
    """The request and the grant that an id is about; each "" where there is none."""
    grant = grants.get(u.db, id)
    request = requests.get(u.db, id) if grant is None else None
    if request is not None and request.renews:
        grant = grants.get(u.db, request.renews)
    if grant is not None:
        return grant.request, grant.id
    if request is None:
        return "", ""
    given = grants.of_request(u.db, request.id)
    return request.id, given.id if given else ""
