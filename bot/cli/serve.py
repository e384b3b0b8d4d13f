"""Implements `access-bot run`, `web` and `worker`: the commands that keep running."""

import gc
import logging
import os
import socket
import sys

import click

from bot.app import build_base
from bot.cli.common import actor, load
from bot.cli.errors import Wrong
from bot.config.logging import configure
from bot.core.model import Source
from bot.process import serve

_accept_clock = click.option(
    "--accept-clock",
    is_flag=True,
    help="Start although the newest record is ahead of the clock, and end all access. "
    "Use it only if the clock is right.",
)


@click.command(epilog="Example: access-bot run")
@_accept_clock
def run(accept_clock: bool) -> None:
    """Run everything in one process.

    That is Slack, delivery, the scheduler and HTTP. It also brings the database schema up to date.
    """
    _serve("run", web=True, work=True, migrate=True, accept_clock=accept_clock)


@click.command(epilog="Example: DATABASE_URL=postgresql://… access-bot web")
def web() -> None:
    """Run HTTP only: token checks, and Slack events in HTTP mode.

    Any number of these processes can share one PostgreSQL database.
    """
    _serve("web", web=True, work=False, migrate=False)


@click.command(epilog="Example: DATABASE_URL=postgresql://… access-bot worker")
@_accept_clock
def worker(accept_clock: bool) -> None:
    """Run everything except HTTP.

    That is the Slack socket, delivery and the scheduler. Any number of these processes can share
    one PostgreSQL database.
    """
    _serve("worker", web=False, work=True, migrate=False, accept_clock=accept_clock)


def _serve(
    command: str, *, web: bool, work: bool, migrate: bool, accept_clock: bool = False
) -> None:
    gc.freeze()  # imported objects stay, so no later collection has to visit them
    settings = load(command)
    _must_be_free(settings.host, settings.port)
    configure(settings.log_level, settings.log_format)
    base = build_base(settings, Source.CLOCK)
    accepted_by = actor() if accept_clock else ""
    serve(base, web=web, work=work, migrate=migrate, clock_accepted_by=accepted_by)
    _leave()


def _leave() -> None:
    """Exits without waiting for threads that still call a system which hangs; everything is
    saved."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _must_be_free(host: str, port: int) -> None:
    """Refuses a taken port before anything starts, instead of in the middle of the log."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            problem = f"can't listen on {host}:{port}: {error.strerror}"
            raise Wrong(f"environment HOST, PORT: {problem}") from None
