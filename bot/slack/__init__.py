"""Slack in and out: each act of a person becomes one call of an operation, and results become
views."""
