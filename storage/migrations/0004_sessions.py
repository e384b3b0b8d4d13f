"""Sessions under a grant, as systems report them or as we see them there.

Either time may be missing: reports come in any order, and one may never come. `seen_at` is when it was last known to
be open, `watched` whether we look for ourselves, and `outlived` whether it was used beyond the end of its grant.
"""

TABLES = """
CREATE TABLE sessions (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL, opened_at BIGINT,
  closed_at BIGINT, seen_at BIGINT NOT NULL, watched INTEGER NOT NULL, outlived INTEGER NOT NULL,
  PRIMARY KEY (grant_id, system, name)
);
CREATE INDEX sessions_watched ON sessions (system) WHERE closed_at IS NULL AND watched = 1;
CREATE INDEX sessions_by_time ON sessions (seen_at)
"""


def up(migrator, db):
    for statement in TABLES.strip().split(";\n"):
        db.execute_sql(statement)
