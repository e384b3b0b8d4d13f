"""Revokes an API token before its end."""

from dataclasses import dataclass

from bot.core.approval import Refused
from bot.core.programs import ApiToken
from bot.operations._api_tokens import end_token
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, unit
from storage import programs


@dataclass(frozen=True, slots=True)
class Revoked:
    """`withdrawn` is the number of its requests that were pending."""

    token: ApiToken
    withdrawn: int


def revoke_api_token(world: Context, by: str, id: str) -> Revoked | Refused:
    """Ends the token and withdraws its pending requests, for leads and the command line. Grants
    stay. Raises StorageUnavailable."""
    with unit(world) as u:
        token = programs.locked_token(u.db, id)
        refused = leads_only(u, by)
        if refused is None and token is None:
            known = "`access-bot api-tokens list` shows the tokens."
            refused = Refused(f"There is no API token “{id[:60]}”. {known}")
        if refused is not None or token is None:
            return u.refuse(refused or Refused(""), by, "revoke an API token")
        withdrawn = end_token(u, token, by)
        if withdrawn is None:
            return Refused(f"{token.id} is revoked already.")
        return Revoked(token, withdrawn)
