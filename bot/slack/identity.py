"""The bot's own identity in Slack: workspace and ids, asked once and stored for a start while Slack
is down."""

import logging
import threading
from dataclasses import astuple, dataclass

from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from bot.core.errors import SystemRefused
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
    app: str = ""


PARTS = ("team", "bot id", "bot user", "app")
"""The names under which the parts of `Self` are stored."""


class Identity:
    """`client` carries the bot's token."""

    def __init__(self, client: WebClient, world: Context) -> None:
        self._client, self._world = client, world
        self._lock = threading.Lock()
        self.known = Self(*(recall(world, f"slack {part}") or "" for part in PARTS))

    def team(self) -> str:
        return self.known.team

    def app(self) -> str:
        return self.known.app

    def ask(self) -> Self:
        """Asks Slack. The app of a bot user never changes, so it is looked up once. Raises
        SystemUnavailable or SystemRefused."""
        answer = call(self._client, "auth.test")
        before, user = self.known, str(answer["user_id"])
        app = (before.app if user == before.bot_user else "") or app_of(self._client, user)
        with self._lock:
            self.known = Self(answer["team_id"], answer.get("bot_id") or "", user, app)
        values = zip(PARTS, astuple(self.known), strict=True)
        remember(self._world, {f"slack {part}": value for part, value in values})
        return self.known

    def authorized(self) -> AuthorizeResult:
        """The authorization that Bolt needs for each payload, without a call to Slack."""
        return AuthorizeResult(
            enterprise_id=None,
            team_id=self.known.team or None,
            bot_token=self._client.token,
            bot_id=self.known.bot_id or None,
            bot_user_id=self.known.bot_user or None,
        )


def app_of(client: WebClient, bot_user: str) -> str:
    """The id of the bot's app, which only the profile of its user has; "" if Slack does not give
    it. Raises SystemUnavailable."""
    try:
        return str(call(client, "users.info", user=bot_user)["user"]["profile"]["api_app_id"])
    except (SystemRefused, LookupError, TypeError) as error:
        log.warning("Slack does not give the id of the app: %s", error)
        return ""
