"""Says where the app is in Slack, for a link from outside of it."""

from dataclasses import dataclass

from bot.operations._unit_of_work import Context
from bot.operations.remembered import recall


@dataclass(frozen=True, slots=True)
class SlackPlace:
    """The ids of the workspace and the app; "" as long as Slack has not given them."""

    team: str = ""
    app: str = ""

    @property
    def app_link(self) -> str:
        """Opens the app's Home in the Slack app, "" while the ids are unknown
        (https://docs.slack.dev/interactivity/deep-linking)."""
        known = self.team and self.app
        return f"slack://app?team={self.team}&id={self.app}&tab=home" if known else ""

    @property
    def web_link(self) -> str:
        """Opens the app in Slack from any browser, or Slack while the ids are unknown."""
        if not self.app:
            return "https://app.slack.com/client"
        team = f"&team={self.team}" if self.team else ""
        return f"https://slack.com/app_redirect?app={self.app}{team}"


def slack_place(world: Context) -> SlackPlace:
    """Raises StorageUnavailable."""
    return SlackPlace(recall(world, "slack team") or "", recall(world, "slack app") or "")
