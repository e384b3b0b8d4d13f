"""Which of the installed database drivers a process loads. It knows nothing of what is done with them."""

import sys


def load_for(url: str) -> None:
    """Loads what a database with this URL needs; to be called before anything else of `storage` is imported.

    peewee loads every driver that is installed, and PostgreSQL's takes a tenth of a second and ten MiB. A process that
    was started on SQLite goes without it: it can't open a PostgreSQL database any more.
    """
    spared = url.startswith("sqlite:") and not {"peewee", "psycopg"} & set(sys.modules)
    if spared:
        sys.modules["psycopg"] = None  # type: ignore[assignment] # importing it now is an ImportError
    try:
        import storage.database  # noqa: F401
    finally:
        if spared:
            del sys.modules["psycopg"]
