"""The text of an exception is a sentence; a code follows it in brackets."""

from bot.core.errors import SystemRefused


def test_a_refusal_begins_with_the_sentence_and_ends_with_the_code() -> None:
    refused = SystemRefused("422", "api.github.com: Validation failed")
    assert str(refused) == "api.github.com: Validation failed (422)"
    assert (
        str(SystemRefused("the door answered 403 to the start"))
        == "the door answered 403 to the start"
    )
