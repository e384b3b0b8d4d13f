"""People who were only invited, or have not confirmed their e-mail address."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE people ADD COLUMN unconfirmed INTEGER NOT NULL DEFAULT 0")
