"""The README's tables are held against the code, so that a newcomer is never sent to a place that
is not there."""

import re
from pathlib import Path

import pytest

from bot.core.lifecycle import GRANT, REQUEST

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def drawn(table) -> list[str]:
    return [
        f"  {state} --{move}--> {after}"
        for state, moves in table.items()
        for move, after in moves.items()
    ]


def test_the_states_in_the_readme_are_those_of_the_code():
    picture = README.split("<!-- states")[1].split("```")[1].strip("\n")
    assert picture == "\n".join(["request", *drawn(REQUEST), "", "grant", *drawn(GRANT)])


ROWS = re.findall(
    r"^\| (.*\?) \| (.*) \|$", README.split("## Where is…?")[1].split("\n## ")[0], re.MULTILINE
)


@pytest.mark.parametrize(("question", "answer"), ROWS, ids=[question for question, _ in ROWS])
def test_every_place_the_readme_names_is_there(question, answer):
    places = re.findall(r"`([^`]+)`", answer)
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_the_questions_are_not_lost():
    assert len(ROWS) >= 12


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
LINKS = sorted(
    {
        (page, link)
        for page in PAGES
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())
    }
)


def anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, as its hosting platform makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("page", "link"), LINKS, ids=[f"{page.name}: {link}" for page, link in LINKS]
)
def test_every_link_leads_somewhere(page, link):
    path, _, fragment = link.partition("#")
    target = page.parent / path if path else page
    assert target.exists()
    assert not fragment or fragment in anchors(target)


def test_the_files_and_targets_that_contributors_are_sent_to_are_there():
    named = re.findall(r"`((?:bot|tests|storage)/[\w./-]+)`", CONTRIBUTING)
    assert len(named) >= 8
    assert [place for place in named if not (ROOT / place).exists()] == []
    targets = {
        word
        for line in re.findall(r"^make ([a-z ]+)", CONTRIBUTING, re.MULTILINE)
        for word in line.split()
    }
    makefile = (ROOT / "Makefile").read_text()
    assert targets >= {"test", "lint", "types", "demo"}
    assert [
        target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)
    ] == []


def test_the_verbs_of_the_procfile_exist():
    from click.testing import CliRunner

    from bot.cli import cli

    for line in (ROOT / "Procfile").read_text().splitlines():
        verb = line.split("access-bot ")[1]
        assert CliRunner().invoke(cli, [verb, "--help"]).exit_code == 0, verb


IMPORTS = {
    "bot/core": ({"bot.core"}, set()),
    "bot/operations": ({"bot.core", "bot.operations", "storage"}, set()),
    "bot/connectors": ({"bot.core", "bot.connectors"}, None),
    "bot/sandbox": ({"bot.sandbox"}, None),
    "storage": ({"bot.core", "storage"}, None),
}
"""What each room may import of the project, and which libraries (None: any)."""


def imported(path: Path) -> set[str]:
    import ast

    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
    return found


@pytest.mark.parametrize("room", IMPORTS)
def test_a_room_imports_only_what_it_may(room):
    import sys

    allowed, libraries = IMPORTS[room]
    wrong = []
    for path in sorted((ROOT / room).rglob("*.py")):
        for name in imported(path):
            head = name.split(".")[0]
            if head in ("bot", "storage"):
                if not any(name == own or name.startswith(own + ".") for own in allowed):
                    wrong.append(f"{path.name} imports {name}")
            elif libraries is not None and head not in sys.stdlib_module_names | libraries:
                wrong.append(f"{path.name} imports {name}")
    assert wrong == []


def test_peewee_stays_in_the_storage_room():
    outside = [
        p
        for p in (ROOT / "bot").rglob("*.py")
        if {"peewee", "playhouse"} & {n.split(".")[0] for n in imported(p)}
    ]
    assert outside == []
