"""`python -m bot.sandbox`: runs a stand-in until it is interrupted, and prints the environment for
a bot.

It doesn't start the bot.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

import click

from bot.sandbox.checks import Json
from bot.sandbox.server import PortTaken, running_sandbox


@click.command()
@click.option("--port", default=0, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option(
    "--manifest", type=click.Path(exists=True, path_type=Path), help="The app's manifest, JSON."
)
@click.option("--request-url", help="Deliver by signed HTTP to this URL instead of Socket Mode.")
@click.option("--rate-limits/--no-rate-limits", default=True, help="Slack's rate limits.")
def main(port: int, manifest: Path | None, request_url: str | None, rate_limits: bool) -> None:
    """Runs a local stand-in for Slack and prints the environment lines for a bot."""
    serve(port, json.loads(manifest.read_text()) if manifest else None, request_url, rate_limits)


def serve(port: int, manifest: Json | None, request_url: str | None, rate_limits: bool) -> None:
    """Runs a stand-in until it is interrupted; prints the environment, and as a comment the page's
    address."""
    with contextlib.ExitStack() as stack:
        try:
            sandbox = stack.enter_context(
                running_sandbox(
                    port=port, manifest=manifest, request_url=request_url, rate_limits=rate_limits
                )
            )
        except PortTaken as taken:
            raise click.UsageError(str(taken)) from None
        for name, value in sandbox.environment.items():
            click.echo(f"{name}={value}")
        click.echo(f"# The page: {sandbox.base_url}/")
        threading.Event().wait()


if __name__ == "__main__":
    main()
