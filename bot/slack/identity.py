"""The bot's own identity in Slack: workspace and ids, asked once and stored for a start while Slack
is down."""

import logging
import threading
from dataclasses import dataclass

from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from bot.core.errors import AccessBotError
from bot.operations._unit_of_work import Context
from bot.operations.remembered import recall, remember
from bot.slack.api import call

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Self:
    """Empty strings until Slack has answered once."""

    team: str = ""
    bot_id: str = ""
    bot_user: str = ""


class Identity:
    """`client` carries the bot's token."""

    def __init__(self, client: WebClient, world: Context) -> None:
        self._client, self._world = client, world
        self._lock = threading.Lock()
        self.known = Self(
            *(recall(world, f"slack {part}") or "" for part in ("team", "bot id", "bot user"))
        )

    def team(self) -> str:
        return self.known.team

    def ask(self) -> Self:
        """Asks Slack. Raises SystemUnavailable or SystemRefused."""
        answer = call(self._client, "auth.test")
        with self._lock:
            self.known = Self(answer["team_id"], answer.get("bot_id") or "", answer["user_id"])
        parts = {
            "team": self.known.team,
            "bot id": self.known.bot_id,
            "bot user": self.known.bot_user,
        }
        remember(self._world, {f"slack {part}": value for part, value in parts.items()})
        self._ask_app()
        return self.known

    def _ask_app(self) -> None:
        """Stores the app's id for links into Slack, which only its profile has. Without it, links
        lead to Slack and not to the app."""
        try:
            user = call(self._client, "users.info", user=self.known.bot_user)["user"]
            app = str(user["profile"]["api_app_id"])
        except (AccessBotError, LookupError, TypeError) as error:
            log.warning("Slack does not give the id of the app: %s", error)
        else:
            remember(self._world, {"slack app": app})

    def authorized(self) -> AuthorizeResult:
        """The authorization that Bolt needs for each payload, without a call to Slack."""
        return AuthorizeResult(
            enterprise_id=None,
            team_id=self.known.team or None,
            bot_token=self._client.token,
            bot_id=self.known.bot_id or None,
            bot_user_id=self.known.bot_user or None,
        )
