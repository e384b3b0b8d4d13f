"""Running a program to its end, with real programs that misbehave."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bot.connectors.transport.process import KEPT_ERRORS, MOST_OUTPUT, Ran, run
from bot.core.errors import OutcomeUnknown, SystemUnavailable
from tests.waiting import until

ENV = {"PATH": os.environ["PATH"]}


def python(program: str, given: bytes = b"", timeout: float = 20, **env: str) -> Ran:
    return run([sys.executable, "-I", "-c", program], given, {**ENV, **env}, timeout)


def shell(program: str, timeout: float = 20) -> Ran:
    return run(["/bin/sh", "-c", program], b"", ENV, timeout)


def gone(pid: str) -> bool:
    """Whether the process is dead; a zombie counts as dead."""
    try:
        return Path(f"/proc/{pid.strip()}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_input_output_and_exit_code_come_through() -> None:
    ran = python(
        "import sys; print(sys.stdin.read()[::-1]); print('oh', file=sys.stderr); sys.exit(7)",
        b"abc",
    )
    assert (ran.code, ran.out, ran.errors) == (7, b"cba\n", b"oh\n")
    assert "cba" not in repr(ran)


def test_the_environment_is_what_is_given_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    ran = run(["/usr/bin/env"], b"", {"PATH": "/bin", "A": "b c"}, 20)
    assert sorted(ran.out.decode().splitlines()) == ["A=b c", "PATH=/bin"]


def test_it_runs_in_the_root_folder_and_has_only_its_three_files() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        ran = python("import os; print(os.getcwd(), len(os.listdir('/proc/self/fd')))")
    finally:
        os.close(reader)
        os.close(writer)
    assert ran.out == b"/ 4\n"  # the fourth is the folder that it lists


def test_no_shell_sees_the_arguments(tmp_path: Path) -> None:
    ran = run(
        ["/bin/echo", f"$(touch {tmp_path}/x); `touch {tmp_path}/x`", "a b", "*"], b"", ENV, 20
    )
    assert ran.out.decode() == f"$(touch {tmp_path}/x); `touch {tmp_path}/x` a b *\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "program", ["pass", "import sys; sys.stdin.read()", "import os; os.close(0)"]
)
def test_a_big_input_does_not_block_whether_it_is_read_or_not(program: str) -> None:
    assert python(program, b"x" * 3_000_000).code == 0


def test_much_input_and_output_at_once_come_through() -> None:
    program = (
        "import sys; sys.stderr.write('e' * 900_000); sys.stdout.write(sys.stdin.read());"
        " sys.stderr.write('end')"
    )
    ran = python(program, b"x" * 900_000)
    assert ran.out == b"x" * 900_000
    assert len(ran.errors) == KEPT_ERRORS and ran.errors.endswith(b"eend")


def test_too_much_output_ends_the_program() -> None:
    with pytest.raises(OutcomeUnknown, match=f"more than {MOST_OUTPUT} bytes"):
        shell("exec cat /dev/zero")


@pytest.mark.parametrize(
    "program",
    ["sleep 60", "trap '' TERM INT HUP; while :; do sleep 60; done", "exec >&- 2>&-; sleep 60"],
)
def test_a_slow_program_is_ended(program: str) -> None:
    with pytest.raises(OutcomeUnknown, match="took too long"):
        shell(program, timeout=0.3)


def test_its_children_are_ended_with_it(tmp_path: Path) -> None:
    with pytest.raises(OutcomeUnknown):
        shell(f"(sleep 60 & echo $! > {tmp_path}/grandchild; wait) & sleep 60", timeout=1.5)
    until(lambda: gone((tmp_path / "grandchild").read_text()))


def test_a_child_that_outlives_it_is_ended_and_not_waited_for(
    tmp_path: Path,
) -> None:
    # The child holds its output open.
    ran = shell(f"sleep 60 & echo $! > {tmp_path}/child; echo done")
    assert (ran.code, ran.out) == (0, b"done\n")
    until(lambda: gone((tmp_path / "child").read_text()))


def test_a_child_that_keeps_writing_is_ended_with_it(tmp_path: Path) -> None:
    with suppress(OutcomeUnknown):  # it may have written too much before
        shell(f"cat /dev/zero & echo $! > {tmp_path}/child; exit 0")
    until(lambda: gone((tmp_path / "child").read_text()))


def test_the_output_of_an_escaped_child_is_not_read_indefinitely(tmp_path: Path) -> None:
    with pytest.raises(OutcomeUnknown, match="wrote more than"):
        shell(f"setsid cat /dev/zero & echo $! > {tmp_path}/child; sleep 10")
    until(lambda: gone((tmp_path / "child").read_text()))  # nothing reads its output


def test_a_signal_is_a_negative_code() -> None:
    assert shell("kill -SEGV $$").code == -11


def test_a_program_that_cannot_be_run_is_reported(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for mode, words in ((0o644, "Permission denied"), (0o755, "Exec format error")):
        plain.chmod(mode)
        with pytest.raises(SystemUnavailable, match=f"can't be run: {words}") as caught:
            run([str(plain)], b"", ENV, 20)
        assert not isinstance(caught.value, OutcomeUnknown)
    with pytest.raises(SystemUnavailable, match="can't be run: No such file"):
        run([str(tmp_path / "none")], b"", ENV, 20)
