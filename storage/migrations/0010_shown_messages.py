"""Which direct messages tell of which grants and requests, which private answers can still be changed, and who has App
Home open, so that all of them can be brought up to date."""

TABLES = """
CREATE TABLE direct_notes (
  channel TEXT NOT NULL, ts TEXT NOT NULL, place INTEGER NOT NULL, grant_id TEXT NOT NULL, request_id TEXT NOT NULL,
  note TEXT NOT NULL, why TEXT NOT NULL, until BIGINT NOT NULL, at BIGINT NOT NULL, past INTEGER NOT NULL,
  PRIMARY KEY (channel, ts, place)
);
CREATE INDEX direct_notes_of_grant ON direct_notes (grant_id, ts) WHERE grant_id <> '';
CREATE INDEX direct_notes_of_request ON direct_notes (request_id) WHERE request_id <> '';

CREATE TABLE private_answers (
  id TEXT PRIMARY KEY, person TEXT NOT NULL, url TEXT NOT NULL, kind TEXT NOT NULL, about TEXT NOT NULL,
  at BIGINT NOT NULL, uses INTEGER NOT NULL, shown TEXT NOT NULL
);
CREATE INDEX private_answers_of ON private_answers (person);

CREATE TABLE open_homes (person TEXT PRIMARY KEY, at BIGINT NOT NULL);

CREATE INDEX requests_renews ON requests (renews) WHERE renews IS NOT NULL;
"""


def up(migrator, db):
    for statement in TABLES.strip().split(";\n"):
        db.execute_sql(statement.rstrip(";"))
