"""For whom a row of the outbox waits, and its place among that person's rows: people are served in turn."""

STATEMENTS = """
ALTER TABLE outbox ADD COLUMN person TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN turn INTEGER NOT NULL DEFAULT 1;
UPDATE outbox SET turn = 0 WHERE claimed_by IS NOT NULL AND queue IN ('decide', 'slack', 'update');
DROP INDEX outbox_lane;
CREATE INDEX outbox_lane ON outbox (lane, turn, id);
CREATE INDEX outbox_turn ON outbox (queue, turn, due_at, id) WHERE queue IN ('decide', 'slack', 'update');
CREATE INDEX outbox_person ON outbox (queue, person, turn) WHERE person <> '';
"""


def up(migrator, db):
    for statement in STATEMENTS.strip().split(";\n"):
        db.execute_sql(statement.rstrip(";"))
