"""A connector that a package brings: the example of the docs is installed, found, and keeps the
contract."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from bot.connectors.base import ConnectorKind
from tests.builders import WORKSPACE
from tests.connectors.example import ROOT, install, python

PAGE = (ROOT / "docs/connectors/your-own.md").read_text()
POINT, SYSTEM = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.S)

ROLES = f"""{WORKSPACE}
{SYSTEM}
[roles.vpn]
system = "vpn"
actions = ["office"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the example is installed."""
    place = tmp_path_factory.mktemp("package")
    install(place)
    return place


def test_the_page_says_word_by_word_what_the_example_does() -> None:
    example = ROOT / "docs/connectors/example"
    assert POINT in (example / "pyproject.toml").read_text()
    assert CODE
    for code in CODE:
        assert code in (example / "access_bot_allowlist.py").read_text()


def test_the_page_has_a_row_for_each_field_of_a_kind() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (must|may) \|", PAGE.partition("| field |")[2].partition("\n\n")[0], re.M
    )
    needed = {each.name for each in fields(ConnectorKind) if each.default is MISSING}
    assert {
        name: "must" if name in needed else "may"
        for name in (f.name for f in fields(ConnectorKind))
    } == dict(rows)


def test_a_package_that_can_t_be_imported_does_not_keep_the_rest_from_being_read(
    tmp_path: Path,
) -> None:
    place = tmp_path / "broken-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (place / "entry_points.txt").write_text(
        "[access_bot.connectors]\nallowlist = broken:KIND\nlate = json:dumps\n"
    )
    program = (
        "from bot.connectors import KINDS, make\nfrom bot.core.errors import SystemUnavailable\n"
        "from bot.config.roles.parse import parse_policy\nfrom bot.core.roles import System\n"
        f"print(sorted(parse_policy({ROLES!r}, 'roles.toml', {{}}, KINDS).systems))\n"
        "for kind in ('allowlist', 'late'):\n"
        "    try:\n        make(System('vpn', kind, {}), None)\n"
        "    except SystemUnavailable as error:\n        print(error)\n"
    )
    assert python("-c", program, path=tmp_path).stdout.splitlines() == [
        "['vpn']",
        "vpn needs broken, which is not installed: see its package",
        "vpn can't be used: json:dumps of its package is not a ConnectorKind",
    ]


@pytest.mark.slow
def test_the_example_keeps_the_contract(package: Path) -> None:
    calm = [
        "-o",
        "addopts=",
        "-q",
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    done = python("-m", "pytest", *calm, "tests/connectors/third_party.py", path=package)
    assert done.returncode == 0, done.stdout
    passed = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert passed and int(passed[1]) >= 16, done.stdout


def test_roles_toml_may_name_it_where_it_is_installed(package: Path, tmp_path: Path) -> None:
    roles = tmp_path / "roles.toml"
    roles.write_text(ROLES)
    command = (
        f"import os, runpy, sys; os.environ['ACCESS_ROLES'] = {str(roles)!r}; sys.argv ="
        " ['access-bot', 'check'];runpy.run_module('bot', run_name='__main__')"
    )
    with_it, without = python("-c", command, path=package), python("-c", command)
    assert with_it.returncode == 0, with_it.stderr
    assert without.returncode == 2
    assert '"allowlist" is not a connector' in without.stderr + without.stdout


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            ('"/srv/vpn/allowed"', '"allowed"'),
            "systems.vpn.folder: folder must be an absolute path",
        ),
        (("folder =", "foldr ="), 'systems.vpn.foldr: unknown key; did you mean "folder"?'),
        (("folder =", "# folder ="), "systems.vpn.folder: is required"),
        (('"office"', '"Office"'), "roles.vpn.actions[0]: Office is not a network"),
    ],
)
def test_what_is_wrong_with_it_is_told_before_anything_starts(
    wrong: tuple[str, str], problem: str, package: Path, tmp_path: Path
) -> None:
    roles = tmp_path / "roles.toml"
    roles.write_text(ROLES.replace(*wrong))
    command = (
        f"import os, runpy, sys; os.environ['ACCESS_ROLES'] = {str(roles)!r}; sys.argv ="
        " ['access-bot', 'check'];runpy.run_module('bot', run_name='__main__')"
    )
    done = python("-c", command, path=package)
    assert done.returncode == 2
    assert problem in done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"folder": "here"}, "vpn can't be used: folder must be an absolute path"),
    ],
)
def test_what_its_factory_says_of_settings_is_told(
    package: Path, settings: dict[str, str], words: str
) -> None:
    program = (
        "from bot.connectors import make\nfrom bot.core.errors import SystemUnavailable\nfrom"
        f" bot.core.roles import System\ntry:\n    make(System('vpn', 'allowlist', {settings!r}),"
        " None)\nexcept SystemUnavailable as error:\n    print(error)\n"
    )
    assert words in python("-c", program, path=package).stdout


def test_a_package_never_takes_the_place_of_one_of_ours(tmp_path: Path) -> None:
    place = tmp_path / "evil-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (place / "entry_points.txt").write_text(
        "[access_bot.connectors]\ngateway = evil:Gateway\nours = evil:Ours\n"
    )
    done = python(
        "-c", "from bot.connectors import installed; print(sorted(installed()))", path=tmp_path
    )
    assert done.stdout == "['ours']\n"
    assert "evil:Gateway has a connector gateway, the name of a built-in one" in done.stderr
