"""Stores people and groups as Slack last described them, for every process and over a restart."""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bot.core.model import CLOCKS_APART, Directory, Person, folded
from storage import delegations, key_values
from storage.database import Database, Reads
from storage.states import HELD, UNFINISHED

_COLUMNS = "id, name, email, tz, team, checked_at, deleted, bot, guest, stranger, unconfirmed"
_IDENTITY = "id, email, deleted, bot, guest, stranger, unconfirmed"
_FLAGS = "deleted + bot + guest + stranger + unconfirmed"
_VERSION = "directory version"
_ANSWERED = "answered "
_READ = "groups read"
_BOUND = "bound "
_MOVED = "moved "
_NAMELESS = "pseudonymised "
_FIT = f"SELECT id, email FROM people WHERE email <> '' AND {_FLAGS} = 0 ORDER BY id"
"""Members choose their own address: an outsider's must not hide that of one of us."""
_HELD = f"{UNFINISHED} AND {HELD}"
"""Repeats the index's condition so that the planner uses the partial index."""
_WAITING = (
    "SELECT requester, lapses_at FROM requests WHERE state = 'pending' UNION ALL "
    "SELECT v.voter, r.lapses_at FROM requests r JOIN votes v ON v.request_id = r.id "
    "WHERE r.state = 'pending' AND v.voter NOT LIKE 'os:%'"
)
"""Requesters of pending requests, and approvers of those that need further approvals."""


Groups = Mapping[str, tuple[str, frozenset[str]]]
"""User groups by id, each with its handle (without the @) and its members."""


@dataclass(frozen=True, slots=True)
class Move:
    """A handle or e-mail that resolves to `now` although it is bound to `bound`. An empty `now`
    means that it resolves to `bound` again."""

    ref: str
    bound: str
    now: list[str]


def lock(db: Database, person: str) -> None:
    """Holds back every other transaction that locks this person, until this one ends."""
    db.row(f"SELECT id FROM people WHERE id = ?{db.lock_row}", person)


def get(db: Database, person: str) -> Person | None:
    found = db.row(f"SELECT {_COLUMNS} FROM people WHERE id = ?", person)
    return _person(found) if found else None


def several(db: Reads, ids: Iterable[str]) -> dict[str, Person]:
    """Returns those of these people that are known, by id."""
    wanted = sorted(ids)
    marks = ", ".join("?" * len(wanted))
    rows = (
        db.rows(f"SELECT {_COLUMNS} FROM people WHERE id IN ({marks})", *wanted) if wanted else []
    )
    return {str(row[0]): _person(row) for row in rows}


def pseudonymise(db: Database, person: str) -> None:
    """Replaces the name of a deactivated person by their id, also when Slack describes them
    again."""
    key_values.put(db, _NAMELESS + person, "1")
    db.run("UPDATE people SET name = id, email = '', tz = 'UTC' WHERE id = ?", person)
    changed(db)


def _without_names(db: Database, people: Iterable[Person]) -> list[Person]:
    """People as they are stored: one who was pseudonymised has a name again only as a member."""
    return [
        replace(p, name=p.id, email="", tz="UTC")
        if p.deleted and key_values.get(db, _NAMELESS + p.id)
        else p
        for p in people
    ]


def forget_after(db: Database, at: int) -> None:
    """Marks facts from Slack as unknown if they carry a time after `at`."""
    db.run("UPDATE people SET checked_at = 0 WHERE checked_at > ?", at)
    if (read_at := groups_read_at(db)) is not None and read_at > at:
        key_values.put(db, _READ, "0")


def save(db: Database, people: Iterable[Person], now: int) -> bool:
    """Stores people from Slack, keeping the newest version; returns whether the people behind
    references change. A stored time well after `now` is replaced, because a clock was wrong."""
    people = _without_names(db, people)
    ids = [p.id for p in people]
    before = _known(db, ids)
    sql = (
        f"INSERT INTO people ({_COLUMNS}, left_at) VALUES ({', '.join('?' * 12)}) ON CONFLICT (id)"
        " DO UPDATE SET name = excluded.name, email = excluded.email, tz = excluded.tz, team ="
        " excluded.team, checked_at = excluded.checked_at, deleted = excluded.deleted, bot ="
        " excluded.bot, guest = excluded.guest, stranger = excluded.stranger, unconfirmed ="
        " excluded.unconfirmed, left_at = CASE WHEN people.deleted = 1 OR"
        " excluded.deleted = 0 THEN people.left_at ELSE excluded.left_at END"
        " WHERE people.checked_at <= excluded.checked_at OR people.checked_at"
        f" > {int(now) + CLOCKS_APART}"
    )
    db.run_many(sql, sorted(_row(p) for p in people))  # in one order, to avoid deadlocks
    if _known(db, ids) == before:
        return False
    changed(db)
    return True


def mark_groups_read(db: Database, at: int, now: int) -> bool:
    """Records that Slack was asked for all groups at `at`; returns False if it was asked later too,
    so that this answer is outdated. A stored time well after `now` is replaced, because a clock was
    wrong."""
    sql = (
        "INSERT INTO key_values (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value ="
        " excluded.value WHERE CAST(key_values.value AS BIGINT) <= CAST(excluded.value AS BIGINT)"
        " OR CAST(key_values.value AS BIGINT) > ?"
    )
    return bool(db.run(sql, _READ, str(at), now + CLOCKS_APART))


def groups_read_at(db: Database) -> int | None:
    """Returns when Slack was last asked for all groups; None for never."""
    found = key_values.get(db, _READ)
    return int(found) if found is not None else None


def save_groups(db: Database, groups: Iterable[tuple[str, str, Iterable[str]]]) -> Groups | None:
    """Replaces all groups by `(id, handle without @, members)`. Returns the previous groups, or
    None if nothing changed."""
    rows = sorted((i, h, json.dumps(sorted(members))) for i, h, members in groups)
    if rows == _groups(db):
        return None
    changed(db)  # before the rows: a concurrent writer waits here, then reads again
    if rows == (before := _groups(db)):
        return None
    db.run("DELETE FROM user_groups")
    db.run_many("INSERT INTO user_groups (id, handle, members) VALUES (?, ?, ?)", rows)
    return _by_id(before)


def groups(db: Database) -> Groups:
    return _by_id(_groups(db))


def answered(db: Database) -> frozenset[str]:
    """Returns the references of roles.toml that Slack was asked about."""
    return frozenset(
        ref for _, refs in key_values.beginning(db, _ANSWERED) for ref in json.loads(refs)
    )


def bindings(db: Database) -> dict[str, str]:
    """Returns the ids to which handles and e-mails of roles.toml are bound; e-mails are
    `folded`."""
    return {key.removeprefix(_BOUND): bound for key, bound in key_values.beginning(db, _BOUND)}


def bind(db: Database, refs: Iterable[str]) -> list[Move]:
    """Binds each of these handles and e-mails to the one id that it resolves to, unless it is bound
    already. Returns those that started or stopped resolving to another id."""
    names = sorted({folded(ref) if "@" in ref[1:] else ref for ref in refs})
    if not any(_to_bind(db, names)):
        return []
    changed(db)  # before the rows: a concurrent writer waits here, then reads again
    new, moves = _to_bind(db, names)
    for ref, owner in new:
        key_values.put(db, _BOUND + ref, owner)
    for move in moves:
        key_values.put(db, _MOVED + move.ref, json.dumps(move.now))
    return moves


def _to_bind(db: Database, refs: list[str]) -> tuple[list[tuple[str, str]], list[Move]]:
    """Returns the bindings to store, and the moves that were not reported yet."""
    bound, owners = bindings(db), _owners(db, refs)
    reported = {
        key.removeprefix(_MOVED): json.loads(ids) for key, ids in key_values.beginning(db, _MOVED)
    }
    new = [(ref, owners[ref][0]) for ref in refs if ref not in bound and len(owners[ref]) == 1]
    now = {
        ref: [each for each in owners[ref] if each != bound[ref]] for ref in refs if ref in bound
    }
    return new, [
        Move(ref, bound[ref], ids) for ref, ids in now.items() if ids != reported.get(ref, [])
    ]


def _owners(db: Database, refs: list[str]) -> dict[str, list[str]]:
    """Returns the ids that each of these handles and `folded` e-mails resolves to now, in order."""
    found: dict[str, set[str]] = {ref: set() for ref in refs}
    every = [("@" + handle, group) for group, (handle, _) in groups(db).items()]
    if any("@" in ref[1:] for ref in refs):
        every += [(folded(str(email)), str(person)) for person, email in db.rows(_FIT)]
    for ref, owner in every:
        if ref in found:
            found[ref].add(owner)
    return {ref: sorted(ids) for ref, ids in found.items()}


def save_answered(db: Database, kind: str, refs: Iterable[str]) -> bool:
    """Stores which references of this kind (groups or emails) Slack was asked about; returns False
    if they are the same."""
    new = key_values.put(db, f"{_ANSWERED}{kind}", json.dumps(sorted(refs)))
    if new:
        changed(db)
    return new


def _by_id(rows: Iterable[tuple[object, ...]]) -> Groups:
    return {
        str(group): (str(handle), frozenset(json.loads(str(members))))
        for group, handle, members in rows
    }


def _groups(db: Database) -> list[tuple[object, ...]]:
    return sorted(db.rows("SELECT id, handle, members FROM user_groups"))


def version(db: Database) -> tuple[str, int | None]:
    """Returns a value that changes whenever `directory` would differ, and when the groups were
    read."""
    found = key_values.get_all(db, [_VERSION, _READ])
    return found.get(_VERSION, "0"), int(found[_READ]) if _READ in found else None


def directory(db: Database) -> Directory:
    """Returns everything that references in roles.toml resolve by."""
    bound, known = bindings(db), groups(db)
    handles = _sole(("@" + handle, group) for group, (handle, _) in known.items())
    handles = {ref: group for ref, group in handles.items() if bound.get(ref, group) == group}
    members = {group: there for group, (_, there) in known.items()}
    members |= {ref: members[group] for ref, group in handles.items()}
    emails = _sole((folded(str(email)), str(person)) for person, email in db.rows(_FIT))
    emails = {ref: person for ref, person in emails.items() if bound.get(ref, person) == person}
    unfit = db.rows(f"SELECT id FROM people WHERE {_FLAGS} > 0")
    asked = answered(db)
    return Directory(
        members,
        emails,
        frozenset(person for (person,) in unfit),
        handles,
        asked,
        delegations.all_of(db),
        bound,
        frozenset(
            ref for ref in asked if _is_group(ref) and not {ref, bound.get(ref)} & {*members}
        ),
    )


def addresses(db: Database) -> list[tuple[str, str]]:
    """Returns id and e-mail of everybody who has one, also of people who have left."""
    found = db.rows("SELECT id, email FROM people WHERE email <> ''")
    return [(str(id), str(email)) for id, email in found]


def _is_group(ref: str) -> bool:
    return ref.startswith("@") or ("@" not in ref and ref.startswith("S"))


def _sole(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Returns the meaning of each reference; a reference with several meanings resolves to
    nobody."""
    found: dict[str, set[str]] = {}
    for ref, owner in pairs:
        found.setdefault(ref, set()).add(owner)
    return {ref: owner for ref, owners in found.items() if len(owners) == 1 for owner in owners}


def to_check(db: Database, started: int) -> list[tuple[str, int]]:
    """Returns people who hold access, wait for it, or gave a vote that still counts, with the time
    of their last look-up (0 for not since `started`), in the order in which to look them up: those
    with 0 first, longest access first."""
    sql = (
        "SELECT h.person, CASE WHEN COALESCE(p.checked_at, 0) < ? THEN 0 ELSE p.checked_at END AS"
        " seen FROM (SELECT person, MAX(ends_at) AS until FROM (SELECT person, ends_at FROM grants"
        f" WHERE {_HELD} UNION ALL {_WAITING}) AS x GROUP BY person) AS h LEFT JOIN people p ON"
        " p.id = h.person ORDER BY seen, h.until DESC"
    )
    return [(str(person), int(seen)) for person, seen in db.rows(sql, started)]


def _known(db: Database, ids: list[str]) -> dict[str, tuple[object, ...]]:
    """Returns the facts about these people on which `directory` depends."""
    known = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        marks = ", ".join("?" * len(some))
        for person, *rest in db.rows(
            f"SELECT {_IDENTITY} FROM people WHERE id IN ({marks})", *some
        ):
            known[str(person)] = tuple(rest)
    return known


def changed(db: Database) -> None:
    """Lets every process read the directory again."""
    key_values.put(db, _VERSION, secrets.token_hex(8))


def _row(p: Person) -> tuple[object, ...]:
    flags = (int(p.deleted), int(p.bot), int(p.guest), int(p.stranger), int(p.unconfirmed))
    left_at = p.checked_at if p.deleted else None
    return (p.id, p.name, p.email, p.tz, p.team, p.checked_at, *flags, left_at)


def _person(row: tuple[object, ...]) -> Person:
    person, name, email, tz, team, checked_at, *flags = row
    deleted, bot, guest, stranger, unconfirmed = (bool(flag) for flag in flags)
    return Person(
        str(person),
        str(name),
        str(email),
        str(tz),
        str(team),
        int(str(checked_at)),
        deleted,
        bot,
        guest,
        stranger,
        unconfirmed,
    )
