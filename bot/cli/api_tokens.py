"""Implements `access-bot api-tokens`: creates, lists and revokes the tokens of programs."""

import click

from bot.cli.common import (
    actor,
    confirm,
    json_option,
    limit_option,
    opened,
    person_known,
    yes_option,
)
from bot.cli.errors import Refusal, Wrong
from bot.cli.output import clean, json_line, moment, relative, table, utc
from bot.core.approval import Refused
from bot.core.durations import BadDuration, format_duration
from bot.core.plurals import counted
from bot.core.programs import USUAL_LIFE
from bot.core.spans import parse_span
from bot.operations._unit_of_work import Context
from bot.operations.programs.create_api_token import Wanted, create_api_token
from bot.operations.programs.list_api_tokens import TokenView, list_api_tokens
from bot.operations.programs.revoke_api_token import revoke_api_token


@click.group(
    epilog="Example: access-bot api-tokens new --owner ana@example.com --roles orders-read"
)
def api_tokens() -> None:
    """Let programs request roles in the name of a person.

    A program can request and wait. It can never approve.
    """


@api_tokens.command(
    epilog="Example: access-bot api-tokens new --owner ana@example.com --roles orders-read"
    " --name ci --expires 30d"
)
@click.option(
    "--owner", required=True, help="The person in whose name the program asks: Slack id or e-mail."
)
@click.option("--roles", required=True, help="The roles that it may ask for, separated by commas.")
@click.option("--name", default="", help="The program's name in messages; default: the token's id.")
@click.option(
    "--expires",
    default=format_duration(USUAL_LIFE),
    show_default=True,
    help="How long it is good for, at most a year.",
)
@json_option
def new(owner: str, roles: str, name: str, expires: str, as_json: bool) -> None:
    """Create a token and print it. Only this command ever shows it."""
    with opened("api-tokens", gives=True) as base:
        named = tuple(filter(None, (role.strip() for role in roles.split(","))))
        person = person_known(base.world, owner)
        wanted = Wanted(person, named, _life(base.world, expires), name)
        created = create_api_token(base.world, actor(), wanted)
        if isinstance(created, Refused):
            raise Refusal(created.reason)
        token = created.token
        if as_json:
            json_line(
                {**_as_json(TokenView(token, 0, None), base.world.now()), "token": created.secret}
            )
            return
        about = f"{token.id} for {clean(token.name)} expires on {utc(token.expires_at)}"
        click.echo(f"{about}. This is the only time that the token is shown:", err=True)
        click.echo(created.secret)


def _life(world: Context, expires: str) -> int:
    try:
        return parse_span(expires, world.now(), "UTC")
    except BadDuration as bad:
        raise Wrong(f"--expires: {bad}") from bad


@api_tokens.command("list", epilog="Example: access-bot api-tokens list --json")
@json_option
@limit_option(1000)
def list_(as_json: bool, limit: int) -> None:
    """List all tokens, newest first."""
    with opened("api-tokens") as base:
        found, now = list_api_tokens(base.world, limit), base.world.now()
        if as_json:
            for view in found:
                json_line(_as_json(view, now))
        elif found:
            _table(found, now)
        else:
            click.echo("No API tokens.")


@api_tokens.command(epilog="Example: access-bot api-tokens revoke t4k2m9p0q1rs")
@click.argument("token")
@yes_option
def revoke(token: str, yes: bool) -> None:
    """Revoke TOKEN, given by its id.

    Its pending requests are withdrawn. Access that it got stays: `access-bot grants revoke`
    ends it.
    """
    with opened("api-tokens") as base:
        confirm(f"The program of {clean(token)} can request nothing from now on. Continue?", yes)
        revoked = revoke_api_token(base.world, actor(), token)
        if isinstance(revoked, Refused):
            raise Refusal(revoked.reason)
        number = counted(revoked.withdrawn, "pending request")
        click.echo(f"{revoked.token.id} is revoked, and {number} withdrawn.")


def _table(found: list[TokenView], now: int) -> None:
    table(
        ("TOKEN", "PROGRAM", "OWNER", "STATE", "EXPIRES", "REQUESTS", "LAST", "ROLES"),
        (
            (
                view.token.id,
                view.token.name,
                view.token.owner,
                view.token.state(now),
                utc(view.token.expires_at),
                view.requests,
                "–" if view.last_at is None else relative(view.last_at, now),
                ", ".join(view.token.roles),
            )
            for view in found
        ),
    )


def _as_json(view: TokenView, now: int) -> dict[str, object]:
    token = view.token
    return {
        "id": token.id,
        "program": token.name,
        "owner": token.owner,
        "roles": token.roles,
        "state": token.state(now),
        "created_at": moment(token.created_at),
        "created_by": token.created_by,
        "expires_at": moment(token.expires_at),
        "revoked_at": moment(token.revoked_at),
        "revoked_by": token.revoked_by,
        "requests": view.requests,
        "last_request_at": moment(view.last_at),
    }
