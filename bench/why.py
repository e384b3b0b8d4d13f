"""Finds the slow parts of figures that miss their goal: the work again under Python's profiler. The
profiler makes everything slower, so this run is never the measurement."""

from __future__ import annotations

import cProfile
import json
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

from bench import payloads
from bench.acks import BotAndBolt, fire, troubled, under_load
from bench.bots import Bot, a_bot
from bench.ends import left
from bench.gate import GRANTS, _tokens
from bench.lifecycle import an_office, live_through
from bench.log import asking, export, long_log
from bench.measure import Scale
from bench.place import a_child, a_folder, a_place, postgres
from bench.profiled import by_part, shares
from bot.sandbox import running_sandbox
from tests.waiting import until

AT_ONCE = 16
PROFILED = "bench.profiled"


def commands(scale: Scale) -> Iterator[str]:
    """P1 and P3"""
    number = scale.loads
    with ExitStack() as stack, profiled() as (env, profile_text):
        both = BotAndBolt(stack, people=number * 2, module=PROFILED, env=env)
        both.ours(both.asked(number), AT_ONCE)
        both.bot.process.send_signal(signal.SIGUSR1)
        both.ours(both.asked(number), AT_ONCE)
        yield f"a command, {AT_ONCE} at once: {profile_text(both.bot)}"


def under_trouble(scale: Scale) -> Iterator[str]:
    """P4"""
    for how, trouble in (("idle", False), ("everything hanging", True)):
        with ExitStack() as stack, profiled() as (env, profile_text):
            place, bot, people = troubled(stack, scale, scale.loads * 2, trouble, PROFILED, env)
            load = stack.enter_context(a_child("bench.load"))
            under_load(load, place, bot, people, scale.loads)
            bot.process.send_signal(signal.SIGUSR1)
            under_load(load, place, bot, people, scale.loads)
            yield f"an ack, {how}: {profile_text(bot)}"


def clicks(scale: Scale) -> Iterator[str]:
    """P5 and P6"""
    with profiled() as (env, profile_text), an_office(PROFILED, env) as office:
        asked = [office.ask(office.newcomer(number), "shop-admin") for number in range(scale.lives)]
        office.quiet()
        office.bot.process.send_signal(signal.SIGUSR1)
        office.sandbox.inspector.forget()
        for request in asked:
            office.approve(request)
            office.grant(request, "active")
        made = Counter(call["method"] for call in office.sandbox.inspector.calls())
        calls = ", ".join(f"{method} ×{number}" for method, number in made.most_common())
        yield (
            f"{len(asked)} clicks on Approve until their access is active ({calls}):"
            f" {profile_text(office.bot)}"
        )


def lifecycles(scale: Scale) -> Iterator[str]:
    """P7"""
    with profiled() as (env, profile_text), an_office(PROFILED, env) as office:
        office.bot.process.send_signal(signal.SIGUSR1)
        live_through(office, office.newcomers(scale.lives))
        yield f"a lifecycle: {profile_text(office.bot)}"


def overdue(scale: Scale) -> Iterator[str]:
    """P11"""
    with ExitStack() as stack, profiled() as (env, profile_text):
        place = stack.enter_context(a_place())
        place.company(10)
        place.grants(scale.many, int(time.time()) - 60)
        bot = stack.enter_context(a_bot("run", place.env | env, place.folder, PROFILED))
        until(lambda: left(place, "active") == 0, 120, 0.02)
        bot.process.send_signal(signal.SIGUSR1)
        until(lambda: left(place, "ending") == 0, 300, 0.1)
        yield f"an overdue end that is confirmed: {profile_text(bot)}"


def checks(scale: Scale) -> Iterator[str]:
    """P12"""
    with ExitStack() as stack, profiled() as (env, profile_text):
        place = stack.enter_context(a_place())
        tokens = _tokens(place)
        bot = stack.enter_context(a_bot("web", place.env | env, place.folder, PROFILED))
        load = stack.enter_context(a_child("bench.load"))
        until(lambda: bot.status("/healthz") == 200)
        asked = [payloads.check(tokens[n % GRANTS], "/auth") for n in range(scale.loads * 8)]
        bot.process.send_signal(signal.SIGUSR1)
        fire(load, place.folder, bot.port, bot.pid, asked, AT_ONCE)
        yield f"a check of a token: {profile_text(bot)}"


def writing(scale: Scale) -> Iterator[str]:
    """P13"""
    with a_place() as place:
        ask = asking(place, scale.loads)
        yield f"SQLite: {_in_process(lambda: ask(place.world.db))}"
    if (server := postgres()) is not None:
        with server.database() as url, a_place(url) as place:
            ask = asking(place, scale.loads)
            yield f"PostgreSQL: {_in_process(lambda: ask(place.world.db))}"


def exporting(scale: Scale) -> Iterator[str]:
    """P15"""
    for kind in ("SQLite", "PostgreSQL"):
        with long_log(kind, scale) as place:
            if place is not None:
                yield (
                    f"an export, {kind}:"
                    f" {_in_process(partial(export, place, place.folder / 'export.csv'))}"
                )


def starting(scale: Scale) -> Iterator[str]:
    """P17"""
    with ExitStack() as stack:
        place = stack.enter_context(a_place())
        env = place.env | stack.enter_context(running_sandbox(rate_limits=False)).environment
        bot = stack.enter_context(
            a_bot("run", env | {"PYTHONPROFILEIMPORTTIME": "1"}, place.folder)
        )
        until(bot.is_ready, every=0.005)
        whole, parts = time.monotonic() - bot.started, dict[str, float]()
        for own, name in re.findall(
            r"import time: +(\d+) \| +\d+ \| +([\w.]+)", bot.log.read_text()
        ):
            parts[_package(name)] = parts.get(_package(name), 0) + int(own) / 1e6
    parts["everything but imports"] = whole - sum(parts.values())
    yield f"{whole:.2f} s until it is ready, of them to import: {shares(parts)}"


def _package(module: str) -> str:
    top = module.split(".")[0]
    return "Python's library" if top in sys.stdlib_module_names else top


def idle(scale: Scale) -> Iterator[str]:
    """P18"""
    with ExitStack() as stack, profiled() as (env, profile_text):
        place = stack.enter_context(a_place())
        sandbox = stack.enter_context(running_sandbox(rate_limits=False))
        env = place.env | sandbox.environment | env
        bot = stack.enter_context(a_bot("run", env, place.folder, PROFILED))
        until(bot.is_ready)
        time.sleep(min(3.0, scale.seconds))
        bot.process.send_signal(signal.SIGUSR1)
        time.sleep(scale.seconds)
        yield f"idle: {profile_text(bot)}"


def _in_process(work: Callable[[], object]) -> str:
    profiler = cProfile.Profile(time.thread_time)
    profiler.runcall(work)
    profiler.create_stats()
    return shares(by_part(profiler.stats))  # type: ignore[attr-defined]  # typeshed leaves it out


@contextmanager
def profiled() -> Iterator[tuple[dict[str, str], Callable[[Bot], str]]]:
    """The environment of a profiled bot, and a function that ends it and returns where its time
    went."""
    with a_folder() as folder:
        path = folder / "profile"

        def profile_text(bot: Bot) -> str:
            bot.process.terminate()
            bot.process.wait(90)
            return shares(json.loads(path.read_text()))

        yield {"BENCH_PROFILE": str(path)}, profile_text


WHY: Mapping[str, Callable[[Scale], Iterator[str]]] = {
    "P1": commands,
    "P3": commands,
    "P4": under_trouble,
    "P5": clicks,
    "P6": clicks,
    "P7": lifecycles,
    "P11": overdue,
    "P12": checks,
    "P13": writing,
    "P15": exporting,
    "P17": starting,
    "P18": idle,
}
