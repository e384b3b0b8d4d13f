"""Approval in advance, for one person and role."""
