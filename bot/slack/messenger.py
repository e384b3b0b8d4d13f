"""Sends outbox messages to Slack: reads the rows as they are now, renders them, posts or updates.

Retries and order are the business of the worker.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from slack_sdk import WebClient

from bot.core.approval import Refused
from bot.core.digest import Report
from bot.core.effects import Kind
from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from bot.core.model import HELD, EndReason, GrantState, RequestState
from bot.core.weekly import Period
from bot.operations._unit_of_work import Context
from bot.operations.audit.read_audit import export_csv, filters_from, may_audit
from bot.operations.claim_work import Work
from bot.operations.digest.describe_digest import describe_digest
from bot.operations.digest.describe_right_sizing import describe_right_sizing
from bot.operations.digest.send_due_digest import record_digest_sent, record_right_sizing_sent
from bot.operations.flags.describe_flags import (
    describe_flag,
    flag_messages,
    record_flag_posted,
)
from bot.operations.grants.describe_grant import GrantView, describe_grant
from bot.operations.messages.direct_notes import (
    LASTING,
    REMINDER,
    DirectNote,
    ShownNote,
    describe_notes,
    record_notes,
    record_shown,
)
from bot.operations.messages.keep_channels import refresh_done
from bot.operations.messages.lost_copies import CLOSED, record_closed
from bot.operations.messages.private_answers import (
    REVOKE,
    AnswerView,
    describe_answer,
    drop_answer,
    record_changed,
)
from bot.operations.messages.record_posted import (
    reader_of,
    record_leads_notified,
    record_posted,
    record_reminded,
)
from bot.operations.onboarding.describe_ramp import (
    RampMessage,
    describe_graduation,
    describe_ramp,
    find_ramp_note,
    record_ramp_note,
)
from bot.operations.onboarding.suggest import suggested_now
from bot.operations.people.describe_person import describe_home, describe_person
from bot.operations.preapprovals.describe_preapprovals import get_preapproval
from bot.operations.requests.describe_request import RequestCard, describe_request
from bot.operations.reviews.waiting import find_campaign, record_review_note, waits_for
from bot.operations.systems.describe_alerts import (
    AlertView,
    alerts_in,
    describe_alerts,
    record_alert_posted,
)
from bot.operations.systems.reconcile import read_findings
from bot.slack import pages
from bot.slack.api import LOCKED_OUT, Caller, sorted_errors
from bot.slack.audit_query import page
from bot.slack.channels import GONE, Channels
from bot.slack.response_urls import is_slacks, replace_answer
from bot.slack.views import (
    answers,
    approval_message,
    credentials_modal,
    deciders,
    digest_message,
    direct_messages,
    emergency_message,
    end_alert,
    findings,
    flag_message,
    home,
    lists,
    onboarding_notes,
    preapproval_parts,
    review_notes,
    revoke_confirm,
    right_sizing_message,
    security_notes,
    thread_notes,
)

Data = Mapping[str, Any]
Message = dict[str, Any]

_OF_GRANTS = frozenset({"access", "revoke"})
"""Lists with buttons that are over when a grant is."""

_POSTED = frozenset({RequestState.PENDING, RequestState.APPROVED})
"""States of a request in which its first message is posted."""


class Messenger:
    """One method for each kind of message, which sends it and records the result.

    `client` must not retry. Every method raises SystemUnavailable, OutcomeUnknown or SystemRefused,
    and StorageUnavailable.
    """

    def __init__(self, client: WebClient, world: Context) -> None:
        self._client, self._world = client, world
        self._call = Caller(client)
        self._channels = Channels(client, self._call, world)

    def expect_answers(self) -> None:
        """Raises SystemUnavailable while Slack answers no post. A message that got no answer is
        sent only once more, so it waits until Slack answers."""
        try:
            self._call("chat.postMessage", channel="NOWHERE", text="")
        except OutcomeUnknown as error:
            raise SystemUnavailable(str(error)) from error
        except SystemRefused as refused:
            # An empty post to no channel: a refusal shows that Slack answers.
            if refused.code in LOCKED_OUT:
                raise

    def post(self, channel: str, message: Message, **arguments: Any) -> dict[str, Any]:
        """Posts to a channel (id or `#name`) or a person (id); nothing in it is unfurled or parsed
        further."""
        return self._channels.reach(
            channel,
            "chat.postMessage",
            **message,
            unfurl_links=False,
            unfurl_media=False,
            **arguments,
        )

    def refresh_channels(self, work: Work) -> None:
        work.finish(refresh_done, self._channels.refresh())

    def post_approval(self, work: Work) -> None:
        """A request that was over before its first post is not posted. An approved one is: the
        channel sees all access that was given."""
        card, channel = self._card(work.data), work.data["channel"]
        if card is None or (card.request.state not in _POSTED and not card.copies):
            return
        answer, request = self.post(channel, self._approval(card, channel)), card.request
        reader = channel if channel != answer["channel"] else ""
        posted = (request.id, answer["channel"], answer["ts"], request.state)
        work.finish(record_posted, *posted, reader)

    def update_approval(self, work: Work) -> None:
        """Updates every copy. One that was deleted, or can't be reached, is skipped."""
        card = self._card(work.data)
        if card is None:
            return
        refusals: list[SystemRefused] = []
        closed: list[str] = []
        for channel, ts in card.copies:
            try:
                if self._show(channel, ts, self._approval(card, channel)) in CLOSED:
                    closed.append(channel)
            except SystemRefused as refused:  # the other copies must be updated anyway
                refusals.append(refused)
        if refusals:
            raise refusals[0]
        if closed:
            work.finish(record_closed, closed)

    def _approval(self, card: RequestCard, channel: str) -> Message:
        """A copy in a direct message mentions nobody else and says why it is there."""
        is_direct = channel[:1] in ("U", "W", "D")
        mentions = () if is_direct else _mentions(card)
        if card.request.urgency:
            return emergency_message.render(card, self._world.now(), mentions)
        message = approval_message.render(card, self._world.now(), mentions)
        if is_direct and card.request.state is RequestState.PENDING:
            reader = reader_of(self._world, channel)
            message["blocks"].insert(0, deciders.asked_directly(card, reader))
        return message

    def _show(self, channel: str, ts: str, message: Message) -> str:
        """Replaces a posted message if it still exists; returns Slack's error if not."""
        try:
            self._call("chat.update", channel=channel, ts=ts, **message)
        except SystemRefused as refused:
            if refused.code not in ("message_not_found", *GONE):
                raise
            return refused.code
        return ""

    def ping(self, work: Work) -> None:
        """Mentions those who may decide, unless that was done meanwhile."""
        card, channel = self._card(work.data), work.data["channel"]
        if card is None or card.request.state is not RequestState.PENDING:
            return
        pinged = () if channel.startswith("D") else _mentions(card)
        message = deciders.ping(card, work.data["why"], pinged)
        try:
            self.post(channel, message, thread_ts=work.data["ts"])
        except SystemRefused as refused:
            if refused.code not in ("thread_not_found", "message_not_found", *GONE):
                raise

    def thread_notes(self, work: Work) -> None:
        """A single note goes into its request's thread; several at once become one message in their
        channel."""
        data = [row.data for row in work.rows]
        notes = [(d["note"], d, card) for d in data if (card := self._card(d)) is not None]
        if len(notes) > 1:
            self.post(work.data["channel"], thread_notes.digest(notes))
        elif notes and not _as_announced(*notes[0]):
            self._in_thread(*notes[0])

    def _in_thread(self, note: str, data: Data, card: RequestCard) -> None:
        """Posts under the first copy that still exists in a channel; without one there is no
        thread."""
        gone: SystemRefused | None = None
        for channel, ts in (each for each in card.copies if not each[0].startswith("D")):
            try:
                self.post(channel, thread_notes.render(note, data, card), thread_ts=ts)
                return
            except SystemRefused as refused:
                if refused.code not in ("thread_not_found", "message_not_found", *GONE):
                    raise
                gone = refused if refused.code in GONE else gone
        if gone is not None:
            raise gone

    def notify_person(self, work: Work) -> None:
        """Notes and reminders for one person, except those that are no longer true."""
        current = [
            (row.kind, row.data, message)
            for row in work.rows
            if (message := self._direct(row.kind, row.data)) is not None
        ]
        if not current:
            return
        notes = _notes([(kind, data) for kind, data, _ in current], self._world.now())
        messages = [
            self._one_note(note, message)
            for note, (_, _, message) in zip(notes, current, strict=True)
        ]
        answer = self.post(work.data["person"], direct_messages.join(messages))
        posted = [replace(note, channel=answer["channel"], ts=answer["ts"]) for note in notes]
        reminded = [data["grant"] for kind, data, _ in current if kind is Kind.REMIND]
        work.finish(_record_notes, posted, reminded)

    def _one_note(self, note: DirectNote, message: Message) -> Message:
        """A note that a later note of the same message supersedes is shown as past."""
        overtaken = note.past and note.note not in LASTING
        view = describe_grant(self._world, note.grant) if overtaken and note.grant else None
        return direct_messages.past_note(note.note, note.at, view) if view else message

    def update_direct(self, work: Work) -> None:
        """Removes the buttons of past notes, and shows the others as they are now."""
        channel, ts = work.data["channel"], work.data["ts"]
        sent = describe_notes(self._world, channel, ts)
        if not sent:
            return
        self._show(channel, ts, direct_messages.join([self._as_now(each) for each in sent]))
        past = [each.note.place for each in sent if each.past]
        work.finish(record_shown, channel, ts, past)

    def _as_now(self, sent: ShownNote) -> Message:
        note, now = sent.note, self._world.now()
        if sent.request is not None:
            if sent.past and note.note not in LASTING:
                return direct_messages.past_request_note(sent.request)
            return direct_messages.request_note(note.note, sent.request, now)
        if sent.grant is None:
            return answers.text("This is about access that is no longer on record.")
        if sent.past and note.note not in LASTING:
            return direct_messages.past_note(note.note, note.at, sent.grant)
        if note.note == REMINDER:
            return direct_messages.reminder(sent.grant, now)
        return direct_messages.grant_note(
            note.note, replace(sent.grant, why=note.why, until=note.until), now
        )

    def _direct(self, kind: Kind, data: Data) -> Message | None:
        now = self._world.now()
        if "request" in data:
            card = self._card(data)
            return direct_messages.request_note(data["note"], card, now) if card else None
        view = describe_grant(self._world, data["grant"])
        if view is None:
            return None
        if kind is Kind.REMIND:
            due = view.grant.state is GrantState.ACTIVE and view.grant.ends_at > now
            return direct_messages.reminder(view, now) if due else None
        if _overtaken(data["note"], view):
            return None
        view = replace(view, why=data.get("why", ""), until=data.get("until", 0))
        return direct_messages.grant_note(data["note"], view, now)

    def notify_security(self, work: Work) -> None:
        notes = [row.data for row in work.rows]
        messages = [security_notes.render(data["note"], data) for data in notes]
        self.post(work.data["channel"], direct_messages.join(messages))
        if sent := [(str(d["note"]), str(d["grant"])) for d in notes if "grant" in d]:
            work.finish(record_leads_notified, sent)

    def alerts(self, work: Work) -> None:
        """Alerts about unconfirmed ends, except those that were confirmed or acknowledged
        meanwhile."""
        pairs = list(dict.fromkeys((row.data["grant"], row.data["system"]) for row in work.rows))
        views = [
            view for view in describe_alerts(self._world, pairs) if view.alert.next_at is not None
        ]
        if not views:
            return
        answer = self.post(work.data["channel"], end_alert.render(views))
        work.finish(_record_alert_posted, answer["channel"], answer["ts"], views)

    def update_alert(self, work: Work) -> None:
        channel, ts = work.data["channel"], work.data["ts"]
        if views := alerts_in(self._world, channel, ts):
            self._show(channel, ts, end_alert.render(views))

    def post_flag(self, work: Work) -> None:
        """A flag that became part of another one before its first post is not posted."""
        view = describe_flag(self._world, work.data["flag"])
        if view is None or view.flag.joined:
            return
        answer = self.post(work.data["channel"], flag_message.render(view))
        work.finish(record_flag_posted, view.flag.id, answer["channel"], answer["ts"], view)

    def update_flag(self, work: Work) -> None:
        view = describe_flag(self._world, work.data["flag"])
        if view is not None:
            for channel, ts in flag_messages(self._world, view.flag.id):
                self._show(channel, ts, flag_message.render(view))

    def flag_thread(self, work: Work) -> None:
        view = describe_flag(self._world, work.data["flag"])
        if view is not None:
            message = flag_message.investigated(view)
            self.post(work.data["channel"], message, thread_ts=work.data["ts"])

    def answer(self, work: Work) -> None:
        self._answer(work.data)

    def _answer(self, data: Data) -> None:
        """Only for the person, in the channel where they pressed, or by direct message if that
        fails."""
        message = self._private(data)
        if data["channel"][:1] in ("C", "G"):
            try:
                self._call(
                    "chat.postEphemeral", channel=data["channel"], user=data["person"], **message
                )
                return
            except SystemRefused:
                # Not a member there, or the channel is gone: the reply must not be lost.
                pass
        self.post(data["person"], message)

    def _private(self, data: Data) -> Message:
        """Reads a page of the log, of a list or of findings now, and checks the reader's authority
        now."""
        if data["note"] == "audit_page":
            return page(self._world, data["person"], filters_from(data["filters"]), data["before"])
        if data["note"] == "page":
            page_now = pages.page(self._world, data["person"], data["page"])
            return (
                answers.unchanging(page_now, self._world.now())
                if data["page"]["list"] in _OF_GRANTS
                else page_now
            )
        if data["note"] == "findings":
            found = read_findings(self._world, data["person"])
            if isinstance(found, Refused):
                return answers.refused(found.reason)
            return findings.render(found, data["asked"], data["unasked"])
        if data["note"] == "preapproval_given":
            return preapproval_parts.to_receiver(get_preapproval(self._world, data["preapproval"]))
        if data["note"] == "preapproval_taken":
            return preapproval_parts.ended(data)
        card = self._card(data) if "request" in data else None
        return answers.render(data["note"], data, card, self._world.now())

    def update_answer(self, work: Work) -> None:
        """Sends nothing while the reply is up to date, because Slack allows five changes."""
        view = describe_answer(self._world, work.data["answer"])
        if view is None or not is_slacks(view.answer.url, self._client.base_url):
            return work.finish(drop_answer, work.data["answer"])
        if view.shown == view.answer.shown:
            return None
        try:
            replace_answer(view.answer.url, self._answer_now(view))
        except SystemRefused:  # it was dismissed, or is too old
            return work.finish(drop_answer, view.answer.id)
        return work.finish(record_changed, view)

    def clear_window(self, work: Work) -> None:
        """Skips a reply that was closed."""
        try:
            self._call("views.update", view_id=work.data["window"], view=credentials_modal.over())
        except SystemRefused as refused:
            if refused.code in LOCKED_OUT:
                raise

    def _answer_now(self, view: AnswerView) -> Message:
        now, about = self._world.now(), view.answer
        if view.request is not None:
            return answers.request_now(view.request, now)
        if view.grant is not None:
            message = answers.grant_now(view.grant, now)
        elif view.person is not None and about.kind == REVOKE:
            message = revoke_confirm.render(view.person.held, about.about, now, view.person.titles)
        else:
            message = lists.my_access(
                view.person or describe_person(self._world, about.person), now
            )
        return answers.last_change(message) if view.is_last else message

    def publish_home(self, work: Work) -> None:
        data = work.data
        section, skip = data.get("section", ""), data.get("skip", 0)
        person = describe_home(
            self._world, data["person"], skip if section == home.EVERYTHING else 0
        )
        view = home.render(person, self._world.now(), section, skip)
        self._call("views.publish", user_id=data["person"], view=view)

    def ramp_note(self, work: Work) -> None:
        """A note about an onboarding, for one person; one with buttons is kept up to date."""
        person, name, number = work.data["person"], work.data["note"], work.data["number"]
        message = self._ramp_message(work.data["ramp"], name, number, person)
        if message is None:
            return
        answer = self.post(person, message)
        if name in onboarding_notes.KEPT:
            place = (answer["channel"], answer["ts"], work.data["ramp"], person, name, number)
            work.finish(record_ramp_note, RampMessage(*place))

    def _ramp_message(self, ramp: str, name: str, number: int, person: str) -> Message | None:
        if name == "graduation":
            found = describe_graduation(self._world, ramp)
            return onboarding_notes.graduation(found) if found else None
        view = describe_ramp(self._world, ramp)
        return onboarding_notes.note(name, view, number, person) if view else None

    def update_ramp_note(self, work: Work) -> None:
        channel, ts = work.data["channel"], work.data["ts"]
        shown = find_ramp_note(self._world, channel, ts)
        message = shown and self._ramp_message(shown.ramp, shown.note, shown.number, shown.person)
        if message:
            self._show(channel, ts, message)

    def suggest_bundle(self, work: Work) -> None:
        """Offers an onboarding, unless the bundle is gone or the person has an onboarding by
        now."""
        newcomer = work.data["newcomer"]
        bundle = suggested_now(self._world, newcomer, work.data["bundle"])
        if bundle is not None:
            self.post(work.data["person"], onboarding_notes.suggestion(newcomer, bundle))

    def send_digest(self, work: Work) -> None:
        """A report about a period, with the numbers as they are on record now."""
        to, period = work.data["channel"], Period(work.data["since"], work.data["until"])
        if work.data["report"] == Report.RIGHT_SIZING:
            found = describe_right_sizing(self._world, period.until)
            self.post(to, right_sizing_message.render(found))
            return work.finish(record_right_sizing_sent, to, found)
        view = describe_digest(self._world, period)
        self.post(to, digest_message.render(view))
        return work.finish(record_digest_sent, to, view.digest)

    def review_note(self, work: Work) -> None:
        """Asks a person to decide in a review, unless nothing waits for them now."""
        person, campaign_id = work.data["person"], work.data["campaign"]
        found = waits_for(self._world, person, campaign_id)
        if found is not None and found[1]:
            is_reminder = work.data["note"] == "reminder"
            answer = self.post(person, review_notes.note(found[0], is_reminder))
            work.finish(record_review_note, answer["channel"], answer["ts"], campaign_id)

    def update_review_note(self, work: Work) -> None:
        campaign = find_campaign(self._world, work.data["campaign"])
        if campaign is not None:
            message = review_notes.note(campaign, is_reminder=False)
            self._show(work.data["channel"], work.data["ts"], message)

    def send_export(self, work: Work) -> None:
        """Writes to a file first, because the log may be larger than memory. The reader's authority
        is checked now, because it may be long after the command."""
        person, filters = work.data["person"], work.data["filters"]
        if (refused := may_audit(self._world, person)) is not None:
            why = {"note": "refused", "why": refused.reason}
            return self._answer({"person": person, "channel": "", **why})
        pieces = export_csv(self._world, person, filters_from(filters))
        channel = self._call("conversations.open", users=person)["channel"]["id"]
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:
            file.writelines(pieces)
            file.flush()
            try:
                upload(self._client, file.name, "access-audit.csv", channel)
            except SystemRefused as error:
                if error.code != "missing_scope":
                    raise
                why = {"note": "refused", "why": NO_FILES}
                return self._answer({"person": person, "channel": "", **why})
        return None

    def answer_text(self, work: Work, text: str) -> None:
        self._answer({**work.data, "note": "text", "text": text})

    def _card(self, data: Data) -> RequestCard | None:
        return describe_request(self._world, data["request"])


NO_FILES = (
    "The app may not send files: it was installed without the scope files:write. Run"
    " `access-bot audit export` on the command line, or install the app again with that scope."
)


def upload(client: WebClient, path: str, name: str, channel: str) -> None:
    """Sends a file in Slack's three steps (https://docs.slack.dev/messaging/working-with-files)."""
    with sorted_errors("files.completeUploadExternal"):
        client.files_upload_v2(file=path, filename=name, title=name, channel=channel)


def _overtaken(note: str, view: GrantView) -> bool:
    """Whether a note is obsolete, because the access is over and another note says that."""
    if note == "end_delayed":
        return view.grant.state is not GrantState.ENDING
    return note not in ("failed", "not_started", "ended") and view.grant.state not in HELD


def _as_announced(note: str, data: Data, card: RequestCard) -> bool:
    """An end at the announced time is shown only in the approval message, which is updated."""
    return note == "ended" and data.get("why") == EndReason.EXPIRED and bool(card.copies)


def _notes(work: Sequence[tuple[Kind, Data]], now: int) -> list[DirectNote]:
    """The content of a direct message, before it is posted."""
    last = {data["grant"]: place for place, (_, data) in enumerate(work) if "grant" in data}
    notes = []
    for place, (kind, data) in enumerate(work):
        grant, note = data.get("grant", ""), REMINDER if kind is Kind.REMIND else data["note"]
        past = note in LASTING or (grant != "" and last[grant] > place)
        more = (data.get("why", ""), data.get("until", 0))
        notes.append(
            DirectNote("", "", place, grant, data.get("request", ""), note, now, past, *more)
        )
    return notes


def _record_notes(world: Context, notes: Sequence[DirectNote], reminded: Sequence[str]) -> None:
    record_notes(world, notes)
    for grant in reminded:
        record_reminded(world, grant)


def _record_alert_posted(world: Context, channel: str, ts: str, views: Sequence[AlertView]) -> None:
    record_alert_posted(world, channel, ts, views)
    record_leads_notified(world, [("alert", view.grant.id) for view in views])


def _mentions(card: RequestCard) -> tuple[str, ...]:
    return tuple(f"<!subteam^{ref}>" if ref.startswith("S") else f"<@{ref}>" for ref in card.notify)
