"""What was given on systems where access is one thing for a person, noted before it is given."""

TABLES = """
CREATE TABLE marks (
  system TEXT NOT NULL, grant_id TEXT NOT NULL, account TEXT NOT NULL, thing TEXT NOT NULL, action TEXT NOT NULL,
  PRIMARY KEY (system, grant_id, account, thing)
);
CREATE INDEX marks_of_thing ON marks (system, account, thing);
"""


def up(migrator, db):
    for statement in TABLES.strip().split(";\n"):
        db.execute_sql(statement.rstrip(";"))
