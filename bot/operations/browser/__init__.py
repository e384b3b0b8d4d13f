"""Access with a browser: one-time codes, and the sessions that they open."""
