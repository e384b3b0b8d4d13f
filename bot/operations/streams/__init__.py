"""Hands audit records to their streams in order, and records how far each stream is."""
