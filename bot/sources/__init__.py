"""Reads facts that decisions need and other systems keep: on-call calendars and tickets."""
