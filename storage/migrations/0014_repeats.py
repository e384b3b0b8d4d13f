"""Refusals and reports of which repeats are counted for a minute, so that the log has one record of all."""

TABLES = """
CREATE TABLE repeats (
  key TEXT PRIMARY KEY, caller TEXT NOT NULL, since BIGINT NOT NULL, last BIGINT NOT NULL,
  times BIGINT NOT NULL, entry TEXT NOT NULL
);
CREATE INDEX repeats_of ON repeats (caller);
CREATE INDEX repeats_since ON repeats (since);
"""


def up(migrator, db):
    for statement in TABLES.strip().split(";\n"):
        db.execute_sql(statement.rstrip(";"))
