"""The first schema. Times are UTC seconds; lists and details are JSON text; the audit log can only grow."""

SERIAL = {True: "INTEGER PRIMARY KEY AUTOINCREMENT", False: "BIGSERIAL PRIMARY KEY"}
NUMBER = {
    True: "INTEGER PRIMARY KEY",
    False: "BIGINT PRIMARY KEY",
}  # SQLite keeps the rows by it only if it is called so

TABLES = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE seen (key TEXT PRIMARY KEY, at BIGINT NOT NULL);
CREATE INDEX seen_at ON seen (at);

CREATE TABLE people (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, tz TEXT NOT NULL, team TEXT NOT NULL,
  checked_at BIGINT NOT NULL, deleted INTEGER NOT NULL, bot INTEGER NOT NULL, guest INTEGER NOT NULL,
  stranger INTEGER NOT NULL
);

CREATE TABLE user_groups (id TEXT PRIMARY KEY, handle TEXT NOT NULL, members TEXT NOT NULL);

CREATE TABLE switches (
  kind TEXT NOT NULL, name TEXT NOT NULL, actor TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (kind, name)
);

CREATE TABLE requests (
  id TEXT PRIMARY KEY, requester TEXT NOT NULL, role TEXT NOT NULL, systems TEXT NOT NULL, actions TEXT NOT NULL,
  fingerprint TEXT NOT NULL, duration BIGINT NOT NULL, reason TEXT NOT NULL, ticket TEXT NOT NULL, start_at BIGINT,
  state TEXT NOT NULL, created_at BIGINT NOT NULL, lapses_at BIGINT NOT NULL, renews TEXT, decided_at BIGINT,
  decided_by TEXT, decision_reason TEXT NOT NULL
);
CREATE UNIQUE INDEX requests_one_pending ON requests (requester, role) WHERE state = 'pending';
CREATE INDEX requests_pending ON requests (lapses_at) WHERE state = 'pending';
CREATE INDEX requests_by_person ON requests (requester, role, created_at);
CREATE INDEX requests_approved ON requests (role, created_at) WHERE state = 'approved' AND renews IS NULL;

CREATE TABLE votes (
  request_id TEXT NOT NULL REFERENCES requests (id), voter TEXT NOT NULL, at BIGINT NOT NULL,
  duration BIGINT NOT NULL, actions TEXT NOT NULL, PRIMARY KEY (request_id, voter)
);

CREATE TABLE grants (
  id TEXT PRIMARY KEY, request_id TEXT NOT NULL REFERENCES requests (id), person TEXT NOT NULL, role TEXT NOT NULL,
  systems TEXT NOT NULL, actions TEXT NOT NULL, state TEXT NOT NULL, duration BIGINT NOT NULL,
  starts_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL, latest_end BIGINT NOT NULL, started_at BIGINT, renewals INTEGER NOT NULL,
  remind_at BIGINT, end_reason TEXT, end_by TEXT, ended_at BIGINT
);
CREATE INDEX grants_begin ON grants (starts_at) WHERE state = 'scheduled';
CREATE INDEX grants_end ON grants (ends_at) WHERE state = 'active';
CREATE INDEX grants_remind ON grants (remind_at) WHERE state = 'active' AND remind_at IS NOT NULL;
CREATE INDEX grants_live ON grants (person, role) WHERE state NOT IN ('ended', 'failed');
CREATE INDEX grants_by_person ON grants (person, starts_at);
CREATE INDEX grants_by_request ON grants (request_id);

CREATE TABLE leases (
  grant_id TEXT NOT NULL REFERENCES grants (id), system TEXT NOT NULL, connector TEXT NOT NULL,
  state TEXT NOT NULL, error TEXT NOT NULL, PRIMARY KEY (grant_id, system)
);

CREATE TABLE gates (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (grant_id, system)
);

CREATE TABLE tokens (
  jti TEXT PRIMARY KEY, grant_id TEXT NOT NULL REFERENCES grants (id), hash TEXT NOT NULL,
  issued_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, revoked_at BIGINT
);
CREATE INDEX tokens_by_grant ON tokens (grant_id);

CREATE TABLE usage (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, source TEXT NOT NULL, minute BIGINT NOT NULL,
  outcome TEXT NOT NULL, count BIGINT NOT NULL, last_at BIGINT NOT NULL,
  PRIMARY KEY (grant_id, system, source, minute, outcome)
);

CREATE TABLE first_uses (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (grant_id, system)
);

CREATE TABLE messages (
  request_id TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL, PRIMARY KEY (request_id, channel, ts)
);

CREATE TABLE outbox (
  id {serial}, kind TEXT NOT NULL, queue TEXT NOT NULL, lane TEXT NOT NULL, data TEXT NOT NULL,
  due_at BIGINT NOT NULL, created_at BIGINT NOT NULL, attempts INTEGER NOT NULL, unsure INTEGER NOT NULL,
  claimed_by TEXT, claimed_until BIGINT, error TEXT NOT NULL
);
CREATE INDEX outbox_due ON outbox (queue, due_at);
CREATE INDEX outbox_lane ON outbox (lane, id);

CREATE TABLE audit (
  seq {number}, at BIGINT NOT NULL, event TEXT NOT NULL, actor TEXT NOT NULL, subject TEXT NOT NULL,
  role TEXT NOT NULL, system TEXT NOT NULL, request TEXT NOT NULL, "grant" TEXT NOT NULL, reason TEXT NOT NULL,
  detail TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX audit_actor ON audit (actor, at, seq);
CREATE INDEX audit_subject ON audit (subject, at, seq);
CREATE INDEX audit_role ON audit (role, at, seq);
CREATE INDEX audit_system ON audit (system, at, seq);
CREATE INDEX audit_event ON audit (event, at, seq);
CREATE INDEX audit_grant ON audit ("grant", at, seq);
CREATE INDEX audit_request ON audit (request, at, seq);
CREATE INDEX audit_at ON audit (at, seq);

CREATE TABLE audit_head (
  id INTEGER PRIMARY KEY CHECK (id = 1), seq BIGINT NOT NULL, hash TEXT NOT NULL, seal TEXT NOT NULL
);
"""

REFUSAL = "'the audit log is append-only'"
WATCHED = (
    ("audit", "UPDATE", ""),
    ("audit", "DELETE", ""),
    ("audit_head", "UPDATE", "WHEN (NEW.seq <= OLD.seq)"),
    ("audit_head", "DELETE", ""),
)
# SQLite's INSERT OR REPLACE deletes what is in its way without asking the triggers above.
REPLACED = (
    ("audit", "INSERT", "WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)"),
    ("audit_head", "INSERT", "WHEN EXISTS (SELECT 1 FROM audit_head WHERE id = NEW.id)"),
)


def guards(sqlite):
    """Triggers that refuse every change of the log but its growth."""
    if sqlite:
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {condition} "
            f"BEGIN SELECT RAISE(ABORT, {REFUSAL}); END"
            for table, verb, condition in WATCHED + REPLACED
        ]
    call = "EXECUTE FUNCTION audit_is_append_only()"
    return [
        "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION {REFUSAL}; END $$",
        *(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} FOR EACH ROW {condition} {call}"
            for table, verb, condition in WATCHED
        ),
        *(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}"
            for table in ("audit", "audit_head")
        ),
    ]


def up(migrator, db):
    sqlite = type(db).__name__ == "SqliteDatabase"
    tables = TABLES.format(serial=SERIAL[sqlite], number=NUMBER[sqlite]).strip().split(";\n")
    for statement in (*tables, *guards(sqlite)):
        db.execute_sql(statement)
    db.execute_sql("INSERT INTO audit_head (id, seq, hash, seal) VALUES (1, 0, '" + "0" * 64 + "', '')")
