"""The answer to `/access help`, from one table of the verbs."""

from bot.core.names import slash
from bot.slack.blocks import Message, Part, bold, bullets, code, message, paragraph, rich, section

VERBS: tuple[tuple[str, str], ...] = (
    ("", "opens the form to ask for access"),
    (
        "request ROLE [DURATION] REASON",
        "asks in one line; DURATION like 30m, 2 hours or until 18:00",
    ),
    ("list", "shows your access and your open requests, with buttons"),
    ("renew [ROLE] [DURATION] [REASON]", "extends your access"),
    ("done [ROLE]", "gives access back before its end"),
    ("cancel [ROLE]", "cancels a request that waits"),
    ("roles", "lists the roles that you may ask for"),
    (
        "explain ROLE [@user]",
        "shows who decides on a role, its rules, and the result of a request now",
    ),
    (
        "emergency ROLE [DURATION] REASON",
        "takes a role at once in an outage, for its emergency members; a lead reviews it",
    ),
    (
        "allow @user ROLE [DURATION] until DATE [REASON]",
        "approvers: approves their requests in advance until then; allow list shows all",
    ),
    ("disallow @user ROLE", "takes a pre-approval back"),
    (
        "away until DATE @delegate",
        "approvers: names a delegate who decides in your place until then",
    ),
    ("back", "approvers: ends that, so that you decide again"),
    (
        "review",
        "keeps or ends the access that a review asks you about; leads: review list shows open"
        " reviews, and review start [due 7d] [role:R] [system:S] begins one",
    ),
    ("help", "lists all commands"),
)

LEAD_VERBS: tuple[tuple[str, str], ...] = (
    ("onboard", "opens the form to plan a newcomer's first weeks"),
    ("onboard @user BUNDLE [@mentor]", "starts an onboarding at once"),
    ("onboard list", "lists all onboardings, with buttons"),
    ("revoke @user [ROLE|all]", "ends somebody's access now"),
    (
        'audit [@user] [role:R] [system:S] [event:E] [since:7d] [until:…] [text:"…"]',
        "shows the log, page by page",
    ),
    ("audit export …", "sends the log as CSV, by direct message"),
    ("audit ID", "shows one request or grant, from the request to its end"),
    ("audit verify", "checks whether the log is complete and unchanged"),
    ("flags", "lists the flags that wait for an answer"),
    ("drift", "finds access without a grant, and grants whose access is missing"),
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
