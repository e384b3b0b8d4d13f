"""Programs: API tokens, and requests in the name of an owner."""
