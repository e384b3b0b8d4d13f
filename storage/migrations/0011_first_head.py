"""The head of a log that has no record yet is sealed too: the trigger lets that one update through."""

GROWS = "NEW.seq > OLD.seq OR (NEW.seq = 0 AND OLD.seq = 0 AND OLD.seal = '')"


def up(migrator, db):
    if type(db).__name__ == "SqliteDatabase":
        db.execute_sql("DROP TRIGGER audit_head_no_update")
        db.execute_sql(
            f"CREATE TRIGGER audit_head_no_update BEFORE UPDATE ON audit_head WHEN NOT ({GROWS}) "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )
        return
    db.execute_sql("DROP TRIGGER audit_head_no_update ON audit_head")
    db.execute_sql(
        "CREATE TRIGGER audit_head_no_update BEFORE UPDATE ON audit_head FOR EACH ROW "
        f"WHEN (NOT ({GROWS})) EXECUTE FUNCTION audit_is_append_only()"
    )
