"""An index for how many requests a person made lately."""


def up(migrator, db):
    db.execute_sql("CREATE INDEX requests_latest ON requests (requester, created_at)")
