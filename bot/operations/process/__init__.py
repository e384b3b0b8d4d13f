"""What a process needs of the database beside its work: clock, outage, due times."""
