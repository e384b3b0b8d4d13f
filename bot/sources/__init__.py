"""Where facts come from that decisions need and that others keep: on-call calendars and tickets."""
