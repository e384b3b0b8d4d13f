"""Helpers of the views: cleaning, cutting, escaping, times, and whole messages within Slack's
limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.blocks import inspect_blocks
from bot.slack.blocks import (
    HOLE,
    clean,
    date,
    escape,
    left,
    listing,
    paragraph,
    spoken,
    who,
    who_text,
)
from bot.slack.views._fit import fit, join, weight
from tests.slack.views_samples import NOW, shown

CLEANED = {
    "ordinary": ("Look into it", "Look into it"),
    "other scripts": ("Żółć 注文 заказ طلب", "Żółć 注文 заказ طلب"),
    "emoji of several": ("\U0001f469\u200d\U0001f4bb", "\U0001f469\U0001f4bb"),
    "a name that reads backwards": ("Ana\u202enimda", f"Ana{HOLE}nimda"),
    "zero width": ("pay\u200bpal", f"pay{HOLE}pal"),
    "soft hyphen": ("a\u00adb", f"a{HOLE}b"),
    "control": ("a\x1b[31mb", f"a{HOLE}[31mb"),
    "line breaks": ("a\r\nb\nc", "a b c"),
    "odd spaces": ("a\u00a0\u3000b\tc", "a b c"),
    "invisible letters": ("\u3164\u115f", HOLE * 2),
    "piled accents": ("a" + "\u0300" * 50, "a" + "\u0300" * 3),
    "nothing": ("", ""),
    "too long": ("x" * 30, "x" * 19 + "…"),
    "long white space, then more": (" " * 500 + "x", "…"),
}


@pytest.mark.parametrize(("text", "expected"), CLEANED.values(), ids=CLEANED)
def test_text_is_shown_without_deceptive_characters(text: str, expected: str) -> None:
    assert clean(text, 20) == expected


def test_a_few_line_breaks_of_a_reason_stay() -> None:
    assert clean("a\n\n\n\nb", 99, lines=True) == "a\n\nb"
    assert "\n" not in clean("a\n" * 100, 999, lines=True)
    assert clean("a\n" * 100, 999, lines=True).count("a") == 100


@given(st.text(max_size=300), st.integers(1, 200), st.booleans())
def test_any_text_is_cut_and_has_no_invisible_characters(
    text: str, limit: int, lines: bool
) -> None:
    cleaned = clean(text, limit, lines=lines)
    assert len(cleaned) <= limit
    assert all(char.isprintable() or char == "\n" for char in cleaned)


@given(st.text(max_size=100))
def test_escaped_text_has_no_mention_and_no_link(text: str) -> None:
    assert not {"<", ">"} & set(escape(text))


def test_escaping_is_exactly_slacks() -> None:
    assert escape("a & <b>") == "a &amp; &lt;b&gt;"


LEFT = {
    0: "0 s",
    45: "45 s",
    58: "1 min",
    60: "1 min",
    29 * 60: "29 min",
    29 * 60 + 40: "29 min",
    3598: "1h",
    3600: "1h",
    3900: "1h 5 min",
    86_400: "1d",
    2 * 86_400 + 3 * 3600 + 59: "2d 3h",
    -5: "0 s",
}


@pytest.mark.parametrize(("seconds", "expected"), LEFT.items(), ids=map(str, LEFT))
def test_the_time_left_is_exact_enough(seconds: int, expected: str) -> None:
    assert left(seconds) == expected


def test_times_are_shown_in_the_readers_zone_and_in_utc_where_slack_cannot() -> None:
    assert date(NOW) == {
        "type": "date",
        "timestamp": NOW,
        "format": "{date_short_pretty} at {time}",
        "fallback": "22 Nov 2026 14:00 UTC",
    }


ACTORS = {
    "U0ANA": ({"type": "user", "user_id": "U0ANA"}, "<@U0ANA>"),
    "os:eve": ({"type": "text", "text": "eve (command line)"}, "eve (command line)"),
    "system": ({"type": "text", "text": "Access"}, "Access"),
    "system:shop-admin": ({"type": "text", "text": "shop-admin"}, "shop-admin"),
    "rule:on call": ({"type": "text", "text": "rule “on call”"}, "rule “on call”"),
    "os:<!here>": (
        {"type": "text", "text": "<!here> (command line)"},
        "&lt;!here&gt; (command line)",
    ),
    "U0ANA> <!here": ({"type": "text", "text": "U0ANA> <!here"}, "U0ANA&gt; &lt;!here"),
    "": ({"type": "text", "text": "somebody"}, "somebody"),
}


@pytest.mark.parametrize("actor", ACTORS)
def test_every_actor_has_a_readable_name(actor: str) -> None:
    assert (who(actor), who_text(actor)) == ACTORS[actor]


def test_a_long_list_says_how_many_more_there_are() -> None:
    assert (
        shown(paragraph(listing([f"name-{n}" for n in range(10)], 20)))
        == "name-0, name-1 and 8 more"
    )


def test_backticks_of_ours_become_code_and_a_lone_one_stays() -> None:
    assert [part for part in spoken("a `b` c `") if isinstance(part, dict)] == [
        {"type": "text", "text": "a "},
        {"type": "text", "text": "b", "style": {"code": True}},
        {"type": "text", "text": " c `"},
    ]


# --- whole messages


def some(count: int) -> list[dict[str, object]]:
    return [paragraph([f"block {n} " + "x" * 100]) for n in range(count)]


def test_the_weight_of_a_message_is_never_below_what_slack_counts() -> None:
    assert weight(some(9)) >= inspect_blocks(some(9), "message").characters


def test_groups_of_blocks_are_shown_completely_or_not_at_all_and_in_order() -> None:
    groups = [some(2)] * 5
    blocks, missing = fit(groups, blocks=5)
    assert (blocks, missing) == (some(2) * 2, 3)


def test_messages_that_fit_are_joined_with_dividers() -> None:
    joined = join([{"text": "one", "blocks": some(1)}, {"text": "two", "blocks": some(1)}])
    assert [block["type"] for block in joined["blocks"]] == ["rich_text", "divider", "rich_text"]
    assert joined["text"] == "one\ntwo"


def test_of_many_messages_the_ones_without_room_are_shortened_and_the_last_counted() -> None:
    message = {"text": "Your access to something has ended. " * 3, "blocks": some(10)}
    joined = join([message] * 60)
    assert joined["blocks"][-1]["text"]["text"].endswith("leads find everything in `/access audit`")
    assert len(joined["blocks"]) <= 50
