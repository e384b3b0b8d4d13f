"""Absence: hand decisions to a delegate, and take them back."""
