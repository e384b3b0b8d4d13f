"""The database as a process needs it beside its work: clock, outage, due times."""
