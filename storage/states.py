"""SQL conditions on the states of grants. Queries share them with partial indexes."""

UNFINISHED = "state NOT IN ('ended', 'failed')"
"""The condition of the partial indexes on grants."""

HELD = "state IN ('scheduled', 'starting', 'active')"
