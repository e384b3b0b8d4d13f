"""SSH certificates in the database, on both kinds: an end finds each one that was issued."""

from __future__ import annotations

import pytest

from bot.core.model import Certificate, EndReason, Grant
from bot.operations.process.forget_old import MONTH, forget_old
from bot.operations.systems.certificates import CLOCKS_DIFFER, StoredCertificates
from bot.operations.systems.revoked_certificates import list_revoked
from storage import grants
from tests.concurrency import together
from tests.factories import ANA, Made

CA, OTHER_CA, KEY = "AAAAca", "AAAAother", "SHA256:her-key"


@pytest.fixture
def kept(made: Made) -> StoredCertificates:
    return StoredCertificates(made.world)


def allowed(made: Made, kept: StoredCertificates) -> Grant:
    grant = made.a_grant()
    kept.allow(grant.id, "bastion", grant.ends_at)
    return grant


def issued(
    kept: StoredCertificates, grant: Grant, authority: str = CA, until: int | None = None
) -> Certificate:
    made = kept.issue(grant.id, "bastion", authority, KEY, until or grant.ends_at)
    assert made is not None
    return made


def revoked(made: Made) -> dict[str, list[int]]:
    return {ca: list(serials) for ca, serials in list_revoked(made.world).serials.items()}


def test_a_certificate_is_recorded_before_it_exists(made: Made, kept: StoredCertificates) -> None:
    grant = allowed(made, kept)
    one, two = issued(kept, grant), issued(kept, grant)
    assert one.serial != two.serial and 0 < one.serial < 2**63
    assert (one.issued_at, one.expires_at) == (made.clock.at, grant.ends_at)
    ((detail,), _) = made.log("grant:certificate:issued", "detail")
    assert f'"serial":"{one.serial}"' in detail and f'"key":"{KEY}"' in detail


def test_a_certificate_ends_with_the_grant_at_the_latest(
    made: Made, kept: StoredCertificates
) -> None:
    grant = allowed(made, kept)
    assert issued(kept, grant, until=grant.ends_at + 60).expires_at == grant.ends_at
    kept.allow(grant.id, "bastion", grant.ends_at + 600)
    kept.allow(grant.id, "bastion", grant.ends_at)  # a late repetition
    assert issued(kept, grant, until=grant.ends_at + 60).expires_at == grant.ends_at + 60


@pytest.mark.parametrize(
    "how", ["never allowed", "another system", "end asked", "ended", "time over"]
)
def test_nothing_is_issued_without_access(made: Made, kept: StoredCertificates, how: str) -> None:
    grant, system = made.a_grant() if how == "never allowed" else allowed(made, kept), "bastion"
    if how == "another system":
        system = "other"
    if how == "end asked":
        made.forged = True
        with made.world.db.transaction():
            grants.request_end(made.world.db, [grant.id], EndReason.REVOKED, "U0LEA")
    if how == "ended":
        kept.end([(grant.id, "bastion")])
    if how == "time over":
        made.clock.at = grant.ends_at
    assert kept.issue(grant.id, system, CA, KEY, grant.ends_at) is None
    assert made.count("ssh_certificates") == made.events("grant:certificate:issued") == 0


def test_an_end_revokes_every_certificate_of_the_grant_on_the_system_and_no_other(
    made: Made, kept: StoredCertificates
) -> None:
    grant = allowed(made, kept)
    kept.allow(grant.id, "elsewhere", grant.ends_at)
    stays = kept.issue(grant.id, "elsewhere", CA, KEY, grant.ends_at)
    serials = sorted(issued(kept, grant).serial for _ in range(3))
    by_other = issued(kept, grant, OTHER_CA).serial
    assert kept.is_open(grant.id, "bastion") and kept.open_at("bastion") == {grant.id: (True, 4)}
    for _ in range(2):
        kept.end([(grant.id, "bastion")])
    assert revoked(made) == {CA: serials, OTHER_CA: [by_other]}
    assert not kept.is_open(grant.id, "bastion") and kept.open_at("bastion") == {}
    assert stays is not None and kept.open_at("elsewhere") == {grant.id: (True, 1)}


def test_an_expired_certificate_leaves_the_list_an_hour_later(
    made: Made, kept: StoredCertificates
) -> None:
    grant = allowed(made, kept)
    serial = issued(kept, grant).serial
    kept.end([(grant.id, "bastion")])
    made.clock.at = grant.ends_at + CLOCKS_DIFFER - 1
    assert revoked(made) == {CA: [serial]}
    made.clock.at += 1
    assert revoked(made) == {}
    made.clock.at = grant.ends_at + MONTH + 1
    forget_old(made.world)
    assert made.count("ssh_certificates") == 0


def test_a_certificate_that_was_never_revoked_counts_as_ended_only_after_its_expiry(
    made: Made, kept: StoredCertificates
) -> None:
    grant = allowed(made, kept)
    issued(kept, grant)
    with made.world.db.transaction():
        made.world.db.run("DELETE FROM ssh_access")
    assert kept.open_at("bastion") == {grant.id: (False, 1)} and kept.is_open(grant.id, "bastion")
    made.clock.at = grant.ends_at + CLOCKS_DIFFER
    assert kept.open_at("bastion") == {} and not kept.is_open(grant.id, "bastion")


def test_an_end_at_the_same_moment_misses_none(made: Made, kept: StoredCertificates) -> None:
    grant = allowed(made, kept)

    def issue() -> Certificate | None:
        return kept.issue(grant.id, "bastion", CA, KEY, grant.ends_at)

    def end() -> None:
        kept.end([(grant.id, "bastion")])

    answers = together(made.world.db, [*[issue] * 4, end, *[issue] * 4])
    serials = sorted(one.serial for one in answers if isinstance(one, Certificate))
    assert revoked(made).get(CA, []) == serials and not kept.is_open(grant.id, "bastion")


def test_the_last_public_key_of_a_person_is_kept(made: Made, kept: StoredCertificates) -> None:
    assert kept.key_of(ANA) == ""
    for line in ("ssh-ed25519 one", "ssh-ed25519 two", "ssh-ed25519 two"):
        kept.keep_key(ANA, line)
        assert kept.key_of(ANA) == line
