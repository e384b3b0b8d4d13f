"""Stores all state in SQLite or PostgreSQL. Only this package contains SQL."""
