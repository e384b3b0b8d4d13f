"""Requests: ask, decide, withdraw, lapse."""
