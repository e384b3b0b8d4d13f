"""Connected systems: their real access and the access that they should have."""
