"""The verbs that stay: everything in one process, or HTTP and the rest apart."""

import gc
import logging
import os
import sys

import click

from bot.cli.common import Wrong, actor, load
from storage.drivers import load_for

_accept_clock = click.option(
    "--accept-clock",
    is_flag=True,
    help="Start although records are ahead of the clock, and end all access. Only if the clock is right.",
)


@click.command(epilog="Example: access-bot run")
@_accept_clock
def run(accept_clock: bool) -> None:
    """Everything in one process: Slack, delivery, clock and HTTP. Brings the schema up by itself."""
    _serve("run", web=True, work=True, migrate=True, accept_clock=accept_clock)


@click.command(epilog="Example: DATABASE_URL=postgresql://… access-bot web")
def web() -> None:
    """Only HTTP: token checks, and Slack's events in HTTP mode. Any number on one PostgreSQL."""
    _serve("web", web=True, work=False, migrate=False)


@click.command(epilog="Example: DATABASE_URL=postgresql://… access-bot worker")
@_accept_clock
def worker(accept_clock: bool) -> None:
    """Only the rest: Slack's socket, delivery and clock. Any number on one PostgreSQL."""
    _serve("worker", web=False, work=True, migrate=False, accept_clock=accept_clock)


def _serve(verb: str, *, web: bool, work: bool, migrate: bool, accept_clock: bool = False) -> None:
    gc.disable()  # what is imported stays: looking for garbage in it costs a tenth of the start
    settings = load(verb)
    _must_be_free(settings.host, settings.port)
    load_for(settings.database_url)
    from bot.app import build_base
    from bot.core.model import Source
    from bot.logs import configure
    from bot.process import serve

    gc.freeze()
    gc.enable()

    configure(settings.log_level, settings.log_format)
    accepted_by = actor() if accept_clock else ""
    serve(build_base(settings, Source.CLOCK), web=web, work=work, migrate=migrate, clock_accepted_by=accepted_by)
    _leave()


def _leave() -> None:
    """All is written down. Python would wait for the threads that still ask a system which hangs."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _must_be_free(host: str, port: int) -> None:
    """Tells before anything is started what the server would only tell in the middle of its log."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise Wrong(f"environment HOST, PORT: can't listen on {host}:{port}: {error.strerror}") from None
