"""A connector that a package brings: the example of the docs is installed, found, and keeps the contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.builders import WORKSPACE
from tests.connectors.example import install, python

ROLES = f"""{WORKSPACE}
[systems.vpn]
connector = "allowlist"
folder = "/srv/vpn/allowed"

[roles.vpn]
system = "vpn"
actions = ["office"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example is installed."""
    place = tmp_path_factory.mktemp("package")
    install(place)
    return place


@pytest.mark.slow
def test_the_example_keeps_the_contract(package: Path) -> None:
    calm = ["-o", "addopts=", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = python("-m", "pytest", *calm, "tests/connectors/third_party.py", path=package)
    assert done.returncode == 0, done.stdout
    passed = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert passed and int(passed[1]) >= 16, done.stdout


def test_roles_toml_may_name_it_where_it_is_installed(package: Path, tmp_path: Path) -> None:
    roles = tmp_path / "roles.toml"
    roles.write_text(ROLES)
    command = (
        f"import os, runpy, sys; os.environ['ACCESS_ROLES'] = {str(roles)!r}; sys.argv = ['access-bot', 'check'];"
        "runpy.run_module('bot', run_name='__main__')"
    )
    with_it, without = python("-c", command, path=package), python("-c", command)
    assert with_it.returncode == 0, with_it.stderr
    assert without.returncode == 2
    assert '"allowlist" is not a connector' in without.stderr + without.stdout


def test_what_is_wrong_with_its_settings_is_told_before_anything_starts(package: Path, tmp_path: Path) -> None:
    roles = tmp_path / "roles.toml"
    roles.write_text(ROLES.replace('"/srv/vpn/allowed"', '"allowed"\nfoldr = "x"'))
    command = (
        f"import os, runpy, sys; os.environ['ACCESS_ROLES'] = {str(roles)!r}; sys.argv = ['access-bot', 'check'];"
        "runpy.run_module('bot', run_name='__main__')"
    )
    done = python("-c", command, path=package)
    assert done.returncode == 2
    assert "systems.vpn.folder: must be an absolute path" in done.stderr
    assert "systems.vpn.foldr: is no setting of an allowlist" in done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "vpn can't be used: folder must be an absolute path"),
        ({"folder": "here"}, "vpn can't be used: folder must be an absolute path"),
        ({"folder": "/srv", "foldr": "x"}, "vpn can't be used: foldr is no setting of an allowlist"),
    ],
)
def test_what_its_factory_says_of_settings_is_told(package: Path, settings: dict[str, str], words: str) -> None:
    program = (
        "from bot.connectors import make\nfrom bot.core.errors import SystemUnavailable\n"
        "from bot.core.policy import System\n"
        f"try:\n    make(System('vpn', 'allowlist', {settings!r}), None)\nexcept SystemUnavailable as error:\n"
        "    print(error)\n"
    )
    assert words in python("-c", program, path=package).stdout


def test_a_package_never_takes_the_place_of_one_of_ours(tmp_path: Path) -> None:
    place = tmp_path / "evil-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (place / "entry_points.txt").write_text("[access_bot.connectors]\ngateway = evil:Gateway\nours = evil:Ours\n")
    done = python("-c", "from bot.connectors import installed; print(sorted(installed()))", path=tmp_path)
    assert done.stdout == "['ours']\n"
    assert "evil:Gateway brings a connector gateway, which is ours: it is not used" in done.stderr
