"""Indexes for a search of the audit log by several words at once, whether they often meet or never.

A person has few records of many: their index also holds the other words, so that these are compared without reading
the records. Roles, systems and events have many: an index for each pair of them, with the third where it costs little.
A subject is looked for only where it is not the actor too, who is found already.
"""

INDEXES = """
DROP INDEX audit_actor;
CREATE INDEX audit_actor ON audit (actor, at, seq, role, system, event);
DROP INDEX audit_subject;
CREATE INDEX audit_subject ON audit (subject, at, seq, role, system, event) WHERE subject <> actor;
CREATE INDEX audit_role_system ON audit (role, system, at, seq, event);
CREATE INDEX audit_role_event ON audit (role, event, at, seq, system);
CREATE INDEX audit_system_event ON audit (system, event, at, seq);
"""


def up(migrator, db):
    for statement in INDEXES.strip().split("\n"):
        db.execute_sql(statement.rstrip(";"))
