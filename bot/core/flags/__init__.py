"""Flags: rules that find unusual patterns in requests, decisions and use."""
