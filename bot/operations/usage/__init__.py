"""Usage reports and sessions."""
