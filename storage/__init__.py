"""The rows: everything that outlives a process, on SQLite or PostgreSQL. Nothing outside this package knows SQL."""
