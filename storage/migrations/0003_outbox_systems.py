"""Which systems a row of the outbox is about, so that those of a system that hangs can be left where they are."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE outbox ADD COLUMN systems TEXT NOT NULL DEFAULT ''")
