"""The answer to `/access help`, from one table of the verbs."""

from bot.slack.blocks import Message, Part, bold, bullets, code, message, paragraph, rich, section

VERBS: tuple[tuple[str, str], ...] = (
    ("/access", "a form to ask for access"),
    (
        "/access request ROLE [DURATION] REASON",
        "the same in one line; DURATION like 30m, 2 hours or until 18:00",
    ),
    ("/access list", "what you have and wait for, with buttons"),
    ("/access renew [ROLE] [DURATION] [REASON]", "keep what you have longer"),
    ("/access done [ROLE]", "give it back before its end"),
    ("/access cancel [ROLE]", "take back a request that waits"),
    ("/access roles", "what you may ask for"),
    (
        "/access explain ROLE [@user]",
        "who decides on it, by which rules, and what would happen if it was asked for now",
    ),
    (
        "/access emergency ROLE [DURATION] REASON",
        "access at once in an outage, for those who may; a lead reviews it afterwards",
    ),
    (
        "/access allow @user ROLE [DURATION] until DATE [REASON]",
        "for approvers: their requests need nobody until then; list shows what there is",
    ),
    ("/access disallow @user ROLE", "takes that back"),
    (
        "/access away until DATE @delegate",
        "approvers: somebody else decides in your place until then",
    ),
    ("/access back", "approvers: you decide again, and your delegate does not"),
    (
        "/access review",
        "keep or end the access that a review asks you about; leads: list shows open reviews, and"
        " start [due 7d] [role:R] [system:S] begins one",
    ),
    ("/access help", "this"),
)

LEAD_VERBS: tuple[tuple[str, str], ...] = (
    ("/access onboard", "plan a newcomer's first weeks, with a preview"),
    ("/access onboard @user BUNDLE [@mentor]", "start it at once"),
    ("/access onboard list", "all onboardings, with buttons"),
    ("/access revoke @user [ROLE|all]", "end somebody's access now"),
    (
        "/access audit [@user] [role:R] [system:S] [event:E] [since:7d] [until:…]",
        "the log, page by page",
    ),
    ("/access audit export …", "the same as CSV, by direct message"),
    ("/access audit ID", "one request or grant, from the request to its end"),
    ("/access audit verify", "whether the log is complete and unchanged"),
    ("/access flags", "unusual patterns that wait for an answer"),
    ("/access drift", "what is on the systems that should not be there, and what is missing there"),
)


def render(is_lead: bool) -> Message:
    """Every verb; those for leads are shown only to leads."""
    leads = [rich(section(bold("For leads")), bullets(map(_line, LEAD_VERBS)))] if is_lead else []
    return message(
        "How to use /access: " + ", ".join(verb.split(" [")[0] for verb, _ in VERBS) + ".",
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
    return [code(verb[0]), f": {verb[1]}"]
