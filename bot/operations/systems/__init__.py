"""Connected systems: what they hold and what they should hold."""
