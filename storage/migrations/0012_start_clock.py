"""Whether the end of a grant that is starting stands: a system may have made it by an earlier try."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE grants ADD COLUMN clock INTEGER NOT NULL DEFAULT 0")
    db.execute_sql("UPDATE grants SET clock = 1 WHERE state = 'starting'")
    db.execute_sql("CREATE INDEX grants_starting ON grants (ends_at) WHERE state = 'starting'")
