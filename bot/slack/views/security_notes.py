"""The notes in the security channel: failures, emergencies, and events that nobody would notice
otherwise. Errors of systems are shown unchanged.
"""

from collections.abc import Callable, Mapping, Sequence

from bot.core.anchors import Anchor, anchor_line
from bot.core.durations import format_duration
from bot.core.names import app_name, slash
from bot.core.panic_switch import resume_command
from bot.core.plurals import counted
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    bold,
    clean,
    code,
    context,
    date,
    escape,
    is_slack_id,
    listing,
    mentions,
    message,
    paragraph,
    place,
    preformatted,
    rich,
    section,
    spoken,
    typed,
    who,
    who_text,
)
from bot.slack.views._fit import join

__all__ = ["join", "render"]

Facts = Mapping[str, object]

ERROR_ROOM = 600


def render(note: str, facts: Facts) -> Message:
    """One note with the facts of its effect. The operation chooses their keys."""
    rendered = _NOTES[note](facts)
    if not facts.get("drill"):
        return rendered
    return message(f"Drill: {rendered['text']}", *rendered["blocks"], context("This is a drill."))


def _nobody_can_decide(facts: Facts) -> Message:
    role = str(facts["role"])
    return message(
        f"Too few people can decide on requests for {_name(role)}, so they are refused.",
        paragraph(
            [
                bold("Too few people can decide"),
                " on requests for ",
                code(role),
                ", so they are refused.",
            ],
            [
                "Check its ",
                code("approvers"),
                " in roles.toml, and that their groups still have members.",
            ],
        ),
    )


def _groups_unread(facts: Facts) -> Message:
    return message(
        "Slack has not reported the members of groups for ten minutes, so groups give no right"
        " to decide.",
        paragraph(
            [bold("Groups can't be read"), " since ", date(int(str(facts["since"]))), "."],
            [
                "Groups give no right to request, approve or lead until Slack reports their members"
                " again."
            ],
            [
                "Access that is active ends as planned. ",
                code("access-bot doctor"),
                " says what is wrong.",
            ],
        ),
    )


def _calendar_unread(facts: Facts) -> Message:
    duty = str(facts["duty"])
    return message(
        f"Who is on call for {_name(duty)} can't be read, so nobody counts as on call.",
        paragraph(
            [bold("The on-call calendar can't be read"), ": ", code(f"oncall.{duty}"), "."],
            [typed(str(facts["error"]), ERROR_ROOM)],
            [
                "Until it can be read, nobody counts as on call, so requests that need it wait for"
                " an approver."
            ],
            ["It is read again every minute. ", code("access-bot doctor"), " checks it at once."],
        ),
    )


def _stream_late(facts: Facts) -> Message:
    stream, error = str(facts["stream"]), str(facts.get("error", ""))
    return message(
        f"The audit log is late in the stream {_name(stream)}.",
        paragraph(
            [bold("The audit log is late"), " in the stream ", code(stream), "."],
            [f"Its receiver has the log up to record {facts['sent']}."],
            *([[typed(error, ERROR_ROOM)]] if error else []),
            ["Nothing is lost: the bot keeps trying, and sends everything in order."],
        ),
    )


def _stream_resumed(facts: Facts) -> Message:
    stream = str(facts["stream"])
    return message(
        f"The audit log is up to date again in the stream {_name(stream)}.",
        paragraph(
            [bold("The audit log is up to date again"), " in the stream ", code(stream), "."],
            [f"Its receiver has the log up to record {facts['sent']}."],
        ),
    )


def _reference_moved(facts: Facts) -> Message:
    ref, bound, now = (
        str(facts["reference"]),
        str(facts["bound"]),
        [str(each) for each in _list(facts["now"])],
    )
    thing = "group" if ref.startswith("@") else "account"
    if not now:
        return message(
            f"{_name(ref)} no longer leads to another {thing}.",
            paragraph(
                [
                    bold(ref, 100),
                    f" no longer leads to another {thing}. It stands for ",
                    code(bound),
                    " only.",
                ]
            ),
        )
    return message(
        f"{_name(ref)} leads to another {thing} now, so it gives no right to decide.",
        paragraph(
            [bold(ref, 100), f" leads to another {thing} now: ", *listing(now, 300), "."],
            ["It stood for ", code(bound), " when roles.toml was first loaded with it."],
            [
                "This name gives no right to request, approve or lead until it stands for that"
                " id alone."
            ],
            [
                f"If the change is right, write the id of the {thing} in roles.toml. If not, treat"
                " it as an attack."
            ],
        ),
    )


def _groups_changed(facts: Facts) -> Message:
    groups = [dict(each) for each in _list(facts["groups"]) if isinstance(each, Mapping)]
    count = int(str(facts["count"]))
    left_out = (
        [[f"and {count - len(groups)} more groups, in the audit log."]]
        if count > len(groups)
        else []
    )
    names = ", ".join(_name(each["name"]) for each in groups[:3])
    return message(
        f"Members changed in {_counted(count, 'group')} of roles.toml:"
        f" {names}{' …' if count > 3 else ''}",
        paragraph(
            [bold("Members changed"), " in groups that roles.toml names:"],
            *map(_change, groups),
            *left_out,
        ),
    )


def _change(group: Mapping[str, object]) -> list[Part]:
    parts: list[Part] = [bold(str(group["name"]), 100), " (", code(str(group["group"]), 40), ")"]
    for key in ("came", "left"):
        people, count = _list(group[key]), int(str(group[f"{key}_count"]))
        if people:
            parts += [f", {key}: ", *_people(people)]
            parts += [f" and {count - len(people)} more"] if count > len(people) else []
    return [
        *parts,
        "." if group["there"] else ". The group is switched off, so it has no members.",
    ]


def _people(ids: Sequence[object]) -> list[Part]:
    parts: list[Part] = []
    for each in ids:
        parts += [", "] * bool(parts) + [typed(str(each), 100)]
    return parts


def _start_failed(facts: Facts) -> Message:
    return message(
        f"Access {_name(facts['grant'])} could not be set up.",
        paragraph(
            [bold("Access could not be set up"), " (grant ", code(str(facts["grant"])), ")."],
            ["The requester does not have it. The parts that were set up are being removed."],
        ),
        _error(facts["error"]),
    )


def _unextended(facts: Facts) -> Message:
    system, person = str(facts["system"]), str(facts["person"])
    return message(
        f"Access {_name(facts['grant'])} may end earlier on {_name(system)} than announced to"
        " its holder.",
        paragraph(
            [
                bold("A renewal is not confirmed"),
                " by ",
                bold(system),
                ": access may end earlier there.",
            ],
            [
                code(str(facts["role"])),
                " of ",
                who(person),
                ", grant ",
                code(str(facts["grant"])),
                ".",
            ],
            ["The bot keeps retrying until the system confirms or the access ends."],
        ),
        _error(facts["error"]),
    )


def _end_confirmed(facts: Facts) -> Message:
    return message(
        f"Access {_name(facts['grant'])} is finally gone from {_name(facts['system'])}.",
        paragraph(
            [
                bold("Finally gone"),
                " from ",
                bold(str(facts["system"])),
                ": the system has confirmed the end.",
            ],
            [
                "Grant ",
                code(str(facts["grant"])),
                ", which had not ended since ",
                date(int(str(facts["since"]))),
                ".",
            ],
        ),
    )


def _missing(facts: Facts) -> Message:
    system, grant, person = str(facts["system"]), str(facts["grant"]), str(facts["person"])
    part = str(facts.get("part") or "")
    return message(
        f"{'Part of access' if part else 'Access'} {_name(grant)} is missing on {_name(system)},"
        " although it is active.",
        paragraph(
            [
                bold("Access is missing"),
                " on ",
                bold(system),
                f". It was removed on the system, not by {app_name()}.",
            ],
            *([[code(part)]] if part else []),
            [code(str(facts["role"])), " of ", who(person), ", grant ", code(grant), "."],
            [
                "The bot does not restore it, because somebody may have removed it on purpose."
                " If not, its holder requests it again."
            ],
        ),
    )


def _reconciled(facts: Facts) -> Message:
    excess, missing = int(str(facts["excess"])), int(str(facts["missing"]))
    unasked = [str(each) for each in _list(facts["unasked"])]
    places = listing([str(each) for each in _list(facts["places"])], 600, "bold")
    differs: list[list[Part]] = [
        [
            (f"{excess} unexpected, {missing} missing: "),
            *places,
            ".",
        ]
    ]
    failed: list[list[Part]] = [
        ["Unreachable, or reported only in part: ", *listing(unasked, 600, "bold"), "."]
    ]
    return message(
        f"Check of all systems: {excess} unexpected, {missing} missing,"
        f" {_counted(len(unasked), 'system')} unreachable.",
        paragraph(
            [bold("Check of all systems")],
            *(differs if places else []),
            *(failed if unasked else []),
            [
                code(f"{slash()} drift"),
                " checks again, lists every difference and can remove what is unexpected.",
            ],
        ),
    )


def _use_after_end(facts: Facts) -> Message:
    system, person = str(facts["system"]), str(facts["person"])
    return message(
        f"Access {_name(facts['grant'])} of {who_text(person)} was used on {_name(system)} beyond"
        " its end.",
        paragraph(*_session_lines(facts, system, person)),
    )


def _session_lines(facts: Facts, system: str, person: str) -> list[list[Part]]:
    """The session that was used after the end, the time at which it was opened, and advice."""
    opened, ended = int(str(facts["opened_at"])), int(str(facts["ended_at"]))
    after, still = "was opened after it had ended", "is still open, although it has ended"
    session: list[Part] = [": a session of ", who(person)]
    if facts["origin"]:
        session += [" from ", typed(str(facts["origin"]), 200, "code")]
    times: list[Part] = [f"{after if opened > ended else still}. Opened ", date(opened)]
    grant: list[Part] = ["; grant ", code(str(facts["grant"])), " ended ", date(ended), "."]
    advice = ". Close the session on that system and find out why it was possible."
    return [
        [bold("Access was used after its end"), " on ", bold(system), *session],
        [*times, *grant],
        ["The session is ", typed(str(facts["session"]), 200, "code"), advice],
    ]


def _panic_on(facts: Facts) -> Message:
    by, what = str(facts["by"]), _scope(facts)
    ended = _counted(facts["ended"], "grant")
    return message(
        f"Panic switch on for {what}, by {who_text(by)}.",
        paragraph(
            [bold("Panic switch on"), " for ", *_scope_parts(facts), ", by ", who(by), "."],
            [
                f"{ended} ended now. New access is blocked until ",
                code(resume_command(("role", str(facts["role"])), ("user", str(facts["person"])))),
                ".",
            ],
        ),
    )


def _panic_off(facts: Facts) -> Message:
    by = str(facts["by"])
    return message(
        f"Panic switch off for {_scope(facts)}, by {who_text(by)}.",
        paragraph(
            [bold("Panic switch off"), " for ", *_scope_parts(facts), ", by ", who(by), "."],
            ["People can ask again. Access that was ended stays ended."],
        ),
    )


def _clock_behind(facts: Facts) -> Message:
    behind = format_duration(int(str(facts["seconds"])))
    text = (
        f"The machine's clock was {behind} behind when the bot started. Time continues from"
        " the newest record, so access may end early. Set the clock, and turn NTP on."
    )
    return message(text, paragraph([text]))


def _writing_down(facts: Facts) -> Message:
    since = date(int(str(facts["since"])))
    return message(
        "Ends of access can't be recorded now: the database takes no writes, or not all. Access"
        " ends anyway.",
        paragraph(
            [bold("The database takes no writes"), " since ", since, ", or not all of them."],
            [
                "Access that is due ends anyway: the bot revokes it on its system now and records"
                " it afterwards."
            ],
            ["Requests, approvals and renewals may be refused until then."],
            [
                "Is the disk full? Is the database read-only, or locked? ",
                code("access-bot doctor"),
                " says more.",
            ],
        ),
    )


def _writing_back(facts: Facts) -> Message:
    since, ended = date(int(str(facts["since"]))), int(str(facts["ended"]))
    after = format_duration(max(1, int(str(facts["seconds"]))))
    done = f"{_counted(ended, 'revocation')} meanwhile; each record has its time."
    return message(
        f"The database takes writes again, after {after}.",
        paragraph(
            [bold("The database takes writes again"), f", after {after} (since ", since, ")."],
            [done if ended else "This process revoked nothing meanwhile."],
        ),
    )


def _clock_accepted(facts: Facts) -> Message:
    by, ahead = str(facts["by"]), format_duration(int(str(facts["seconds"])))
    ended, withdrawn = _counted(facts["ended"], "grant"), _counted(facts["withdrawn"], "request")
    return message(
        f"{who_text(by)} accepted the machine's clock; all access ends.",
        paragraph(
            [
                who(by),
                (
                    f" accepted the machine's clock, although the newest record was {ahead} ahead"
                    " of it."
                ),
            ],
            [
                f"{ended} ended, and {withdrawn} with a later time {_were(facts['withdrawn'])}"
                " withdrawn."
            ],
        ),
    )


def _api_token_created(facts: Facts) -> Message:
    by, owner, program = str(facts["by"]), str(facts["owner"]), str(facts["program"])
    roles = [str(role) for role in _list(facts["roles"])]
    return message(
        f"{who_text(by)} created an API token for the program {_name(program)}.",
        paragraph(
            [who(by), " created an API token for the program ", bold(program, 60), "."],
            [
                "It may ask for ",
                *listing(roles, 300),
                " in the name of ",
                who(owner),
                " until ",
                date(int(str(facts["until"]))),
                ", and decide nothing. ",
                code("access-bot api-tokens revoke"),
                " ends it.",
            ],
        ),
    )


def _copy_restored(facts: Facts) -> Message:
    by, ended = str(facts["by"]), _counted(facts["ended"], "grant")
    withdrawn = _counted(facts["withdrawn"], "request")
    return message(
        f"{who_text(by)} restored the database from an older copy; all access ends.",
        paragraph(
            [who(by), " restored the database from a copy of ", date(int(str(facts["at"]))), "."],
            [
                f"{ended} ended, and {withdrawn} {_were(facts['withdrawn'])} withdrawn, because"
                " they may have ended since. Pre-approvals, absences and API tokens ended, and"
                " onboardings are paused."
            ],
            [
                "Check what systems have with ",
                code("access-bot systems drift"),
                ", then allow new access with ",
                code("access-bot resume"),
                ".",
            ],
        ),
    )


def _were(count: object) -> str:
    return "was" if count == 1 else "were"


def _policy_outdated(facts: Facts) -> Message:
    host, file = _name(facts["host"]), _name(facts["file"])
    text = (
        f"{file} on {host}, or what it reads from the environment there, differs from what was"
        f" loaded last on another host. The bot on {host} decides and starts nothing until they"
        " are the same. Put the same file and environment on every host."
    )
    return message(text, paragraph([text]))


def _policy_rejected(facts: Facts) -> Message:
    lines = [str(each) for each in _list(facts["problems"])]
    count = int(str(facts["count"]))
    more = (
        [paragraph([f"and {count - len(lines)} more; access-bot check lists them all."])]
        if count > len(lines)
        else []
    )
    return message(
        f"The changed roles.toml has {_counted(count, 'problem')}; the last good one stays in"
        " force.",
        paragraph(
            [
                bold(f"The changed roles.toml has {_counted(count, 'problem')}"),
                "; the last good one stays in force.",
            ]
        ),
        *([rich(preformatted("\n".join(clean(line, 300) for line in lines)))] if lines else []),
        *more,
    )


def _policy_changed(facts: Facts) -> Message:
    looser, other = (
        [clean(str(each), 300) for each in _list(facts[key])] for key in ("looser", "other")
    )
    loosening, count = int(str(facts["loosening"])), int(str(facts["count"]))
    left = count - len(looser) - len(other)
    verdict = f"{loosening or 'none'} looser than before"
    return message(
        f"roles.toml was changed: {_counted(count, 'change')}, {verdict}.",
        paragraph(
            [
                bold("roles.toml was changed"),
                f": {_counted(count, 'change')}, {verdict}. It is in force now.",
            ]
        ),
        *(
            [rich(section("Looser than before:"), preformatted("\n".join(looser)))]
            if looser
            else []
        ),
        *([rich(section("Other changes:"), preformatted("\n".join(other)))] if other else []),
        *([paragraph([f"and {left} more, in the audit log."])] if left else []),
    )


def _log_broken(facts: Facts) -> Message:
    return message(
        f"The audit log was changed behind the bot: see its record {_name(facts['seq'])}.",
        paragraph(
            [
                bold("The audit log was changed behind the bot"),
                "; its record ",
                code(str(facts["seq"])),
                " says so.",
            ],
            ["Found: ", typed(str(facts["why"]), 300), "."],
            [
                (
                    "Access continues and ends as planned. Treat it as an incident: keep a copy of"
                    " the database, and compare the log with exports. "
                ),
                code("access-bot audit verify"),
                " reports it from now on.",
            ],
        ),
    )


def _head_anchored(facts: Facts) -> Message:
    anchor = Anchor(int(str(facts["seq"])), str(facts["hash"]), int(str(facts["at"])))
    line = anchor_line(anchor)
    return message(
        f"Anchor of the audit log: {line}",
        paragraph(
            [bold("Anchor of the audit log"), f": record {anchor.seq:,}."],
            [
                code("access-bot audit verify"),
                " compares the log with its anchors. Keep this line: it shows later whether the"
                " log, or the whole database, was put back.",
            ],
        ),
        rich(preformatted(line)),
    )


def _checkup_changed(facts: Facts) -> Message:
    new, solved = _texts(facts["new"]), _texts(facts["solved"])
    numbers = f"{len(new)} new, {len(solved)} solved, {facts['open']} open"
    return message(
        f"Nightly check of this installation: {numbers}.",
        paragraph(
            [bold("Nightly check of this installation"), f": {numbers}."],
            *_some("New: ", new),
            *_some("Solved: ", solved),
            [code("access-bot doctor"), " shows everything that it checks."],
        ),
    )


MOST_PROBLEMS = 10


def _some(title: str, problems: Sequence[str]) -> list[Sequence[Part]]:
    """The first problems, each on its line, and the number of the others."""
    lines: list[Sequence[Part]] = [
        [title, *spoken(_as_sentence(problem), 250)] for problem in problems[:MOST_PROBLEMS]
    ]
    left = len(problems) - MOST_PROBLEMS
    return [*lines, [f"{title}{left} more."]] if left > 0 else lines


def _as_sentence(problem: str) -> str:
    """A line of `access-bot doctor` without the column of its state."""
    state, _, text = problem.partition(" ")
    return f"{text.strip()} (warning)" if state == "warn" else text.strip()


def _texts(found: object) -> list[str]:
    return [str(each) for each in found] if isinstance(found, list) else []


def _channel_moved(facts: Facts) -> Message:
    name, was, now = str(facts["name"]), str(facts["was"]), str(facts["now"])
    return message(
        f"{_name(name)} is another channel now, and messages go there.",
        paragraph(
            [bold(name, 100), " is another channel now: ", place(now), " (", code(now), ")."],
            ["Messages went to ", place(was), " (", code(was), ") before. Is that intended?"],
            ["To stay with one channel under any name, write its id in roles.toml."],
        ),
    )


def _channel_lost(facts: Facts) -> Message:
    name, was = str(facts["name"]), str(facts["was"])
    return message(
        f"I can no longer see the channel {_name(name)}.",
        paragraph(
            [bold("A channel is missing"), ": I can no longer see ", bold(name, 100), "."],
            [
                "It was ",
                place(was),
                " (",
                code(was),
                "). It was renamed or deleted, or is private and I am not in it.",
            ],
            ["Invite the bot there, or correct the channel in roles.toml."],
        ),
    )


_CHANNEL_HINTS: Mapping[str, str] = {
    "is_archived": "Unarchive it, or name another channel in roles.toml.",
    "not_in_channel": "Invite the bot there.",
    "channel_not_found": (
        "Create it, invite the bot there if it is private, or correct the channel in roles.toml."
        " Without the scope groups:read, a private channel has to be named by its id."
    ),
    "missing_scope": "Add the scope to the app and install it again; access-bot doctor names it.",
}
_PERSON_HINTS: Mapping[str, str] = {
    "messages_tab_disabled": (
        "Every direct message fails: turn on the Messages Tab under App Home in the app's settings."
    ),
    "missing_scope": _CHANNEL_HINTS["missing_scope"],
}


def _hint(to: str, code: str) -> str:
    if is_slack_id(to):
        return _PERSON_HINTS.get(code, f"They find it in App Home and with {slash()} list.")
    return _CHANNEL_HINTS.get(code, "access-bot doctor says what is wrong with it.")


def _undelivered(facts: Facts) -> Message:
    to, kind = str(facts["to"]), str(facts["kind"]).replace("_", " ")
    return message(
        f"A message to {who_text(to)} can't be delivered.",
        paragraph(
            [bold("A message can't be delivered"), " to ", place(to), " (", typed(kind), ")."],
            [_hint(to, str(facts["error"]).partition(" ")[0])],
        ),
        _error(facts["error"]),
    )


def _error(error: object) -> Block:
    return rich(section("Error:"), preformatted(str(error), ERROR_ROOM))


def _review_open(facts: Facts) -> Message:
    role, person = str(facts["role"]), str(facts["person"])
    leads = [str(each) for each in _list(facts["leads"])]
    pinged = [f"<!subteam^{ref}>" if ref.startswith("S") else f"<@{ref}>" for ref in leads]
    return message(
        f"The review of the emergency of {who_text(person)} is still open.",
        paragraph(
            [
                bold("A review is still open"),
                ": ",
                who(person),
                " took ",
                code(role),
                " in an emergency ",
                date(int(str(facts["started_at"]))),
                ".",
            ],
            [
                "A lead who is not the user signs it: the message about it in this channel and App"
                " Home have the button ",
                bold("Sign review"),
                ".",
            ],
        ),
        *mentions(pinged, "please sign it."),
    )


def _campaign_started(facts: Facts) -> Message:
    items, people = _counted(facts["items"], "item"), int(str(facts["people"]))
    asked = "1 person decides" if people == 1 else f"{people} people decide"
    return message(
        f"A review of access has started: {items}.",
        paragraph(
            [bold(f"The review of {facts['scope']} has started"), f": {items}."],
            [f"{asked} on them until ", date(int(str(facts["due_at"]))), "."],
        ),
    )


def _campaign_closed(facts: Facts) -> Message:
    return message(
        f"A review of access is closed; {_counted(facts['ending'], 'item')} still to end.",
        paragraph(
            [bold(f"The review of {facts['scope']} is closed"), ": ", _outcome(facts)],
            *_unanswered(facts),
            _undone(facts),
        ),
    )


def _campaign_undone(facts: Facts) -> Message:
    return message(
        f"A review of access is not finished: {_counted(facts['undone'], 'item')} still there.",
        paragraph(
            [
                bold(f"The review of {facts['scope']} is not finished"),
                f": {facts['undone']} to end and still there.",
            ],
            _undone(facts),
        ),
    )


def _campaign_finished(facts: Facts) -> Message:
    return message(
        "A review of access is finished: everything that was to end has ended.",
        paragraph(
            [
                *(bold(f"The review of {facts['scope']} is finished"), ": "),
                _outcome(facts),
            ],
            *_unanswered(facts),
            ["The report: ", code(f"access-bot reviews show {facts['campaign']} --csv"), "."],
        ),
    )


def _outcome(facts: Facts) -> str:
    named = {
        "kept": "kept",
        "ended": "ended",
        "ending": "to end and still there",
        "gone": "over before anybody decided",
    }
    return ", ".join(f"{facts[key]} {words}" for key, words in named.items() if facts[key]) + "."


def _unanswered(facts: Facts) -> list[list[Part]]:
    kept, ended = int(str(facts["unanswered_kept"])), int(str(facts["unanswered_ended"]))
    if not kept and not ended:
        return []
    words = f"Without an answer by the due date: {kept + ended}"
    return [[f"{words}. As the roles say, kept: {kept}, to end: {ended}."]]


def _undone(facts: Facts) -> list[Part]:
    command = f"access-bot reviews show {facts['campaign']} --undone"
    return [code(command), " lists them. ", code(f"{slash()} review list"), _LINES]


_LINES = " has the lines of roles.toml to change."


def _list(value: object) -> list[object]:
    return [*value] if isinstance(value, list | tuple) else []


def _name(value: object) -> str:
    return escape(clean(str(value), 75))


def _counted(count: object, what: str) -> str:
    return counted(int(str(count)), what)


def _scope_parts(facts: Facts) -> list[Part]:
    role, person = str(facts["role"]), str(facts["person"])
    of_role: list[Part] = ["the role ", code(role)] if role else []
    of_person: list[Part] = [who(person)] if person else []
    return [*of_role, *([" and "] if role and person else []), *of_person] or ["all access"]


def _scope(facts: Facts) -> str:
    role, person = str(facts["role"]), str(facts["person"])
    named = [f"the role {_name(role)}"] * bool(role) + [who_text(person)] * bool(person)
    return " and ".join(named) or "all access"


_NOTES: Mapping[str, Callable[[Facts], Message]] = {
    "nobody_can_decide": _nobody_can_decide,
    "groups_unread": _groups_unread,
    "calendar_unread": _calendar_unread,
    "stream_late": _stream_late,
    "stream_resumed": _stream_resumed,
    "reference_moved": _reference_moved,
    "groups_changed": _groups_changed,
    "start_failed": _start_failed,
    "unextended": _unextended,
    "end_confirmed": _end_confirmed,
    "missing": _missing,
    "reconciled": _reconciled,
    "use_after_end": _use_after_end,
    "panic_on": _panic_on,
    "panic_off": _panic_off,
    "policy_outdated": _policy_outdated,
    "policy_rejected": _policy_rejected,
    "policy_changed": _policy_changed,
    "clock_behind": _clock_behind,
    "writing_down": _writing_down,
    "writing_back": _writing_back,
    "clock_accepted": _clock_accepted,
    "copy_restored": _copy_restored,
    "api_token_created": _api_token_created,
    "undelivered": _undelivered,
    "channel_moved": _channel_moved,
    "channel_lost": _channel_lost,
    "log_broken": _log_broken,
    "head_anchored": _head_anchored,
    "checkup_changed": _checkup_changed,
    "review_open": _review_open,
    "campaign_started": _campaign_started,
    "campaign_closed": _campaign_closed,
    "campaign_undone": _campaign_undone,
    "campaign_finished": _campaign_finished,
}
