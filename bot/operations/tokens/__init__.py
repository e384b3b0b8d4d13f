"""Tokens: introspect, revoke."""
