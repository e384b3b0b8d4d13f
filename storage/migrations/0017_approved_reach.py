"""What the settings of each system were when a grant was approved, as a digest."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE leases ADD COLUMN reach TEXT NOT NULL DEFAULT ''")
