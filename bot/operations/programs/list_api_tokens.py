"""Lists API tokens with the use that programs made of them."""

from dataclasses import dataclass

from bot.core.programs import ApiToken
from bot.operations._unit_of_work import Context, reading
from storage import programs


@dataclass(frozen=True, slots=True)
class TokenView:
    """`requests` is the number of requests that it made, `last_at` the time of the last one."""

    token: ApiToken
    requests: int
    last_at: int | None


def list_api_tokens(world: Context, limit: int) -> list[TokenView]:
    """Returns tokens, newest first, also those that are over. Raises StorageUnavailable."""
    with reading(world) as u:
        used = programs.last_requests(u.db)
        found = programs.tokens(u.db, limit)
    return [TokenView(token, *used.get(token.id, (0, None))) for token in found]
