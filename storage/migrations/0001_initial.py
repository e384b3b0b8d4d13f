"""The initial schema. Times are UTC seconds, lists and details are JSON text."""

SERIAL = {True: "INTEGER PRIMARY KEY AUTOINCREMENT", False: "BIGSERIAL PRIMARY KEY"}
NUMBER = {True: "INTEGER PRIMARY KEY", False: "BIGINT PRIMARY KEY"}
# By `is SQLite`: SQLite stores rows in the order of a key only if its type is INTEGER.

# `left_at` is the time at which Slack first reported that the account is deactivated.
PEOPLE = """
CREATE TABLE people (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, tz TEXT NOT NULL,
  team TEXT NOT NULL, checked_at BIGINT NOT NULL, deleted INTEGER NOT NULL, bot INTEGER NOT NULL,
  guest INTEGER NOT NULL, stranger INTEGER NOT NULL, unconfirmed INTEGER NOT NULL DEFAULT 0,
  left_at BIGINT
);

CREATE TABLE user_groups (id TEXT PRIMARY KEY, handle TEXT NOT NULL, members TEXT NOT NULL);

CREATE TABLE switches (
  kind TEXT NOT NULL, name TEXT NOT NULL, actor TEXT NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (kind, name)
);
"""

# `pings` has the pending requests about which somebody is to be mentioned: their deciders at
# `ping_at`, because of `why`, and their backups at `escalate_at`.
REQUESTS = """
CREATE TABLE requests (
  id TEXT PRIMARY KEY, requester TEXT NOT NULL, role TEXT NOT NULL, systems TEXT NOT NULL,
  actions TEXT NOT NULL, fingerprint TEXT NOT NULL, duration BIGINT NOT NULL, reason TEXT NOT NULL,
  ticket TEXT NOT NULL, start_at BIGINT, state TEXT NOT NULL, created_at BIGINT NOT NULL,
  lapses_at BIGINT NOT NULL, renews TEXT, decided_at BIGINT, decided_by TEXT,
  decision_reason TEXT NOT NULL, urgency TEXT NOT NULL DEFAULT '',
  system_actions TEXT NOT NULL DEFAULT '{{}}', program TEXT NOT NULL DEFAULT '',
  parameters TEXT NOT NULL DEFAULT '{{}}'
);
CREATE UNIQUE INDEX requests_one_pending ON requests (requester, role) WHERE state = 'pending';
CREATE INDEX requests_pending ON requests (lapses_at) WHERE state = 'pending';
CREATE INDEX requests_by_person ON requests (requester, role, created_at);
CREATE INDEX requests_latest ON requests (requester, created_at);
CREATE INDEX requests_approved ON requests (role, created_at)
  WHERE state = 'approved' AND renews IS NULL;
CREATE INDEX requests_renews ON requests (renews) WHERE renews IS NOT NULL;

CREATE INDEX requests_by_rule ON requests (requester, role, created_at, decided_by)
  WHERE substr(decided_by, 1, 5) = 'rule:';

CREATE TABLE judgements (
  request_id TEXT NOT NULL, moment TEXT NOT NULL, at BIGINT NOT NULL,
  criteria TEXT NOT NULL, PRIMARY KEY (request_id, moment)
);

CREATE TABLE preapprovals (
  id TEXT PRIMARY KEY, giver TEXT NOT NULL, person TEXT NOT NULL, role TEXT NOT NULL,
  duration BIGINT NOT NULL, until BIGINT NOT NULL, reason TEXT NOT NULL,
  fingerprint TEXT NOT NULL, given_at BIGINT NOT NULL, taken_at BIGINT, taken_by TEXT
);
CREATE UNIQUE INDEX preapprovals_once ON preapprovals (person, role, giver)
  WHERE taken_at IS NULL;
CREATE INDEX preapprovals_by_giver ON preapprovals (giver) WHERE taken_at IS NULL;

CREATE TABLE preapproval_uses (
  request_id TEXT NOT NULL, preapproval_id TEXT NOT NULL,
  PRIMARY KEY (request_id, preapproval_id)
);

CREATE TABLE votes (
  request_id TEXT NOT NULL REFERENCES requests (id), voter TEXT NOT NULL, at BIGINT NOT NULL,
  duration BIGINT NOT NULL, actions TEXT NOT NULL, tier TEXT NOT NULL DEFAULT '',
  systems TEXT NOT NULL DEFAULT 'null', start_at BIGINT, PRIMARY KEY (request_id, voter)
);

CREATE TABLE delegations (
  giver TEXT PRIMARY KEY, delegate TEXT NOT NULL, given_at BIGINT NOT NULL, ends_at BIGINT NOT NULL
);
CREATE INDEX delegations_end ON delegations (ends_at);

CREATE TABLE pings (
  request_id TEXT PRIMARY KEY REFERENCES requests (id), ping_at BIGINT, why TEXT NOT NULL,
  escalate_at BIGINT, escalations INTEGER NOT NULL
);
CREATE INDEX pings_due ON pings (ping_at) WHERE ping_at IS NOT NULL;
CREATE INDEX pings_escalate ON pings (escalate_at) WHERE escalate_at IS NOT NULL;
"""

# `clock` is 1 while a grant is starting and its end already counts, because an earlier attempt may
# have created the access. `target` is where a lease's access was created: a revocation at another
# address proves nothing. `reach` is a digest of the system's settings at the time of the approval.
# A code lets one browser open a session, and only hashes of both are kept.
GRANTS = """
CREATE TABLE grants (
  id TEXT PRIMARY KEY, request_id TEXT NOT NULL REFERENCES requests (id), person TEXT NOT NULL,
  role TEXT NOT NULL, systems TEXT NOT NULL, actions TEXT NOT NULL, state TEXT NOT NULL,
  duration BIGINT NOT NULL, starts_at BIGINT NOT NULL, ends_at BIGINT NOT NULL,
  latest_end BIGINT NOT NULL, started_at BIGINT, renewals INTEGER NOT NULL, remind_at BIGINT,
  end_reason TEXT, end_by TEXT, ended_at BIGINT, clock INTEGER NOT NULL DEFAULT 0,
  end_words TEXT NOT NULL DEFAULT '', urgency TEXT NOT NULL DEFAULT '',
  system_actions TEXT NOT NULL DEFAULT '{{}}', parameters TEXT NOT NULL DEFAULT '{{}}'
);
CREATE INDEX grants_begin ON grants (starts_at) WHERE state = 'scheduled';
CREATE INDEX grants_starting ON grants (ends_at) WHERE state = 'starting';
CREATE INDEX grants_end ON grants (ends_at) WHERE state = 'active';
CREATE INDEX grants_remind ON grants (remind_at) WHERE state = 'active' AND remind_at IS NOT NULL;
CREATE INDEX grants_live ON grants (person, role) WHERE state NOT IN ('ended', 'failed');
CREATE INDEX grants_by_person ON grants (person, starts_at);
CREATE INDEX grants_by_request ON grants (request_id);

CREATE TABLE feedback (
  grant_id TEXT PRIMARY KEY REFERENCES grants (id), answer TEXT NOT NULL, at BIGINT NOT NULL
);

CREATE TABLE renewals (
  grant_id TEXT NOT NULL REFERENCES grants (id), number INTEGER NOT NULL, person TEXT NOT NULL,
  role TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (grant_id, number)
);
CREATE INDEX renewals_by_person ON renewals (person, role, at);

CREATE TABLE leases (
  grant_id TEXT NOT NULL REFERENCES grants (id), system TEXT NOT NULL, connector TEXT NOT NULL,
  state TEXT NOT NULL, error TEXT NOT NULL, target TEXT NOT NULL DEFAULT '',
  reach TEXT NOT NULL DEFAULT '', actions TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (grant_id, system)
);

CREATE TABLE gates (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, until BIGINT NOT NULL,
  PRIMARY KEY (grant_id, system)
);

CREATE TABLE tokens (
  jti TEXT PRIMARY KEY, grant_id TEXT NOT NULL REFERENCES grants (id), hash TEXT NOT NULL,
  issued_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, revoked_at BIGINT
);
CREATE INDEX tokens_by_grant ON tokens (grant_id);

CREATE TABLE browser_codes (
  hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL REFERENCES grants (id), system TEXT NOT NULL,
  expires_at BIGINT NOT NULL, used_at BIGINT, refused INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX browser_codes_by_grant ON browser_codes (grant_id);

CREATE TABLE browser_sessions (
  hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL REFERENCES grants (id), system TEXT NOT NULL,
  opened_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, ended_at BIGINT
);
CREATE INDEX browser_sessions_by_grant ON browser_sessions (grant_id);
"""

# A request of `api_requests` is in `requests` when it was made. `refused` says why it was not.
PROGRAMS = """
CREATE TABLE api_tokens (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, owner TEXT NOT NULL, roles TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE, created_at BIGINT NOT NULL, created_by TEXT NOT NULL,
  expires_at BIGINT NOT NULL, revoked_at BIGINT, revoked_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX api_tokens_by_owner ON api_tokens (owner) WHERE revoked_at IS NULL;

CREATE TABLE api_requests (
  id TEXT PRIMARY KEY, token_id TEXT NOT NULL REFERENCES api_tokens (id), role TEXT NOT NULL,
  idempotency_key TEXT, digest TEXT NOT NULL, made_at BIGINT NOT NULL,
  refused TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX api_requests_once ON api_requests (token_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
"""

# `alone` is 1 for an emergency that started without any press: a person has one such open at most,
# and their next one waits for a press. `ping_at` is NULL when the review is signed.
EMERGENCIES = """
CREATE TABLE emergencies (
  request_id TEXT PRIMARY KEY REFERENCES requests (id), grant_id TEXT NOT NULL,
  person TEXT NOT NULL, role TEXT NOT NULL, urgency TEXT NOT NULL, declared_by TEXT NOT NULL,
  alone INTEGER NOT NULL, started_at BIGINT NOT NULL, ping_at BIGINT, signed_at BIGINT,
  signed_by TEXT, conclusion TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX emergencies_alone ON emergencies (person)
  WHERE alone = 1 AND signed_at IS NULL;
CREATE INDEX emergencies_open ON emergencies (person, started_at) WHERE signed_at IS NULL;
CREATE INDEX emergencies_ping ON emergencies (ping_at) WHERE ping_at IS NOT NULL;
CREATE INDEX emergencies_by_grant ON emergencies (grant_id);
"""

# `newcomer` is empty until the person with the address `email` has joined. `shift` are the seconds
# by which pauses moved the stages. `newcomers` are people who joined lately, until a bundle was
# suggested for them.
ONBOARDING = """
CREATE TABLE ramps (
  id TEXT PRIMARY KEY, bundle TEXT NOT NULL, title TEXT NOT NULL, newcomer TEXT NOT NULL,
  email TEXT NOT NULL, mentor TEXT NOT NULL, lead TEXT NOT NULL, state TEXT NOT NULL,
  planned_at BIGINT NOT NULL, starts_at BIGINT, longest BIGINT NOT NULL, pins TEXT NOT NULL,
  shift BIGINT NOT NULL DEFAULT 0, paused_at BIGINT, ended_at BIGINT
);
CREATE INDEX ramps_open ON ramps (planned_at) WHERE state IN ('planned', 'running', 'paused');
CREATE UNIQUE INDEX ramps_one_open ON ramps (newcomer)
  WHERE newcomer <> '' AND state IN ('planned', 'running', 'paused');
CREATE UNIQUE INDEX ramps_one_invited ON ramps (email)
  WHERE newcomer = '' AND state IN ('planned', 'running', 'paused');

CREATE TABLE ramp_stages (
  ramp_id TEXT NOT NULL REFERENCES ramps (id), number INTEGER NOT NULL, after_start BIGINT NOT NULL,
  by_mentor INTEGER NOT NULL, roles TEXT NOT NULL, duration BIGINT NOT NULL, may_ask TEXT NOT NULL,
  state TEXT NOT NULL, opened_at BIGINT, opened_by TEXT NOT NULL, left_out TEXT NOT NULL,
  PRIMARY KEY (ramp_id, number)
);

CREATE TABLE ramp_grants (
  grant_id TEXT PRIMARY KEY REFERENCES grants (id), ramp_id TEXT NOT NULL REFERENCES ramps (id),
  number INTEGER NOT NULL
);
CREATE INDEX ramp_grants_of ON ramp_grants (ramp_id);

CREATE TABLE ramp_messages (
  channel TEXT NOT NULL, ts TEXT NOT NULL, ramp_id TEXT NOT NULL, person TEXT NOT NULL,
  note TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (channel, ts)
);
CREATE INDEX ramp_messages_of ON ramp_messages (ramp_id);

CREATE TABLE newcomers (person TEXT PRIMARY KEY, joined_at BIGINT NOT NULL);
"""

# A review campaign and the frozen list that it is about. `remind_at` is when people are reminded
# next; `over_at` is when the thing of an item was found to be over.
REVIEWS = """
CREATE TABLE campaigns (
  id TEXT PRIMARY KEY, lead TEXT NOT NULL, role TEXT NOT NULL, system TEXT NOT NULL,
  state TEXT NOT NULL, started_at BIGINT NOT NULL, due_at BIGINT NOT NULL, manifest TEXT NOT NULL,
  remind_at BIGINT, closed_at BIGINT, finished_at BIGINT
);
CREATE UNIQUE INDEX campaigns_one_open ON campaigns (role, system) WHERE state <> 'finished';

CREATE TABLE review_items (
  campaign_id TEXT NOT NULL REFERENCES campaigns (id), number INTEGER NOT NULL, kind TEXT NOT NULL,
  role TEXT NOT NULL, about TEXT NOT NULL, holders TEXT NOT NULL, facts TEXT NOT NULL,
  by_default TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'pending', decided_at BIGINT,
  decided_by TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', over_at BIGINT,
  PRIMARY KEY (campaign_id, number)
);
CREATE INDEX review_items_pending ON review_items (campaign_id, number) WHERE state = 'pending';
CREATE INDEX review_items_there ON review_items (campaign_id, kind) WHERE over_at IS NULL;

CREATE TABLE review_messages (
  channel TEXT NOT NULL, ts TEXT NOT NULL, campaign_id TEXT NOT NULL, PRIMARY KEY (channel, ts)
);
CREATE INDEX review_messages_of ON review_messages (campaign_id);
"""

# A membership is shared access of one grant, such as that to a group, stored before it is given.
SYSTEMS = """
CREATE TABLE memberships (
  system TEXT NOT NULL, grant_id TEXT NOT NULL, account TEXT NOT NULL, thing TEXT NOT NULL,
  action TEXT NOT NULL, PRIMARY KEY (system, grant_id, account, thing)
);
CREATE INDEX memberships_of_thing ON memberships (system, account, thing);

CREATE TABLE ssh_access (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, until BIGINT NOT NULL,
  PRIMARY KEY (grant_id, system)
);
CREATE INDEX ssh_access_by_system ON ssh_access (system);

CREATE TABLE ssh_certificates (
  serial BIGINT NOT NULL PRIMARY KEY, grant_id TEXT NOT NULL, system TEXT NOT NULL,
  authority TEXT NOT NULL, fingerprint TEXT NOT NULL, issued_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL, revoked_at BIGINT
);
CREATE INDEX ssh_certificates_by_grant ON ssh_certificates (grant_id, system);
CREATE INDEX ssh_certificates_good ON ssh_certificates (system, expires_at)
  WHERE revoked_at IS NULL;
CREATE INDEX ssh_certificates_revoked ON ssh_certificates (expires_at)
  WHERE revoked_at IS NOT NULL;

CREATE TABLE ssh_keys (person TEXT PRIMARY KEY, line TEXT NOT NULL, kept_at BIGINT NOT NULL);

CREATE TABLE alerts (
  id TEXT NOT NULL UNIQUE, grant_id TEXT NOT NULL, system TEXT NOT NULL, since BIGINT NOT NULL,
  attempts INTEGER NOT NULL, sent INTEGER NOT NULL, next_at BIGINT, acknowledged_by TEXT,
  acknowledged_at BIGINT, confirmed_at BIGINT, PRIMARY KEY (grant_id, system)
);
CREATE INDEX alerts_due ON alerts (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE alert_messages (
  channel TEXT NOT NULL, ts TEXT NOT NULL, place INTEGER NOT NULL, grant_id TEXT NOT NULL,
  system TEXT NOT NULL, PRIMARY KEY (channel, ts, place)
);
CREATE INDEX alert_messages_of ON alert_messages (grant_id, system);

CREATE TABLE findings (
  id TEXT PRIMARY KEY, system TEXT NOT NULL, what TEXT NOT NULL, name TEXT NOT NULL,
  grant_id TEXT NOT NULL, detail TEXT NOT NULL, found_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX findings_once ON findings (system, what, name, grant_id);
"""

# A session's reports arrive in any order, and one may never arrive. `seen_at` is when the session
# was last known to be open, `watched` whether the bot polls it, `used_after_end` whether it was
# used after the end of its grant.
USE = """
CREATE TABLE usage (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, source TEXT NOT NULL, minute BIGINT NOT NULL,
  outcome TEXT NOT NULL, how TEXT NOT NULL, count BIGINT NOT NULL, last_at BIGINT NOT NULL,
  PRIMARY KEY (grant_id, system, source, minute, outcome, how)
);

CREATE TABLE recorded_paths (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
  allowed BIGINT NOT NULL, refused BIGINT NOT NULL, first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL, PRIMARY KEY (grant_id, system, method, path)
);

CREATE TABLE first_uses (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (grant_id, system)
);

CREATE TABLE sessions (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL,
  opened_at BIGINT, closed_at BIGINT, seen_at BIGINT NOT NULL, watched INTEGER NOT NULL,
  used_after_end INTEGER NOT NULL, PRIMARY KEY (grant_id, system, name)
);
CREATE INDEX sessions_watched ON sessions (system) WHERE closed_at IS NULL AND watched = 1;
CREATE INDEX sessions_by_time ON sessions (seen_at);
"""

# `fact_key` names the rule and its fact, so that a flag is raised once. `joined` is the flag that
# this one became part of. `flag_cursor` is the last record that was read.
FLAGS = """
CREATE TABLE flags (
  id TEXT PRIMARY KEY, fact_key TEXT NOT NULL UNIQUE, rule TEXT NOT NULL, severity TEXT NOT NULL,
  about TEXT NOT NULL, person TEXT NOT NULL, role TEXT NOT NULL, system TEXT NOT NULL,
  request_id TEXT NOT NULL, grant_id TEXT NOT NULL, sentence TEXT NOT NULL, at BIGINT NOT NULL,
  raised_at BIGINT NOT NULL, quiet INTEGER NOT NULL, times BIGINT NOT NULL,
  last_at BIGINT NOT NULL, joined TEXT NOT NULL DEFAULT '', answer TEXT NOT NULL DEFAULT '',
  answered_by TEXT NOT NULL DEFAULT '', answered_at BIGINT,
  answer_reason TEXT NOT NULL DEFAULT '', investigated_by TEXT NOT NULL DEFAULT '',
  investigated_at BIGINT
);
CREATE INDEX flags_at ON flags (at);
CREATE INDEX flags_raised ON flags (raised_at);
CREATE INDEX flags_open ON flags (person, raised_at)
  WHERE answer = '' AND joined = '' AND quiet = 0;
CREATE INDEX flags_joined ON flags (joined) WHERE joined <> '';

CREATE TABLE flag_messages (
  flag_id TEXT NOT NULL REFERENCES flags (id), channel TEXT NOT NULL, ts TEXT NOT NULL,
  PRIMARY KEY (flag_id, channel, ts)
);

CREATE TABLE places (
  person TEXT NOT NULL, network TEXT NOT NULL, agent TEXT NOT NULL, at BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL, PRIMARY KEY (person, network, agent)
);
CREATE INDEX places_at ON places (at);

CREATE TABLE flag_cursor (id INTEGER PRIMARY KEY CHECK (id = 1), seq BIGINT NOT NULL);
"""

MESSAGES = """
CREATE TABLE messages (
  request_id TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL,
  PRIMARY KEY (request_id, channel, ts)
);

CREATE TABLE direct_notes (
  channel TEXT NOT NULL, ts TEXT NOT NULL, place INTEGER NOT NULL, grant_id TEXT NOT NULL,
  request_id TEXT NOT NULL, note TEXT NOT NULL, why TEXT NOT NULL, until BIGINT NOT NULL,
  at BIGINT NOT NULL, past INTEGER NOT NULL, PRIMARY KEY (channel, ts, place)
);
CREATE INDEX direct_notes_of_grant ON direct_notes (grant_id, ts) WHERE grant_id <> '';
CREATE INDEX direct_notes_of_request ON direct_notes (request_id) WHERE request_id <> '';

CREATE TABLE private_answers (
  id TEXT PRIMARY KEY, person TEXT NOT NULL, url TEXT NOT NULL, kind TEXT NOT NULL,
  about TEXT NOT NULL, at BIGINT NOT NULL, uses INTEGER NOT NULL, shown TEXT NOT NULL
);
CREATE INDEX private_answers_of ON private_answers (person);

CREATE TABLE open_homes (person TEXT PRIMARY KEY, at BIGINT NOT NULL);
"""

# `systems` lets the worker leave the rows of an unreachable system alone. `turn` numbers the
# waiting rows of one `person`, so that people are served in turn.
WORK = """
CREATE TABLE outbox (
  id {serial}, kind TEXT NOT NULL, queue TEXT NOT NULL, ordering_key TEXT NOT NULL,
  data TEXT NOT NULL, due_at BIGINT NOT NULL, created_at BIGINT NOT NULL,
  attempts INTEGER NOT NULL, outcome_unknown INTEGER NOT NULL, claimed_by TEXT,
  claimed_until BIGINT, error TEXT NOT NULL,
  systems TEXT NOT NULL DEFAULT '', person TEXT NOT NULL DEFAULT '',
  turn INTEGER NOT NULL DEFAULT 1, correlation TEXT NOT NULL DEFAULT ''
);
CREATE INDEX outbox_due ON outbox (queue, due_at);
CREATE INDEX outbox_order ON outbox (ordering_key, turn, id);
CREATE INDEX outbox_turn ON outbox (queue, turn, due_at, id)
  WHERE queue IN ('decide', 'slack', 'update');
CREATE INDEX outbox_person ON outbox (queue, person, turn) WHERE person <> '';

CREATE TABLE key_values (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE seen (key TEXT PRIMARY KEY, at BIGINT NOT NULL);
CREATE INDEX seen_at ON seen (at);

CREATE TABLE repeats (
  key TEXT PRIMARY KEY, caller TEXT NOT NULL, since BIGINT NOT NULL, last BIGINT NOT NULL,
  times BIGINT NOT NULL, entry TEXT NOT NULL
);
CREATE INDEX repeats_of ON repeats (caller);
CREATE INDEX repeats_since ON repeats (since);
"""

# A search by several words at once uses one index. A person has few records of many: that index
# also holds the other columns, so that they are compared without reading the records. Roles,
# systems and events have many records: one index for each pair of them. A subject is searched only
# where it differs from the actor, whose index finds the record already.
AUDIT = """
CREATE TABLE audit (
  seq {number}, at BIGINT NOT NULL, event TEXT NOT NULL, actor TEXT NOT NULL,
  subject TEXT NOT NULL, role TEXT NOT NULL, system TEXT NOT NULL, request TEXT NOT NULL,
  "grant" TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, prev TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX audit_actor ON audit (actor, at, seq, role, system, event);
CREATE INDEX audit_subject ON audit (subject, at, seq, role, system, event)
  WHERE subject <> actor;
CREATE INDEX audit_role ON audit (role, at, seq);
CREATE INDEX audit_system ON audit (system, at, seq);
CREATE INDEX audit_event ON audit (event, at, seq);
CREATE INDEX audit_role_system ON audit (role, system, at, seq, event);
CREATE INDEX audit_role_event ON audit (role, event, at, seq, system);
CREATE INDEX audit_system_event ON audit (system, event, at, seq);
CREATE INDEX audit_grant ON audit ("grant", at, seq);
CREATE INDEX audit_request ON audit (request, at, seq);
CREATE INDEX audit_at ON audit (at, seq);

CREATE TABLE audit_head (
  id INTEGER PRIMARY KEY CHECK (id = 1), seq BIGINT NOT NULL, hash TEXT NOT NULL,
  seal TEXT NOT NULL
);

CREATE TABLE anchors (
  seq BIGINT NOT NULL, hash TEXT NOT NULL, at BIGINT NOT NULL, token TEXT NOT NULL,
  PRIMARY KEY (seq, hash)
);
"""

# Facts of other tools that decisions need. `source` is a digest of the address that they were read
# from.
SOURCES = """
CREATE TABLE calendars (
  duty TEXT PRIMARY KEY, source TEXT NOT NULL, tried_at BIGINT NOT NULL, read_at BIGINT,
  error TEXT NOT NULL, notified INTEGER NOT NULL
);

CREATE TABLE shifts (
  duty TEXT NOT NULL, starts_at BIGINT NOT NULL, ends_at BIGINT NOT NULL, emails TEXT NOT NULL
);
CREATE INDEX shifts_of_duty ON shifts (duty, starts_at);

CREATE TABLE tickets (
  source TEXT NOT NULL, ticket TEXT NOT NULL, checked_at BIGINT NOT NULL, found INTEGER NOT NULL,
  is_open INTEGER NOT NULL, assignees TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (source, ticket)
);
"""

# The progress of each `[[stream]]`. `backlog` was the newest record when the stream was new.
STREAMS = """
CREATE TABLE streams (
  name TEXT PRIMARY KEY, seq BIGINT NOT NULL, backlog BIGINT NOT NULL, moved_at BIGINT NOT NULL,
  claimed_by TEXT NOT NULL, claimed_until BIGINT NOT NULL, late INTEGER NOT NULL
);
"""

TABLES = (
    PEOPLE,
    REQUESTS,
    GRANTS,
    PROGRAMS,
    EMERGENCIES,
    ONBOARDING,
    REVIEWS,
    SYSTEMS,
    USE,
    FLAGS,
    MESSAGES,
    WORK,
    SOURCES,
    AUDIT,
    STREAMS,
)
GENESIS = "0" * 64

LOG = ("audit", "audit_head")
REFUSAL = "'the audit log is append-only'"
GROWS = "NEW.seq > OLD.seq OR (NEW.seq = 0 AND OLD.seq = 0 AND OLD.seal = '')"
"""The head of an empty log is sealed once."""

# Only records that a later record says were archived may be deleted.
NOT_ARCHIVED = (
    "WHEN NOT EXISTS (SELECT 1 FROM audit WHERE event = 'audit:log:archived'"
    " AND json_extract(detail, '$.last') >= OLD.seq)"
)

WATCHED = (
    ("audit", "UPDATE", ""),
    ("audit", "DELETE", NOT_ARCHIVED),
    ("audit_head", "UPDATE", f"WHEN (NOT ({GROWS}))"),
    ("audit_head", "DELETE", ""),
)
# SQLite's INSERT OR REPLACE deletes a conflicting row without firing the triggers above.
REPLACED = (
    ("audit", "INSERT", "WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)"),
    ("audit_head", "INSERT", "WHEN EXISTS (SELECT 1 FROM audit_head WHERE id = NEW.id)"),
)

FUNCTION = f"""
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION {REFUSAL}; END $$
"""
UNLESS_ARCHIVED = f"""
CREATE FUNCTION audit_keeps_records() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  IF EXISTS (SELECT 1 FROM audit WHERE event = 'audit:log:archived'
      AND (detail::json ->> 'last')::bigint >= OLD.seq)
  THEN RETURN OLD; END IF;
  RAISE EXCEPTION {REFUSAL};
END $$
"""
CALL = "EXECUTE FUNCTION audit_is_append_only()"


def guards(sqlite):
    """Returns the statements that make the audit log refuse every change except new records."""
    if sqlite:
        refuse = f"BEGIN SELECT RAISE(ABORT, {REFUSAL}); END"
        return [_trigger(*watched, refuse) for watched in WATCHED + REPLACED]
    return [
        FUNCTION,
        UNLESS_ARCHIVED,
        *(
            _trigger(table, verb, "FOR EACH ROW", f"{when} {CALL}")
            for table, verb, when in WATCHED
            if when is not NOT_ARCHIVED
        ),
        _trigger("audit", "DELETE", "FOR EACH ROW EXECUTE FUNCTION audit_keeps_records()"),
        *(_trigger(table, "TRUNCATE", "FOR EACH STATEMENT", CALL) for table in LOG),
    ]


def _trigger(table, verb, *rest):
    return f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {' '.join(rest)}"


def up(migrator, db):
    sqlite = type(db).__name__ == "SqliteDatabase"
    for tables in TABLES:
        text = tables.format(serial=SERIAL[sqlite], number=NUMBER[sqlite])
        for statement in text.strip().removesuffix(";").split(";\n"):
            db.execute_sql(statement)
    for statement in guards(sqlite):
        db.execute_sql(statement)
    db.execute_sql("INSERT INTO flag_cursor (id, seq) VALUES (1, 0)")
    db.execute_sql(f"INSERT INTO audit_head (id, seq, hash, seal) VALUES (1, 0, '{GENESIS}', '')")
