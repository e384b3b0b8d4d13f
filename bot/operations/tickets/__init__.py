"""Records the answers of ticket systems, and ends access whose ticket is closed."""
