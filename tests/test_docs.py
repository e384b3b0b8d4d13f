"""The tables and pictures of the documents are held against the code."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from bot.core.lifecycle import CAMPAIGN, GRANT, ITEM, RAMP, REQUEST
from bot.slack.ids import Action, Modal
from tests.test_rooms import MAY_IMPORT

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()


def drawn(table) -> list[str]:
    return [
        f"  {state} --{move}--> {after}"
        for state, moves in table.items()
        for move, after in moves.items()
    ]


def test_the_states_in_the_documents_are_those_of_the_code():
    page = (ROOT / "docs/lifecycle.md").read_text()
    picture = page.split("<!-- states")[1].split("```")[1].strip("\n")
    tables = {
        "request": REQUEST,
        "grant": GRANT,
        "onboarding": RAMP,
        "review": CAMPAIGN,
        "review item": ITEM,
    }
    assert picture == "\n\n".join(
        "\n".join([name, *drawn(table)]) for name, table in tables.items()
    )


def test_the_readme_fits_on_three_screens_and_has_its_parts_in_order():
    assert len(README.splitlines()) <= 150
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == [
        "Try it",
        "Set up a real workspace in ten minutes",
        "Connectors",
        "Commands",
        "How it works",
        "Limits",
        "More",
    ]
    assert README.index("![") < README.index("\n- **") < README.index("## Try it")


SECTION = ARCHITECTURE.split("## Where is…?")[1].split("\n## ")[0]
ROWS = re.findall(r"^\| (.*\?) \| (.*) \|$", SECTION, re.MULTILINE)
ANSWERS = dict(ROWS)


def defined(path: Path) -> set[str]:
    """The names that a file defines at its top level, and those of its classes as `Class.name`."""
    if path.suffix != ".py":
        return set(re.findall(r"\b(?:const|function|class) (\w+)", path.read_text()))
    body = ast.parse(path.read_text()).body
    members = [(f"{node.name}.", node.body) for node in body if isinstance(node, ast.ClassDef)]
    return {prefix + name for prefix, nodes in [("", body), *members] for name in names(nodes)}


def names(nodes: list[ast.stmt]) -> set[str]:
    """The names that these statements define."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def missing(place: str) -> str:
    """The problem of an answer in the table, or ""."""
    path, _, symbol = place.partition(":")
    if not symbol:
        return f"{place} names no symbol"
    if not (ROOT / path).is_file():
        return f"{path} is not there"
    return "" if symbol in defined(ROOT / path) else f"{path} does not define {symbol}"


@pytest.mark.parametrize(("question", "answer"), ROWS, ids=[question for question, _ in ROWS])
def test_every_answer_is_a_symbol_that_its_file_defines(question, answer):
    places = [place for place in re.findall(r"`([^`]+)`", answer) if "/" in place or ":" in place]
    assert places
    assert [wrong for wrong in map(missing, places) if wrong] == []


@pytest.mark.parametrize(
    "place",
    ["LICENSE", "bot/core/lifecycle.py", "bot/core/lifecycle.py:Nothing", "bot/none.py:REQUEST"],
)
def test_an_answer_without_its_symbol_is_found(place):
    assert missing(place)


def test_no_question_is_lost():
    assert len(ROWS) == len(ANSWERS) >= 45


def answered(question: str):
    """The object that the first answer to this question names."""
    path, _, symbol = re.findall(r"`([^`]+)`", ANSWERS[question])[0].partition(":")
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return getattr(import_module(name), symbol)


def test_the_answers_about_buttons_forms_and_commands_have_all_of_them():
    from bot.slack.commands import VERBS

    assert set(answered("Which button calls what?")) == set(Action)
    assert set(answered("Which form calls what?")) <= set(Modal)
    assert answered("What does a word after `/access` do?") is VERBS
    assert answered('What may follow "approved"?') is GRANT


def test_the_table_of_rooms_has_the_rule_of_the_code():
    section = ARCHITECTURE.split("## Rooms")[1].split("\n## ")[0]
    table = dict(re.findall(r"^\| `(?:bot/)?(\w+)` \| .* \| (.*) \|$", section, re.MULTILINE))
    nothing = {"the standard library", "nothing of the bot"}
    written = {
        room: set() if text in nothing else set(text.split(", ")) for room, text in table.items()
    }
    assert len(written) == 11
    assert written == {room: MAY_IMPORT[room] for room in written}


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages - set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == set()


def test_the_command_line_s_page_has_every_command():
    from bot.cli import cli

    page = (ROOT / "docs/cli.md").read_text()
    for verb in cli.list_commands(None):
        command = cli.get_command(None, verb)
        inner = getattr(command, "commands", None) or {"": None}
        for name in inner:
            assert re.search(rf"`[^`]*\b{verb} {name}".rstrip(), page), f"{verb} {name}"


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


NAMED = sorted(
    {
        (page, place)
        for page in PAGES
        for place in re.findall(
            r"`((?:bot|tests|storage|docs|bench)/[\w./-]+)[`:]", page.read_text()
        )
    }
)


@pytest.mark.parametrize(
    ("page", "place"), NAMED, ids=[f"{page.name}: {place}" for page, place in NAMED]
)
def test_every_file_that_a_page_names_is_there(page, place):
    assert (ROOT / place).exists()


def test_the_targets_that_contributors_are_sent_to_are_there():
    targets = {
        word
        for line in re.findall(r"^make ([a-z -]+)", CONTRIBUTING, re.MULTILINE)
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
