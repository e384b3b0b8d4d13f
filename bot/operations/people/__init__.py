"""People: look up, deactivate, Home."""
