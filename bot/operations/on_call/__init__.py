"""Records who is on call by a calendar."""
