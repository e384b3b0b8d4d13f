"""Ends that no system has confirmed, with when they are told again and which messages told of them; and what was found
on a system that rows and reality don't agree about."""

TABLES = """
CREATE TABLE alarms (
  id TEXT NOT NULL UNIQUE, grant_id TEXT NOT NULL, system TEXT NOT NULL, since BIGINT NOT NULL,
  attempts INTEGER NOT NULL, said INTEGER NOT NULL, next_at BIGINT, acknowledged_by TEXT, acknowledged_at BIGINT,
  gone_at BIGINT, PRIMARY KEY (grant_id, system)
);
CREATE INDEX alarms_due ON alarms (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE alarm_messages (
  channel TEXT NOT NULL, ts TEXT NOT NULL, place INTEGER NOT NULL, grant_id TEXT NOT NULL, system TEXT NOT NULL,
  PRIMARY KEY (channel, ts, place)
);
CREATE INDEX alarm_messages_of ON alarm_messages (grant_id, system);

CREATE TABLE findings (
  id TEXT PRIMARY KEY, system TEXT NOT NULL, what TEXT NOT NULL, name TEXT NOT NULL, grant_id TEXT NOT NULL,
  detail TEXT NOT NULL, found_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX findings_once ON findings (system, what, name, grant_id);
"""


def up(migrator, db):
    for statement in TABLES.strip().split(";\n"):
        db.execute_sql(statement.rstrip(";"))
