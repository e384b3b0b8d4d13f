"""The answer to `/access help`, from one table of the verbs."""

from bot.core.names import slash
from bot.slack.blocks import Message, Part, bold, bullets, code, message, paragraph, rich, section

VERBS: tuple[tuple[str, str], ...] = (
    ("", "a form to ask for access"),
    (
        "request ROLE [DURATION] REASON",
        "the same in one line; DURATION like 30m, 2 hours or until 18:00",
    ),
    ("list", "what you have and wait for, with buttons"),
    ("renew [ROLE] [DURATION] [REASON]", "keep what you have longer"),
    ("done [ROLE]", "give it back before its end"),
    ("cancel [ROLE]", "take back a request that waits"),
    ("roles", "what you may ask for"),
    (
        "explain ROLE [@user]",
        "who decides on it, by which rules, and what would happen if it was asked for now",
    ),
    (
        "emergency ROLE [DURATION] REASON",
        "access at once in an outage, for those who may; a lead reviews it afterwards",
    ),
    (
        "allow @user ROLE [DURATION] until DATE [REASON]",
        "for approvers: their requests need nobody until then; list shows what there is",
    ),
    ("disallow @user ROLE", "takes that back"),
    (
        "away until DATE @delegate",
        "approvers: somebody else decides in your place until then",
    ),
    ("back", "approvers: you decide again, and your delegate does not"),
    (
        "review",
        "keep or end the access that a review asks you about; leads: list shows open reviews, and"
        " start [due 7d] [role:R] [system:S] begins one",
    ),
    ("help", "this"),
)

LEAD_VERBS: tuple[tuple[str, str], ...] = (
    ("onboard", "plan a newcomer's first weeks, with a preview"),
    ("onboard @user BUNDLE [@mentor]", "start it at once"),
    ("onboard list", "all onboardings, with buttons"),
    ("revoke @user [ROLE|all]", "end somebody's access now"),
    (
        "audit [@user] [role:R] [system:S] [event:E] [since:7d] [until:…]",
        "the log, page by page",
    ),
    ("audit export …", "the same as CSV, by direct message"),
    ("audit ID", "one request or grant, from the request to its end"),
    ("audit verify", "whether the log is complete and unchanged"),
    ("flags", "unusual patterns that wait for an answer"),
    ("drift", "what is on the systems that should not be there, and what is missing there"),
)


def render(is_lead: bool) -> Message:
    """Every verb; those for leads are shown only to leads."""
    leads = [rich(section(bold("For leads")), bullets(map(_line, LEAD_VERBS)))] if is_lead else []
    return message(
        f"How to use {slash()}: {', '.join(_command(verb).split(' [')[0] for verb, _ in VERBS)}.",
        paragraph(
            [
                "Ask for a role, somebody entitled approves it, and it ends automatically."
                " App Home shows all of it."
            ]
        ),
        rich(section(bold("Commands")), bullets(map(_line, VERBS))),
        *leads,
    )


def _line(verb: tuple[str, str]) -> list[Part]:
    return [code(_command(verb[0])), f": {verb[1]}"]


def _command(words: str) -> str:
    return f"{slash()} {words}".rstrip()
