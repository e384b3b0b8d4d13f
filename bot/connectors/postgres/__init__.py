"""The connector for PostgreSQL."""
