"""Where access was made, by the settings of its system: an end elsewhere proves nothing."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE leases ADD COLUMN target TEXT NOT NULL DEFAULT ''")
