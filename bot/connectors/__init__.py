"""The real systems: one file for each kind, one line in this table, and the same contract tests for all.

`build` is told what some of them need and is asked once for each process; libraries are imported only then.
"""

from bot.connectors.base import Connector
from bot.connectors.gateway import Gates, Gateway


def build(gates: Gates) -> dict[str, Connector]:
    """Every connector by the name that roles.toml calls it."""
    return {
        "gateway": Gateway(gates),
    }
