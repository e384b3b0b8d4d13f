"""Stores values on which all processes must agree: named values, used idempotency keys, and panic
switches."""

from collections.abc import Sequence

from storage.database import Database


def get(db: Database, key: str) -> str | None:
    found = db.row("SELECT value FROM key_values WHERE key = ?", key)
    return str(found[0]) if found else None


def get_all(db: Database, keys: Sequence[str]) -> dict[str, str]:
    """Returns the values of those of these keys that exist."""
    marks = ", ".join("?" * len(keys))
    return {
        str(key): str(value)
        for key, value in db.rows(
            f"SELECT key, value FROM key_values WHERE key IN ({marks})", *keys
        )
    }


def put(db: Database, key: str, value: str) -> bool:
    """Stores the value; returns True if it changed. Two concurrent writers agree on which of them
    changed it."""
    return bool(
        db.run(
            "INSERT INTO key_values (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET"
            " value = excluded.value WHERE key_values.value <> excluded.value",
            key,
            value,
        )
    )


def put_greater(db: Database, key: str, value: str) -> None:
    """Stores the value unless the key has a greater one."""
    db.run(
        "INSERT INTO key_values (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET"
        " value = excluded.value WHERE key_values.value < excluded.value",
        key,
        value,
    )


def bind(db: Database, key: str, value: str) -> bool:
    """Stores the value unless the key has one; returns False if it had."""
    return (
        db.run(
            "INSERT INTO key_values (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
            key,
            value,
        )
        == 1
    )


def keys_of(db: Database, prefix: str, value: str) -> list[str]:
    """Returns the keys with this prefix and this value."""
    sql = "SELECT key FROM key_values WHERE value = ? AND substr(key, 1, ?) = ?"
    return [str(key) for (key,) in db.rows(sql, value, len(prefix), prefix)]


def beginning(db: Database, prefix: str) -> list[tuple[str, str]]:
    """Returns the keys with this prefix and their values, in order."""
    sql = "SELECT key, value FROM key_values WHERE substr(key, 1, ?) = ? ORDER BY key"
    return [(str(key), str(value)) for key, value in db.rows(sql, len(prefix), prefix)]


def drop(db: Database, key: str) -> None:
    db.run("DELETE FROM key_values WHERE key = ?", key)


def drop_ending(db: Database, prefix: str, ending: str) -> int:
    """Deletes the keys with this prefix and this ending; returns their number."""
    sql = "DELETE FROM key_values WHERE substr(key, 1, ?) = ? AND substr(key, -?) = ?"
    if not db.is_sqlite:
        sql = "DELETE FROM key_values WHERE substr(key, 1, ?) = ? AND right(key, ?) = ?"
    return db.run(sql, len(prefix), prefix, len(ending), ending)


def drop_less(db: Database, prefix: str, value: str) -> int:
    """Deletes the keys with this prefix and a smaller value; returns their number."""
    sql = "DELETE FROM key_values WHERE substr(key, 1, ?) = ? AND value < ?"
    return db.run(sql, len(prefix), prefix, value)


def claim_key(db: Database, key: str, at: int) -> bool:
    """Claims an idempotency key; returns False if it was used before. Call it in the transaction of
    its effect."""
    return (
        db.run("INSERT INTO seen (key, at) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", key, at)
        == 1
    )


def claimed(db: Database, keys: Sequence[str]) -> set[str]:
    """Returns those of these idempotency keys that were used."""
    marks = ", ".join("?" * len(keys))
    return {str(key) for (key,) in db.rows(f"SELECT key FROM seen WHERE key IN ({marks})", *keys)}


def is_claimed(db: Database, key: str) -> bool:
    return db.row("SELECT 1 FROM seen WHERE key = ?", key) is not None


def forget_keys(db: Database, before: int) -> int:
    return db.run("DELETE FROM seen WHERE at < ?", before)


def switch_on(db: Database, kind: str, name: str, actor: str, at: int) -> bool:
    """Turns a panic switch on; `kind` is all, role or user. Returns False if it was on."""
    sql = (
        "INSERT INTO switches (kind, name, actor, at) VALUES (?, ?, ?, ?) ON CONFLICT (kind, name)"
        " DO NOTHING"
    )
    return db.run(sql, kind, name, actor, at) == 1


def switch_off(db: Database, kind: str, name: str) -> bool:
    return db.run("DELETE FROM switches WHERE kind = ? AND name = ?", kind, name) == 1


def switches_on(db: Database) -> list[tuple[str, str]]:
    return [
        (str(kind), str(name))
        for kind, name in db.rows("SELECT kind, name FROM switches ORDER BY at")
    ]
