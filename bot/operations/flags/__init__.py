"""Flags: raising them from the log, answering them, and listing them."""
