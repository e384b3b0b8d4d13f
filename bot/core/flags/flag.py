"""A flag as it is stored: the finding of a rule, and the answer of a lead."""

from dataclasses import dataclass

EXPECTED, REVOKED = "expected", "revoked"


@dataclass(frozen=True, slots=True)
class Flag:
    """`key` is equal in every reading of the log, `about` is the person or the other subject of the
    rule. `at` is the time of its fact, `times` the number of its findings since. A flag that became
    part of another one has that one's id in `joined`. `answer` is "", EXPECTED or REVOKED."""

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
        """The people whom the flag is about; `about` may name two."""
        return frozenset(filter(None, (self.person, *self.about.split())))

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer; a quiet one does not."""
        return not (self.answer or self.joined or self.quiet)
