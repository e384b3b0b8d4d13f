"""A wrong clock is distinguished from a wrong signature, in one line a minute and in the
readiness."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry
from slack_sdk.signature import Clock, SignatureVerifier

from bot.web.slack_signatures import Signatures

SECRET, BODY, SLACK = "signing-secret-0123456789", b"command=%2Faccess", 1_790_000_000


@dataclass
class Machine(Clock):
    """A machine whose clock a test sets relative to Slack's."""

    ahead: float = 0.0
    passed: float = 0.0
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.signatures = Signatures(
            SignatureVerifier(SECRET, self), self.registry, lambda: self.passed
        )

    def now(self) -> float:
        return SLACK + self.passed + self.ahead

    def takes(
        self, at: float | str | None = None, secret: str = SECRET, body: bytes = BODY
    ) -> bool:
        """Whether it accepts a request that Slack signs now or at another time, or that another
        secret signed."""
        time = (
            str(int(SLACK + self.passed))
            if at is None
            else at
            if isinstance(at, str)
            else str(int(at))
        )
        digest = hmac.new(
            secret.encode(), b"v0:%s:%s" % (time.encode(), BODY), hashlib.sha256
        ).hexdigest()
        return self.signatures.are_right(body, [time], [f"v0={digest}"])

    def refused(self) -> dict[str, float]:
        samples = [
            s
            for family in self.registry.collect()
            for s in family.samples
            if s.name.endswith("_total")
        ]
        return {sample.labels["reason"]: sample.value for sample in samples}


@pytest.mark.parametrize(
    ("ahead", "words"), [(420, "7m ahead of"), (-420, "7m behind"), (90_000, "1d 1h ahead of")]
)
def test_a_wrong_clock_is_reported_with_its_offset_and_readiness_says_the_fix(
    ahead: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(ahead=ahead)
    assert machine.signatures.state() == (True, "")
    assert not machine.takes()
    is_well, said = machine.signatures.state()
    assert not is_well and f"this machine's clock is {words} Slack's. Set the clock" in said
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"its timestamp is stale, because this machine's clock is {words} Slack's" in line
    assert machine.refused() == {"stale": 1}


def test_readiness_recovers_with_the_next_fresh_request() -> None:
    machine = Machine(ahead=420)
    machine.takes()
    machine.ahead = 200
    assert machine.takes()
    machine.ahead = 420
    assert machine.signatures.state() == (True, "")


def test_readiness_recovers_when_the_clock_was_set_although_a_proxy_sends_nothing_yet() -> None:
    machine = Machine(ahead=-420)
    machine.takes()
    machine.passed += 3600
    assert not machine.signatures.state()[0]
    machine.ahead = 0
    assert machine.signatures.state() == (True, "")


FORGED = [
    pytest.param({"secret": "another"}, "signature", id="another secret"),
    pytest.param(
        {"secret": "another", "at": SLACK - 9000}, "signature", id="another secret and an old time"
    ),
    pytest.param({"body": b"another"}, "signature", id="another body"),
    pytest.param({"at": "soon"}, "timestamp", id="a time that is no number"),
    pytest.param({"at": "1790000000.5"}, "timestamp", id="a fraction"),
    pytest.param({"at": "-1790000000"}, "timestamp", id="a sign"),
    pytest.param({"at": "9" * 5000}, "timestamp", id="a huge number"),
    pytest.param({"at": "१७९"}, "timestamp", id="digits outside ASCII"),
]


@pytest.mark.parametrize(("forged", "reason"), FORGED)
def test_a_sender_without_the_secret_cannot_make_it_unwell(
    forged: dict[str, object], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine()
    assert not machine.takes(**forged)  # type: ignore[arg-type]
    assert machine.signatures.state() == (True, "")
    assert machine.refused() == {reason: 1}
    assert "stale" not in caplog.text


def test_a_replayed_request_does_not_make_it_unwell(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    machine.takes()
    machine.passed += 3600
    assert machine.takes()
    assert not machine.takes(SLACK)
    assert machine.signatures.state() == (True, "")
    assert "1h ago, and newer ones have come since" in caplog.text


def test_each_reason_is_logged_once_a_minute_with_the_number_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    for _ in range(50):
        machine.takes(secret="another")
        machine.takes("soon")
    assert len(caplog.records) == 2
    machine.passed += 61
    machine.takes(secret="another")
    assert caplog.records[-1].getMessage().endswith("(49 more of these since the last line)")
    assert machine.refused() == {"signature": 51, "timestamp": 50}
