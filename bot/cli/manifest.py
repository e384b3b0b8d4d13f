"""Implements `access-bot manifest`: prints the manifest of the Slack app."""

import json
from typing import Literal

import click

from bot.cli.errors import Wrong
from bot.config.settings import load_settings
from bot.core.names import use_names
from bot.slack.manifest import manifest as build_manifest


@click.command(epilog="Example: access-bot manifest --mode http --url https://access.example.com")
@click.option(
    "--mode",
    type=click.Choice(["socket", "http"]),
    required=True,
    help="How Slack reaches the bot.",
)
@click.option("--url", default="", help="Public address of the bot, https://…; for http only.")
def manifest(mode: Literal["socket", "http"], url: str) -> None:
    """Print the manifest of the Slack app.

    Create the app from it: api.slack.com/apps, “From a manifest”.
    """
    if mode == "http" and not url.startswith("https://"):
        raise Wrong("HTTP mode needs the public address of the bot: pass --url https://…")
    settings = load_settings()
    use_names(settings.command, settings.app_name)
    click.echo(json.dumps(build_manifest(mode, url), indent=2))
