"""The audit log: read, verify."""
