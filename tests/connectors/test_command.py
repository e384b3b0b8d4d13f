"""The command connector, with the executable of its page and with executables that hang, lie and
break."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.connectors import make
from bot.connectors.base import AccessInstructions, Connector
from bot.connectors.command import MOST_WORDS, Command
from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import System
from tests.connectors.contract import Contract, Rig
from tests.connectors.gates_client import Gates
from tests.factories import CARA, a_person

NOW = 1_790_000_000
A_GRANT = ProvisionOrder("g1", "lab", "command", a_person(), "enter", ("enter",), NOW, NOW + 3600)
TOOLS: Any = None


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    folder = tmp_path / "doors"
    folder.mkdir()
    return Gates(folder)


class TestCommand(Contract):
    @pytest.fixture
    def rig(self, gates: Gates) -> Rig:
        codes: dict[str, str] = {}

        def works(it: Connector, order: ProvisionOrder) -> bool:
            """Asks to see the code, and tries the newest one that was ever shown."""
            assert isinstance(it, Command)
            with suppress(SystemUnavailable):
                way = it.credentials(order, "")
                assert isinstance(way, AccessInstructions)
                codes[order.grant] = way.secrets["Door code"]
            return order.grant in codes and gates.open_by(codes[order.grant])

        argv = json.dumps([sys.executable, "-I", str(gates.folder / "run")])
        settings = f'connector = "command"\nargv = {argv}\nenv = {{ DOORS = "{gates.folder}" }}'
        down, breaking = lambda: gates.breaking("away"), lambda step: gates.breaking("fails", step)
        return Rig(settings, ["enter"], works, down, breaking)

    @pytest.mark.parametrize("fault", ["away", "fails", "dies"])
    def test_whatever_becomes_of_a_call_it_can_be_made_again_and_taken_back(
        self, it: Command, rig: Rig, order: Callable[..., ProvisionOrder], gates: Gates, fault: str
    ) -> None:
        asked, other = order(), order(CARA)
        with gates.breaking(fault):
            for call in (it.grant, it.extend, it.read_back, it.revoke):
                with pytest.raises(SystemUnavailable):
                    call(asked)
            with pytest.raises(SystemUnavailable):
                it.grant(other)
        it.revoke(asked)
        assert not it.read_back(asked) and not rig.works(it, asked)
        it.grant(other)
        assert it.read_back(other) and rig.works(it, other)

    def test_a_start_that_comes_after_the_end_opens_nothing(
        self, it: Command, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        it.revoke(asked)
        with pytest.raises(SystemUnavailable, match="it answered ended to grant"):
            it.grant(asked)
        assert not it.read_back(asked) and not rig.works(it, asked)

    def test_the_check_of_the_page_s_executable_finds_nothing(self, it: Command) -> None:
        assert list(it.check({"it": ["enter"]})) == []


# --- executables of all kinds


def lab(folder: Path, program: str, **settings: object) -> Command:
    """A command whose executable is this program for /bin/sh."""
    place = folder / "program"
    place.write_text(f"#!/bin/sh\n{program}\n")
    place.chmod(0o755)
    system = System("lab", "command", {"argv": [str(place)], "timeout": 20, "env": {}} | settings)
    found = make(system, TOOLS)
    assert isinstance(found, Command)
    return found


ALL = ("grant", "extend", "revoke", "read_back")


def test_it_gets_the_document_and_a_fixed_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("ACCESS_SECRET_KEYS", "k" * 40)
    monkeypatch.setenv("HOME", "/home/bot")
    monkeypatch.delenv("LANG", raising=False)
    it = lab(
        tmp_path,
        f"cat > {tmp_path}/said; env > {tmp_path}/env",
        env={"TEAM": "a b", "BOT": "$HOME"},
    )
    it.grant(A_GRANT)
    assert json.loads((tmp_path / "said").read_text()) == {
        "do": "grant",
        "key": "g1:lab:grant",
        "grant": "g1",
        "person": {"id": "U0ANA", "name": "U0Ana", "email": "u0ana@example.com"},
        "role": "enter",
        "system": "lab",
        "actions": ["enter"],
        "starts_at": "2026-09-21T14:13:20Z",
        "ends_at": "2026-09-21T15:13:20Z",
    }
    names = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    for set_by_the_shell in ("PWD", "SHLVL", "_", "OLDPWD"):
        names.pop(set_by_the_shell, None)
    expected = {
        "PATH": os.environ["PATH"],
        "HOME": "/home/bot",
        "LANG": "C.UTF-8",
        "TEAM": "a b",
        "BOT": "$HOME",
    }
    assert names == expected


def test_nothing_that_a_person_is_called_is_ever_run(tmp_path: Path) -> None:
    it = lab(tmp_path, f"cat > {tmp_path}/said")
    evil = a_person(email=f"`touch {tmp_path}/x`@example.com", id="U0")
    it.grant(
        replace(A_GRANT, person=evil, actions=(f"$(touch {tmp_path}/x)", "--help", "\u202e\0"))
    )
    assert not (tmp_path / "x").exists()
    assert json.loads((tmp_path / "said").read_text())["actions"][2] == "\u202e\0"


@pytest.mark.parametrize("do", ["grant", "extend", "revoke"])
@pytest.mark.parametrize("said", ["", "echo", "printf ' \\n\\n'"])
def test_to_say_nothing_is_to_be_done(tmp_path: Path, said: str, do: str) -> None:
    getattr(lab(tmp_path, said), do)(A_GRANT)


def test_to_say_nothing_is_no_answer_to_a_question(tmp_path: Path) -> None:
    with pytest.raises(SystemUnavailable, match="did not say whether"):
        lab(tmp_path, "true").read_back(A_GRANT)


@pytest.mark.parametrize("code", [1, 2, 64, 74, 76, 127, 255])
def test_any_exit_code_but_two_is_final_for_a_start_and_for_nothing_else(
    tmp_path: Path, code: int
) -> None:
    it = lab(tmp_path, f'echo \'{{"state": "active"}}\'; exit {code}')
    with pytest.raises(SystemRefused, match=f"lab exited with {code}"):
        it.grant(A_GRANT)
    for call in (it.extend, it.revoke, it.read_back):
        with pytest.raises(SystemUnavailable, match=f"lab exited with {code}"):
            call(A_GRANT)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("exit 75", "exited with 75"),
        ("kill -9 $$", "ended by signal 9"),
        ("echo active", "did not write JSON"),
        ('echo \'{"state": "active"}\'; echo more', "did not write JSON"),
        ("echo '{}'", "without a state"),
        ("cat /dev/zero", "more than 1048576 bytes"),
    ],
)
def test_trouble_is_tried_again_and_is_never_active(
    tmp_path: Path, program: str, words: str
) -> None:
    it = lab(tmp_path, program)
    for do in ALL:
        with pytest.raises(SystemUnavailable, match=f"lab.*{words}"):
            getattr(it, do)(A_GRANT)


def test_one_that_hangs_is_given_the_timeout(tmp_path: Path) -> None:
    with pytest.raises(OutcomeUnknown, match="lab: it took too long"):
        lab(tmp_path, "sleep 60", timeout=1).grant(A_GRANT)


def test_what_is_pending_is_asked_about_until_it_is_so(tmp_path: Path) -> None:
    program = f"cat >> {tmp_path}/said; echo >> {tmp_path}/said\n"
    program += (
        f'[ $(wc -l < {tmp_path}/said) -lt 3 ] && echo \'{{"state": "pending"}}\' || echo'
        ' \'{"state": "active"}\''
    )
    lab(tmp_path, program).grant(A_GRANT)
    asked = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert [each["do"] for each in asked] == ["grant", "read_back", "read_back"]
    assert len({each["key"] for each in asked}) == 3


def test_what_it_complains_about_is_in_the_error_short_and_clean(tmp_path: Path) -> None:
    complaint = (
        r"printf 'first\n\033[31mno \342\200\256door\033[0m\007 <!channel>\377\n' >&2; exit 3"
    )
    with pytest.raises(SystemRefused) as caught:
        lab(tmp_path, complaint).grant(A_GRANT)
    assert str(caught.value) == "lab exited with 3: first no door <!channel>\ufffd"
    with pytest.raises(SystemRefused) as caught:
        lab(tmp_path, "yes no | head -c 99999 >&2; echo the end >&2; exit 3").grant(A_GRANT)
    words = str(caught.value).removeprefix("lab exited with 3: ")
    assert len(words) == MOST_WORDS and words.startswith("…") and words.endswith("no the end")


def test_what_env_gave_it_is_not_in_the_error_but_by_its_name(tmp_path: Path) -> None:
    complaint = 'printf "curl -H \\"Bearer $TOKEN\\" $LONG/$SHORT: refused" >&2; exit 3'
    env = {"TOKEN": "s3cret-0123", "LONG": "s3cret-0123-and-more", "SHORT": "a", "NONE": ""}
    with pytest.raises(SystemRefused) as caught:
        lab(tmp_path, complaint, env=env).grant(A_GRANT)
    assert str(caught.value) == 'lab exited with 3: curl -H "Bearer [TOKEN]" [LONG]/a: refused'


def test_what_is_shown_is_never_in_an_error(tmp_path: Path) -> None:
    it = lab(tmp_path, 'echo \'{"state": "active", "credentials": {"code": "s3cret"}}\'; exit 3')
    with pytest.raises(SystemRefused) as caught:
        it.grant(A_GRANT)
    assert "s3cret" not in str(caught.value) and caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"argv": ["bin/door"]}, "absolute path"),
        ({"argv": ["./door"]}, "absolute path"),
        ({"argv": ["/bin/door", "a\0b"]}, "NUL"),
        ({"env": {"A=B": "c"}}, "equals sign"),
        ({"env": {"": "c"}}, "must not be empty"),
        ({"env": {"A": "\0"}}, "NUL"),
        ({"timeout": 301}, "timeout must be at most 5m"),
    ],
)
def test_settings_that_can_t_be_right_are_told(
    tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(SystemUnavailable, match=f"lab can't be used: .*{words}"):
        lab(tmp_path, "true", **settings)


def test_the_check_finds_what_is_wrong_with_an_executable(tmp_path: Path) -> None:
    assert list(lab(tmp_path, 'echo \'{"state": "ended"}\'').check({})) == []
    (problem,) = lab(tmp_path, 'echo \'{"state": "active"}\'').check({})
    assert "ended is expected" in problem
    (problem,) = lab(tmp_path, "exit 1").check({})
    assert "lab exited with 1" in problem
    (problem,) = lab(tmp_path, "true", argv=["/none/here"]).check({})
    assert "does not exist" in problem
    it = lab(tmp_path, 'echo \'{"state": "ended"}\'')
    (tmp_path / "program").chmod(0o777)
    (problem,) = it.check({})
    assert "everybody on this machine may write" in problem
