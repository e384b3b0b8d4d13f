"""Records what ticket systems say, and ends access whose ticket is closed."""
