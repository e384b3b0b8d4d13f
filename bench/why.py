"""Where the time goes of the figures that miss their goal: the same work once more under Python's profiler, which makes
everything slower and so is never what is measured.
"""

from __future__ import annotations

import cProfile
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from bench import payloads
from bench.acks import Desk, fire
from bench.bots import Bot, a_bot, until
from bench.gate import GRANTS, _tokens
from bench.lifecycle import an_office, live_through
from bench.log import asking
from bench.measure import Scale
from bench.place import Place, a_child, a_folder, a_place, postgres
from bench.profiled import by_part, shares
from storage.database import Database

AT_ONCE = 16


def commands(scale: Scale) -> Iterator[str]:
    """P1 and P3"""
    number = scale.loads
    with ExitStack() as stack, profiled() as (env, told):
        desk = Desk(stack, people=number * 2, module="bench.profiled", env=env)
        desk.ours(desk.asked(number), AT_ONCE)
        desk.bot.process.send_signal(signal.SIGUSR1)
        desk.ours(desk.asked(number), AT_ONCE)
        yield f"a command, {AT_ONCE} at once: {told(desk.bot)}"


def lifecycles(scale: Scale) -> Iterator[str]:
    """P7"""
    with profiled() as (env, told), an_office("bench.profiled", env) as office:
        office.bot.process.send_signal(signal.SIGUSR1)
        live_through(office, scale.lives)
        yield f"a lifecycle: {told(office.bot)}"


def checks(scale: Scale) -> Iterator[str]:
    """P12"""
    with ExitStack() as stack, profiled() as (env, told):
        place = stack.enter_context(a_place())
        tokens = _tokens(place)
        bot = stack.enter_context(a_bot("web", place.env | env, place.folder, "bench.profiled"))
        load = stack.enter_context(a_child("bench.load"))
        until(lambda: bot.status("/healthz") == 200)
        asked = [payloads.check(tokens[n % GRANTS], "/auth") for n in range(scale.loads * 8)]
        bot.process.send_signal(signal.SIGUSR1)
        fire(load, place.folder, bot.port, bot.pid, asked, AT_ONCE)
        yield f"a check of a token: {told(bot)}"


def writing(scale: Scale) -> Iterator[str]:
    """P13"""
    with a_place() as place:
        yield f"SQLite: {_here(asking(place, scale.loads), place)}"
    if (server := postgres()) is not None:
        with server.database() as url, a_place(url) as place:
            yield f"PostgreSQL: {_here(asking(place, scale.loads), place)}"


def _here(ask: Callable[[Database], int], place: Place) -> str:
    profiler = cProfile.Profile(time.thread_time)
    profiler.runcall(ask, place.world.db)
    profiler.create_stats()
    return shares(by_part(profiler.stats))  # type: ignore[attr-defined]  # typeshed leaves it out


@contextmanager
def profiled() -> Iterator[tuple[dict[str, str], Callable[[Bot], str]]]:
    """What a bot's environment needs to be profiled, and how to end it and hear where its time went."""
    with a_folder() as folder:
        path = folder / "profile"

        def told(bot: Bot) -> str:
            bot.process.terminate()
            bot.process.wait(30)
            return shares(json.loads(path.read_text()))

        yield {"BENCH_PROFILE": str(path)}, told


WHY: Mapping[str, Callable[[Scale], Iterator[str]]] = {
    "P1": commands,
    "P3": commands,
    "P7": lifecycles,
    "P12": checks,
    "P13": writing,
}
