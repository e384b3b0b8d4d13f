"""Private answers to the person who just acted: refusals with advice, and confirmations."""

from collections.abc import Callable, Mapping

from bot.core.durations import format_duration
from bot.core.model import HELD, Grant, GrantState, Request, RequestState
from bot.core.names import slash
from bot.core.roles import Role
from bot.operations.absence.describe_absence import Absences
from bot.operations.absence.go_away import Away
from bot.operations.grants.describe_grant import GrantView
from bot.operations.requests.describe_request import RequestCard
from bot.operations.requests.request_access import GrantedAtOnce, Submitted, Waiting
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    bold,
    clean,
    code,
    context,
    date,
    escape,
    listing,
    message,
    paragraph,
    quote,
    rich,
    spoken,
    who,
)
from bot.slack.ids import Action
from bot.slack.views._parts import (
    approval_steps,
    cancel,
    grant_buttons,
    role_parts,
    state_now,
    title_text,
    with_values,
)
from bot.slack.views.deciders import absence_lines
from bot.slack.views.understood import duration_parts

Facts = Mapping[str, object]


def render(note: str, facts: Facts, card: RequestCard | None, now: int) -> Message:
    """The answer of an outbox effect: refused {why}, already_decided {request}, vote_counted {have,
    need} or text {text}. `card` is that of the request, if the note names one."""
    return _NOTES[note](facts, card, now)


def refused(why: str) -> Message:
    """A refusal; `why` is a sentence with advice."""
    return message(escape(clean(why, 1000)), paragraph(spoken(why)))


def done(words: str) -> Message:
    """Confirms that a command was carried out, or is in progress."""
    return text(words)


def text(words: str) -> Message:
    """A plain text."""
    return message(escape(clean(words, 2000)), paragraph(spoken(words, 2000)))


def submitted(sent: Submitted, note: str = "") -> Message:
    """The request is stored and will be posted to its approvers; `note` says where its duration
    comes from."""
    request = sent.request
    return message(
        f"Your request for {title_text(sent.role, request.role)} waits for approval.",
        paragraph(*sent_lines(sent, note)),
        actions(cancel(request, request.role)),
    )


def renewed(grant: Grant, now: int, note: str = "") -> Message:
    """The grant has a new end."""
    lasts = format_duration(grant.ends_at - now)
    return message(
        f"Renewed: {_name(grant.role)} for {lasts} from now.",
        paragraph(
            [
                "Renewed: ",
                code(grant.role),
                " for ",
                bold(lasts),
                " from now, until ",
                date(grant.ends_at),
                ".",
            ],
            spoken(note) if note else [],
        ),
    )


def sent_lines(sent: Submitted, note: str = "") -> list[list[Part]]:
    """The next steps of a request that was just sent."""
    request = sent.request
    people = "1 person" if sent.able == 1 else f"{sent.able} people"
    return [
        [
            "Sent: ",
            *role_parts(sent.role, request.role),
            *with_values(request),
            *duration_parts(request),
        ],
        spoken(sent.why) if sent.why else [],
        spoken(note) if note else [],
        [
            *_needs(sent.role, people),
            " You get a direct message as soon as it is decided.",
        ],
        ["Unanswered, it lapses ", date(request.lapses_at), "."],
    ]


def granted_at_once(granted: GrantedAtOnce, note: str = "") -> Message:
    """A rule approved the request, and nobody had to decide."""
    title = title_text(granted.role, granted.request.role)
    return message(f"Approved at once: {title}.", paragraph(*granted_lines(granted, note)))


def granted_lines(granted: GrantedAtOnce, note: str = "") -> list[list[Part]]:
    """The next steps of a request that was approved when it was sent."""
    request = granted.request
    return [
        [
            "Approved at once: ",
            *role_parts(granted.role, request.role),
            *with_values(request),
            *duration_parts(request),
        ],
        spoken(note) if note else [],
        [*_decided_by(granted), " You get a direct message as soon as it works."],
    ]


def emergency_lines(card: RequestCard) -> list[list[Part]]:
    """The next steps of an emergency that was just called, for its user."""
    request, named = card.request, role_parts(card.role, card.request.role)
    lasts: list[Part] = [" for ", bold(format_duration(request.duration)), "."]
    if request.state is RequestState.PENDING:
        return [
            ["Not started yet: ", *named, *lasts],
            [
                "An emergency of yours is open already, so this one starts when an approver or a"
                " lead presses Approve. They are being notified."
            ],
            ["Unanswered, it lapses ", date(request.lapses_at), "."],
        ]
    return [
        ["Starting now: ", *named, *lasts],
        ["All leads, the approvers and the security channel are being notified."],
        [
            "A direct message with Show credentials follows as soon as the system has it. A lead"
            " who is not you reviews it afterwards."
        ],
    ]


def emergency(card: RequestCard) -> Message:
    """An emergency was called."""
    how = "waits for one press" if card.request.state is RequestState.PENDING else "starts now"
    return message(
        f"{title_text(card.role, card.request.role)} {how}.", paragraph(*emergency_lines(card))
    )


def _decided_by(granted: GrantedAtOnce) -> list[Part]:
    if not granted.givers:
        return ["The ", who(granted.by), " decided."]
    givers: list[Part] = [part for each in granted.givers for part in (", ", who(each))][1:]
    return [*givers, " approved it in advance."]


def _needs(role: Role | None, people: str) -> list[Part]:
    if role is not None and role.tiers:
        return ["It needs ", *approval_steps(role), "."]
    approvals = role.approvals if role else 1
    need = "1 approval" if approvals == 1 else f"{approvals} approvals"
    return [f"It needs {need}; {people} can give one."]


def away(given: Away) -> Message:
    """An approver is away, and a delegate decides in their place."""
    name = clean(given.name, 75)
    also: list[Part] = (
        [
            "Meanwhile nobody decides in the place of ",
            *listing(given.also, 300, "bold"),
            ", because what was handed over can't be handed over again.",
        ]
        if given.also
        else []
    )
    mentor: list[Part] = (
        ["Meanwhile the lead acts as the mentor of ", *listing(given.newcomers, 300, "bold"), "."]
        if given.newcomers
        else []
    )
    return message(
        f"{escape(name)} decides in your place while you are away.",
        paragraph(
            [
                "You are away until ",
                date(given.delegation.ends_at),
                ". Until then ",
                bold(name, 75),
                " can decide what you could, but never on their own request.",
            ],
            also,
            mentor,
            [code(f"{slash()} back"), " ends it earlier. You can decide yourself at any time."],
        ),
    )


def absences(known: Absences) -> Message:
    """The people who decide in the place of others."""
    lines = absence_lines(known.away, known.decides_for, known.names)
    none: list[Part] = [
        "You are not away, and you decide for nobody else. ",
        code(f"{slash()} away until DATE @delegate"),
        " hands your decisions to somebody.",
    ]
    return message("Who decides in whose place.", paragraph(*(lines or [none])))


def waits_for_slack(waiting: Waiting) -> str:
    """For a person who requests a role before Slack has reported the members of its groups,
    or before its ticket was looked up."""
    ticket = ", and I look up the ticket" if waiting.has_ticket else ""
    return (
        f"I am asking Slack who you are and who is in the groups of {waiting.role}{ticket}. The"
        " answer follows in a moment."
    )


def already_pending(request: Request, now: int) -> Message:
    """An equal request is already pending."""
    return message(
        f"Your request for {_name(request.role)} is already waiting.",
        paragraph(
            [
                "You asked for ",
                code(request.role),
                " ",
                date(request.created_at),
                ", and it waits for a decision.",
            ],
            ["There is nothing more to do. To change it, cancel it and ask again."],
        ),
        actions(cancel(request, request.role)),
    )


def already_held(grant: Grant, now: int) -> Message:
    """The person has the role already, and may want more time."""
    buttons = grant_buttons(grant, grant.role)
    hint = "You get a message when it works."
    if grant.state is GrantState.ACTIVE:
        hint = "Renew gives you more time."
        if grant.urgency:
            hint = f"Emergency access can't be renewed. `{slash()}` asks for more time."
    return message(
        f"You have {_name(grant.role)} already.",
        paragraph(
            ["You have ", code(grant.role), " already. ", *state_now(grant, now)], spoken(hint)
        ),
        *([actions(*buttons)] if buttons else []),
    )


def already_decided(card: RequestCard, now: int) -> Message:
    """A press that came too late: the decision, its deciders and its time."""
    request = card.request
    by: list[Part] = [part for actor in request.decided_by_each for part in (", ", who(actor))][1:]
    when: list[Part] = [" ", date(request.decided_at)] if request.decided_at else []
    how = {RequestState.LAPSED: "lapsed, unanswered"}.get(request.state, request.state)
    return message(
        "Your press came too late: the request was decided before.",
        paragraph(
            [f"This request is {how} already", *([" by ", *by] if by else []), *when, "."],
            ["Your press changed nothing."],
        ),
    )


def request_now(card: RequestCard, now: int) -> Message:
    """The current state of a request, for its requester."""
    request, named = card.request, role_parts(card.role, card.request.role)
    if request.state is RequestState.PENDING:
        return message(
            f"Your request for {title_text(card.role, request.role)} waits for a decision.",
            paragraph(
                ["Sent ", date(request.created_at), ": ", *named, *duration_parts(request)],
                ["You get a direct message as soon as it is decided."],
            ),
            actions(cancel(request, request.role)),
        )
    how, then = _BECAME[request.state]
    when: list[Part] = [" ", date(request.decided_at)] if request.decided_at else []
    return message(
        f"Your request for {title_text(card.role, request.role)} {how}.",
        paragraph(["Your request for ", *named, f" {how}", *when, "."], [then]),
    )


_BECAME: Mapping[RequestState, tuple[str, str]] = {
    RequestState.APPROVED: ("was approved", "Your direct messages say what happened since."),
    RequestState.DENIED: ("was denied", "Your direct messages say why."),
    RequestState.WITHDRAWN: ("was withdrawn", "Its approvers can no longer decide on it."),
    RequestState.LAPSED: (
        "was not answered in time",
        "Ask again, and tell an approver that it waits.",
    ),
}


def grant_now(view: GrantView, now: int) -> Message:
    """The current state of access, for its holder."""
    grant = view.grant
    if grant.state in HELD:
        return already_held(grant, now)
    return message(
        f"News about your access to {title_text(view.role, grant.role)}.",
        paragraph([*role_parts(view.role, grant.role), ": ", *state_now(grant, now)]),
    )


def last_change(answer: Message) -> Message:
    """The message without buttons, for the last change that Slack allows."""
    blocks = [block for block in answer["blocks"] if block["type"] != "actions"]
    words = f"This answer is no longer updated. `{slash()} list` shows the current state."
    return message(answer["text"], *blocks, context(words))


def unchanging(answer: Message, now: int) -> Message:
    """A page that is not updated: it shows its time, and keeps only the buttons that turn pages."""
    blocks = [block for block in answer["blocks"] if block["type"] != "actions" or _lasts(block)]
    words = f"As it was at that time; not updated. App Home and `{slash()} list` have the buttons."
    return message(answer["text"], *blocks, paragraph(["Read ", date(now), "."]), context(words))


def _lasts(block: Block) -> bool:
    return all(str(each.get("action_id", "")) == Action.MORE for each in block["elements"])


def vote_counted(have: int, need: int, tier: str = "") -> Message:
    """The approval was counted, and more are needed; `tier` is asked next, or now."""
    if tier and not have:
        words = f"Your approval was counted. “{clean(tier, 60)}” is asked next."
        return message(escape(words), paragraph([words]))
    words = (
        f"Your approval was counted: with it there were {have} of {need}. The request itself shows"
        " what happened since."
    )
    return message(words, paragraph([words]))


def unknown_verb(word: str) -> Message:
    """An unknown command. It may be the name of a role, so the answer says how to request one."""
    return message(
        f"Unknown command. {slash()} help lists every command.",
        paragraph(
            [
                "Unknown command ",
                code(word, 60),
                ". ",
                bold(f"{slash()} help"),
                " lists every command.",
            ],
            [
                "To ask for a role: ",
                bold(f"{slash()} request ROLE REASON"),
                ", or ",
                bold(f"{slash()}"),
                " for a form.",
            ],
        ),
    )


def broken(reference: str) -> Message:
    """An unexpected error; `reference` finds it in the log."""
    words = (
        "Something went wrong on our side, and nothing was changed. Try again. If it happens again,"
        " tell a lead "
    )
    return message(
        f"{words}the reference {escape(clean(reference, 60))}.",
        paragraph([words, "the reference ", code(reference, 60), "."]),
    )


def storage_down() -> Message:
    """The database does not answer, so nothing was changed."""
    words = "The database does not answer right now, so nothing was changed. Try again in a minute."
    return message(words, paragraph([words]))


def _name(role: str) -> str:
    return escape(clean(role, 75))


def _refused(facts: Facts, card: RequestCard | None, now: int) -> Message:
    return refused(str(facts["why"]))


def _already_decided(facts: Facts, card: RequestCard | None, now: int) -> Message:
    return already_decided(card, now) if card else refused("This request no longer exists.")


def _vote_counted(facts: Facts, card: RequestCard | None, now: int) -> Message:
    have, need = int(str(facts["have"])), int(str(facts["need"]))
    return vote_counted(have, need, str(facts.get("tier", "")))


def _text(facts: Facts, card: RequestCard | None, now: int) -> Message:
    return text(str(facts["text"]))


def _asked(facts: Facts, card: RequestCard | None, now: int) -> Message:
    """Confirms a request that waited for Slack's groups. This message is not updated."""
    if card is None:
        return refused("This request no longer exists.")
    request, named = card.request, role_parts(card.role, card.request.role)
    return message(
        f"Your request for {title_text(card.role, request.role)} was sent.",
        paragraph(
            [
                "Your request for ",
                *named,
                " was sent ",
                date(request.created_at),
                *duration_parts(request),
            ],
            [
                "A direct message says what was decided. Until then ",
                bold(f"{slash()} list"),
                " has it, to cancel it.",
            ],
        ),
    )


def _asked_by_program(facts: Facts, card: RequestCard | None, now: int) -> Message:
    """To the owner of a program."""
    if card is None:
        return refused("This request no longer exists.")
    request, named = card.request, role_parts(card.role, card.request.role)
    return message(
        f"A program asked for {title_text(card.role, request.role)} in your name.",
        paragraph(
            [
                "The program ",
                bold(request.program, 60),
                " asked for ",
                *named,
                *with_values(request),
                " in your name.",
            ],
            [
                "If you don't expect that, cancel the request, or end the access, in ",
                bold(f"{slash()} list"),
                ". Tell a lead, who can revoke the program's token.",
            ],
        ),
        rich(quote(request.reason)),
    )


def _token_in_your_name(facts: Facts, card: RequestCard | None, now: int) -> Message:
    """To the owner of a new API token."""
    program, roles = str(facts["program"]), facts["roles"]
    return message(
        f"The program {escape(clean(program, 60))} may ask for access in your name.",
        paragraph(
            [
                "The program ",
                bold(program, 60),
                " may ask for ",
                *listing([str(role) for role in roles] if isinstance(roles, list) else [], 300),
                " in your name until ",
                date(int(str(facts["until"]))),
                ". The access that it gets is yours, and you get a message of each request.",
            ],
            ["If you don't expect that, tell a lead, who can revoke the program's token."],
        ),
    )


def _emergency(facts: Facts, card: RequestCard | None, now: int) -> Message:
    return emergency(card) if card else refused("This emergency is no longer on record.")


def _delegation_given(facts: Facts, card: RequestCard | None, now: int) -> Message:
    """To the delegate."""
    giver = clean(str(facts["giver"]), 75)
    return message(
        f"You decide in the place of {escape(giver)} for now.",
        paragraph(
            [
                bold(giver, 75),
                " is away until ",
                date(int(str(facts["ends_at"]))),
                " and named you as delegate.",
            ],
            ["Until then you can approve and deny what they could, except your own requests."],
            ["App Home shows what waits for you."],
        ),
    )


def _delegation_over(facts: Facts, card: RequestCard | None, now: int) -> Message:
    giver = clean(str(facts["giver"]), 75)
    return message(
        f"You no longer decide in the place of {escape(giver)}.",
        paragraph(["You no longer decide in the place of ", bold(giver, 75), "."]),
    )


def _back(facts: Facts, card: RequestCard | None, now: int) -> Message:
    delegate = clean(str(facts["delegate"]), 75)
    words = " no longer decides in your place, because your absence is over."
    return message(escape(delegate) + words, paragraph([bold(delegate, 75), words]))


_NOTES: Mapping[str, Callable[[Facts, RequestCard | None, int], Message]] = {
    "refused": _refused,
    "already_decided": _already_decided,
    "vote_counted": _vote_counted,
    "text": _text,
    "asked": _asked,
    "asked_by_program": _asked_by_program,
    "token_in_your_name": _token_in_your_name,
    "emergency": _emergency,
    "delegation_given": _delegation_given,
    "delegation_over": _delegation_over,
    "back": _back,
}
