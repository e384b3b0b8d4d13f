"""A flag as it is stored: what a rule found, and what a lead answered."""

from dataclasses import dataclass

EXPECTED, REVOKED = "expected", "revoked"


@dataclass(frozen=True, slots=True)
class Flag:
    """`key` is the same in every reading of the log, `about` the person or what else the rule is
    about. `at` is the time of its fact, `times` how often the rule found the same since. A flag
    that became part of another one has that one's id in `joined`. `answer` is "", EXPECTED or
    REVOKED."""

    id: str
    key: str
    rule: str
    severity: str
    about: str
    person: str
    role: str
    system: str
    request: str
    grant: str
    sentence: str
    at: int
    raised_at: int
    quiet: bool = False
    times: int = 1
    last_at: int = 0
    joined: str = ""
    answer: str = ""
    answered_by: str = ""
    answered_at: int | None = None
    answer_reason: str = ""
    investigated_by: str = ""
    investigated_at: int | None = None

    @property
    def people(self) -> frozenset[str]:
        """Everybody whom it is about; `about` may name two."""
        return frozenset(filter(None, (self.person, *self.about.split())))

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer; a quiet one does not."""
        return not (self.answer or self.joined or self.quiet)
