"""The policy in force and its references to people and groups."""
