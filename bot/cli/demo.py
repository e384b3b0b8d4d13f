"""The verbs that show the product in a local stand-in for Slack: the whole lifecycle, or the workspace alone."""

import sys
from pathlib import Path

import click

from bot.cli.common import Wrong

port_option = click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; 0 takes any.")


@click.command(epilog="Example: access-bot demo --exit, in a checkout; exit code 0 if everything happened, else 1.")
@click.option("--exit", "ends", is_flag=True, help="End when it has been played; without a terminal it always does.")
@click.option("--fresh", is_flag=True, help="Start over instead of going on where you left it.")
@port_option
@click.pass_context
def demo(ctx: click.Context, ends: bool, fresh: bool, port: int) -> None:
    """Play one lifecycle in a workspace in the browser, then stay up to play with.

    The bot runs unmodified, on SQLite, with a real nginx that asks its gate: request, approval, token, reminder,
    renewal, end on time, audit. It prints the address of the page, which only this machine can reach.
    """
    _must_be_installed()
    from bot.sandbox.demo import main

    ctx.exit(main(ends=ends or not sys.stdout.isatty(), fresh=fresh, port=port))


@click.command(epilog="Example: access-bot sandbox --port 8000, and the bot in another terminal with what it prints.")
@port_option
@click.option("--manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another app's, JSON.")
@click.option("--request-url", help="Deliver by signed HTTP to this URL instead of Socket Mode.")
@click.option("--rate-limits/--no-rate-limits", default=True, help="Slack's rate limits.")
def sandbox(port: int, manifest: Path | None, request_url: str | None, rate_limits: bool) -> None:
    """Run the workspace alone, with a page, and print the environment for a bot to join it."""
    _must_be_installed()
    import json

    from bot.sandbox.__main__ import serve
    from bot.slack.manifest import manifest as built

    serve(port, json.loads(manifest.read_text()) if manifest else built("socket"), request_url, rate_limits)


def _must_be_installed() -> None:
    """Refuses when the library that the stand-in needs is missing: only an extra brings it."""
    from importlib.util import find_spec

    if find_spec("websockets") is None:
        raise Wrong(
            "The stand-in for Slack needs websockets, which is not installed: pip install 'access-bot[sandbox]'"
        )
