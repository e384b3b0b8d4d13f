"""The files that hosts of ssh systems fetch: the revocation list, as OpenSSH reads it, and the keys
to trust."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from bot.app import build_systems, ca_keys
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.connectors.ssh.ca import FileKey
from bot.connectors.ssh.wire import Content, certificate
from bot.operations.systems.certificates import StoredCertificates
from bot.operations.usage.count_usage import UsageMeter
from bot.web import build_web
from bot.web.krl import encode_krl
from tests.builders import ENVIRON, SYSTEMS, policy_text
from tests.connectors.hosts import MISSING, NO_SSHD, a_pair, keygen
from tests.factories import START, Made
from tests.web.conftest import Site, build_site

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{NO_SSHD}: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def cas(tmp_path_factory: pytest.TempPathFactory) -> Sequence[FileKey]:
    place = tmp_path_factory.mktemp("cas")
    for name in ("one", "two"):
        a_pair(place / name)
    return [FileKey(str(place / "one")), FileKey(str(place / "two"))]


def authority(ca: FileKey) -> str:
    return ca.open().line.split()[1]


def is_revoked(krl: bytes, ca: FileKey, serial: int, place: Path) -> bool:
    """OpenSSH's answer about the certificate with that number."""
    signer = ca.open()
    content = Content(
        key=signer.blob,
        serial=serial,
        key_id="ana g1",
        principals=["deploy"],
        valid_after=0,
        valid_before=2**40,
        critical={},
        extensions=[],
    )
    (place / "certificate").write_text(certificate(content, signer.blob, signer.sign))
    (place / "krl").write_bytes(krl)
    asked = subprocess.run(
        ["ssh-keygen", "-Q", "-f", place / "krl", place / "certificate"], capture_output=True
    )
    said = asked.stdout.decode()
    assert (asked.returncode, said.strip().endswith("REVOKED")) in ((0, False), (1, True)), asked
    return asked.returncode == 1


def listed(krl: bytes, place: Path) -> str:
    (place / "krl").write_bytes(krl)
    return keygen("-Q", "-l", "-f", place / "krl")


def test_an_empty_list_revokes_nothing(cas: Sequence[FileKey], tmp_path: Path) -> None:
    for serials in ({}, {authority(cas[0]): []}):
        krl = encode_krl(START, serials)
        assert f"# KRL version {START}\n" in listed(krl, tmp_path)
        assert not is_revoked(krl, cas[0], 1, tmp_path)


def test_exactly_the_serial_numbers_of_that_ca_are_revoked(
    cas: Sequence[FileKey], tmp_path: Path
) -> None:
    one, two = cas
    many: Mapping[str, Sequence[int]] = {
        authority(one): [1, 2**32, 2**63 - 1, *range(10, 1000)],
        authority(two): [7],
    }
    krl = encode_krl(START, many)
    assert [is_revoked(krl, one, serial, tmp_path) for serial in (1, 2**32, 2**63 - 1, 999)] == [
        True
    ] * 4
    assert [
        is_revoked(krl, one, serial, tmp_path) for serial in (2, 2**32 + 1, 2**63, 1000, 7)
    ] == [False] * 5
    assert [is_revoked(krl, two, serial, tmp_path) for serial in (7, 1)] == [True, False]


def test_the_list_has_the_revoked_certificates_on_either_database(
    either: Site, cas: Sequence[FileKey], tmp_path: Path
) -> None:
    made, kept = either.made, StoredCertificates(either.made.world)
    grant = made.a_grant()
    kept.allow(grant.id, "bastion", grant.ends_at)
    issued = kept.issue(grant.id, "bastion", authority(cas[0]), "SHA256:key", grant.ends_at)
    assert issued is not None

    def fetched() -> bytes:
        answer = either.call("GET", "/ssh/krl")
        assert (answer.status_code, answer.headers["content-type"]) == (
            200,
            "application/octet-stream",
        )
        assert answer.headers["cache-control"] == "no-store"
        return answer.content

    assert not is_revoked(fetched(), cas[0], issued.serial, tmp_path)
    kept.end([(grant.id, "bastion")])
    assert is_revoked(fetched(), cas[0], issued.serial, tmp_path)
    assert not is_revoked(fetched(), cas[1], issued.serial, tmp_path)


def test_without_the_database_there_is_no_list_instead_of_an_empty_one(made: Made) -> None:
    made.break_database()
    assert build_site(made).call("GET", "/ssh/krl").status_code == 503


@pytest.fixture
def keys(tmp_path: Path) -> Mapping[str, str]:
    return {name: a_pair(tmp_path / name) for name in ("a", "b")}


def ca_pub(made: Made, path: str, **files: Path) -> httpx2.Response:
    """The answer if these ssh systems have these CA keys."""
    tables = (
        f'[systems.{name}]\nconnector = "ssh"\nca_key = "{file}"\nprincipals = ["deploy"]\n'
        for name, file in files.items()
    )
    made.policies.append(
        parse_policy(policy_text(systems=SYSTEMS + "".join(tables)), "roles.toml", ENVIRON, KINDS)
    )
    meter, registry = UsageMeter(made.world), CollectorRegistry()
    app = build_web(
        made.world,
        made.signer,
        meter,
        ready=list,
        registry=registry,
        ca_keys=lambda wanted: ca_keys(made.world, build_systems(made.world), wanted),
    )
    return Site(made, meter, registry, app).call("GET", path)


def test_the_keys_to_trust_are_one_line_each(
    made: Made, keys: Mapping[str, str], tmp_path: Path
) -> None:
    one, other = (" ".join(keys[name].split()[:2]) for name in ("a", "b"))
    answer = ca_pub(made, "/ssh/ca.pub", web=tmp_path / "a", db=tmp_path / "b", more=tmp_path / "a")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    assert answer.text == f"{one} web,more\n{other} db\n"


def test_a_host_gets_the_key_of_its_own_system(
    made: Made, keys: Mapping[str, str], tmp_path: Path
) -> None:
    files = {"web": tmp_path / "a", "db": tmp_path / "b"}
    assert ca_pub(made, "/ssh/ca.pub?system=db", **files).text == " ".join(
        [*keys["b"].split()[:2], "db\n"]
    )
    assert ca_pub(made, "/ssh/ca.pub?system=shop-admin", **files).status_code == 404
    assert (
        ca_pub(
            made, "/ssh/ca.pub?system=db", web=tmp_path / "missing", db=tmp_path / "b"
        ).status_code
        == 200
    )


@pytest.mark.parametrize(
    "query", ["system=", "sytem=db", "db", "system=db&system=web", "&".join(["a=1"] * 30), "%"]
)
def test_a_mistyped_system_does_not_give_all_keys(
    made: Made, keys: Mapping[str, str], tmp_path: Path, query: str
) -> None:
    answer = ca_pub(made, f"/ssh/ca.pub?{query}", web=tmp_path / "a", db=tmp_path / "b")
    assert answer.status_code == 404 and "ssh-ed25519" not in answer.text


def test_an_unreadable_key_is_answered_with_an_error(
    made: Made, keys: Mapping[str, str], tmp_path: Path
) -> None:
    answer = ca_pub(made, "/ssh/ca.pub", web=tmp_path / "missing", db=tmp_path / "b")
    assert answer.status_code == 503 and "missing" not in answer.text


def test_without_ssh_systems_there_is_nothing_to_trust(made: Made) -> None:
    answer = build_site(made).call("GET", "/ssh/ca.pub")
    assert (answer.status_code, answer.content) == (200, b"")
