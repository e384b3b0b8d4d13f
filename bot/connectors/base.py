"""What every real system has to be able to do. A connector knows its system and nothing of Slack, requests or rows.

Each call may be repeated at any time: `grant` a second time extends or confirms, `revoke` of what is not there is
fine. Whether it worked is not believed but read back.
"""

from typing import Protocol

from bot.core.model import Order


class Connector(Protocol):
    """One kind of system. Every method raises SystemUnavailable for what a later try may get, and SystemRefused for
    what no try will. One whose access is nothing but rows of ours may have `revoke_all(orders)` too,
    which ends many in one transaction and raises unless all of them are gone."""

    def grant(self, order: Order) -> None:
        """Makes the access exist, until `order.ends_at` where the system keeps an end of its own."""

    def revoke(self, order: Order) -> None:
        """Makes the access not exist."""

    def read_back(self, order: Order) -> bool:
        """Whether the access exists there now, asked of the system itself."""
