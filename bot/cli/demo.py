"""Implements `access-bot demo` and `access-bot sandbox`: the product in a local Slack sandbox."""

import json
import sys
from pathlib import Path

import click

from bot.cli.sandbox_extra import require_sandbox_extra
from bot.slack.manifest import manifest as build_manifest

try:
    from bot.sandbox.__main__ import serve
    from bot.sandbox.demo import main as play
except ModuleNotFoundError as error:
    if error.name != "websockets":  # only the extra `sandbox` installs it
        raise

port_option = click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; 0 picks a free one."
)


@click.command(
    epilog=("Example: access-bot demo --exit. Exit code 0: every step happened. 1: a step did not.")
)
@click.option(
    "--exit", "ends", is_flag=True, help="Exit after the last step, as it does without a terminal."
)
@click.option("--fresh", is_flag=True, help="Start over instead of resuming the last demo.")
@port_option
@click.pass_context
def demo(ctx: click.Context, ends: bool, fresh: bool, port: int) -> None:
    """Play a whole lifecycle in a local Slack sandbox.

    The bot runs unmodified, on SQLite, with a real nginx that asks it for every request. The demo
    shows request, approval, token, reminder, renewal, timely end and audit log, then keeps running
    for you to try. It prints the address of the page, which only this machine can reach.
    """
    require_sandbox_extra()
    ctx.exit(play(_example_roles(), ends=ends or not sys.stdout.isatty(), fresh=fresh, port=port))


@click.command(
    epilog=(
        "Example: access-bot sandbox --port 8800; "
        "then start a bot in another terminal with the environment that it prints."
    )
)
@port_option
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Manifest of another app, JSON.",
)
@click.option("--request-url", help="Deliver by signed HTTP to this URL, not by Socket Mode.")
@click.option("--rate-limits/--no-rate-limits", default=True, help="Apply Slack's rate limits.")
def sandbox(port: int, manifest: Path | None, request_url: str | None, rate_limits: bool) -> None:
    """Run the Slack sandbox without a bot.

    It serves a page and prints the environment with which a bot joins.
    """
    require_sandbox_extra()
    app = json.loads(manifest.read_text()) if manifest else build_manifest("socket")
    serve(port, app, request_url, rate_limits)


def _example_roles() -> Path:
    """The example roles.toml, which a wheel has beside this file and a checkout in its folder."""
    packed = Path(__file__).with_name("example_roles.toml")
    return packed if packed.exists() else Path(__file__).parents[2] / "roles.toml"
