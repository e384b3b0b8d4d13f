"""`access-bot demo`: one lifecycle of access before your eyes, without a Slack workspace."""

import click


@click.command(epilog="Example: access-bot demo --exit, in a checkout; exit code 0 if everything happened, else 1.")
@click.option("--exit", "ends", is_flag=True, help="End when it is over, which it does in any case.")
@click.pass_context
def demo(ctx: click.Context, ends: bool) -> None:
    """Play one lifecycle with people of a local stand-in for Slack.

    The bot runs unmodified, on SQLite, with a real nginx that asks its gate: request, approval, token, reminder,
    renewal, end on time, audit. Takes less than half a minute.
    """
    from bot.sandbox.demo import main

    ctx.exit(main())
