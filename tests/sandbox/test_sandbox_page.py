"""The page's server side: who may call it, what each person sees and does, and the live updates."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from queue import Queue
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from slack_bolt import App
from slack_sdk import WebClient

from bot.sandbox import Sandbox
from bot.sandbox.checks import Json
from bot.sandbox.http_client import SandboxError
from bot.sandbox.page.files import known

GENERAL, APPROVALS, SECURITY = "C0GENERAL", "C0APPROVAL", "G0SECURITY"
OURS = {"Content-Type": "application/json", "X-Sandbox-Page": "1"}
BUTTON: Json = {
    "type": "actions",
    "block_id": "b",
    "elements": [
        {
            "type": "button",
            "action_id": "go",
            "value": "7",
            "text": {"type": "plain_text", "text": "Go"},
        }
    ],
}
FORM: Json = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "A form"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Why"},
            "element": {"type": "plain_text_input", "action_id": "why"},
        },
        {
            "type": "input",
            "block_id": "when",
            "optional": True,
            "label": {"type": "plain_text", "text": "When"},
            "element": {"type": "datetimepicker", "action_id": "when"},
        },
    ],
}


class Window:
    """A browser's window, used by a person."""

    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self.sandbox, self.name = sandbox, name

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request, as a browser would send it; `Host` and `Origin` may be forged."""
        with closing(
            http.client.HTTPConnection(urlsplit(self.sandbox.base_url).netloc, timeout=10)
        ) as line:
            line.request(method, path, body, headers)
            answer = line.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()

    def look(self, what: str, **query: Any) -> Any:
        """The state that the page would show. Raises SandboxError."""
        _, _, body = self.ask("GET", f"/page/{what}?{urlencode({'as': self.name, **query})}")
        return self._result(what, body)

    def do(self, verb: str, **asked: Any) -> Any:
        """A person's action on the page. Raises SandboxError."""
        _, _, body = self.ask("POST", f"/page/do/{verb}?as={self.name}", json.dumps(asked), **OURS)
        return self._result(verb, body)

    @staticmethod
    def _result(what: str, body: bytes) -> Any:
        answer = json.loads(body)
        if not answer["ok"]:
            raise SandboxError(what, answer)
        return answer["result"]

    @contextmanager
    def listening(self, last: str = "") -> Iterator[Callable[[], tuple[str, str, Json]]]:
        """The stream of live updates; the function returns the next (id, event, data)."""
        line = http.client.HTTPConnection(urlsplit(self.sandbox.base_url).netloc, timeout=20)
        line.request("GET", f"/page/events?{urlencode({'as': self.name, 'last': last})}")
        answer = line.getresponse()
        got: Queue[tuple[str, str, Json]] = Queue()
        reader = threading.Thread(target=_read_events, args=(answer, got), daemon=True)
        reader.start()
        try:
            yield lambda: got.get(timeout=10)
        finally:
            line.sock.shutdown(2)
            reader.join(10)
            answer.close()
            line.close()


def _read_events(answer: http.client.HTTPResponse, got: Queue[tuple[str, str, Json]]) -> None:
    fields: dict[str, str] = {}
    try:
        for raw in answer:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                got.put((fields["id"], fields["event"], json.loads(fields.pop("data"))))
    except (OSError, ValueError, AttributeError):
        return


@pytest.fixture
def as_(sandbox: Sandbox) -> Callable[[str], Window]:
    """A window for any person."""
    return lambda name: Window(sandbox, name)


# --- the right to call it


@pytest.mark.parametrize(
    "path", ["/", "/page/begin?as=ana", "/page/events?as=ana", "/api/api.test", "/sandbox/info"]
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
    ],
    ids=str,
)
def test_a_name_that_points_at_loopback_opens_nothing(
    as_: Callable[[str], Window], path: str, headers: dict[str, str]
) -> None:
    assert as_("ana").ask("GET", path, **headers)[0] == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"]
)
@pytest.mark.parametrize("path", ["/page/do/say?as=ana", "/sandbox/say", "/api/chat.postMessage"])
def test_another_sites_page_can_change_nothing(
    as_: Callable[[str], Window], path: str, origin: str
) -> None:
    body = json.dumps({"user": "U0ANASOUZA", "channel": GENERAL, "text": "hi"})
    assert as_("ana").ask("POST", path, body, **OURS, Origin=origin)[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"X-Sandbox-Page": "1", "Content-Type": "text/plain"},
        {**OURS, "Sec-Fetch-Site": "cross-site"},
    ],
    ids=["without the page's header", "as a form could send it", "across sites"],
)
def test_an_action_needs_our_own_page(
    as_: Callable[[str], Window], headers: dict[str, str]
) -> None:
    body = json.dumps({"channel": GENERAL, "text": "hi"})
    assert as_("ana").ask("POST", "/page/do/say?as=ana", body, **headers)[0] == 403
    assert as_("ana").look("messages", channel=GENERAL)["messages"] == []


def test_the_page_may_run_nothing_but_its_own_files(as_: Callable[[str], Window]) -> None:
    status, headers, body = as_("ana").ask("GET", "/")
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert b"<script>" not in body and b"style=" not in body and b"onclick" not in body


def test_every_file_of_the_page_is_served_and_nothing_beside_it(
    as_: Callable[[str], Window],
) -> None:
    ana = as_("ana")
    for name in known():
        status, headers, body = ana.ask("GET", f"/static/{name}")
        assert (status, bool(body), headers["x-content-type-options"]) == (200, True, "nosniff"), (
            name
        )
    for name in ("..%2froutes.py", "routes.py", "../routes.py", "nothing.js", "%2e%2e/routes.py"):
        assert ana.ask("GET", f"/static/{name}")[0] == 404, name


def test_no_script_puts_text_in_as_markup() -> None:
    for name, path in known().items():
        if name.endswith(".js"):
            text = path.read_text()
            for bad in (
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
            ):
                assert bad not in text, f"{name}: {bad}"


def test_nothing_is_loaded_from_elsewhere() -> None:
    for name, path in known().items():
        assert not [
            word
            for word in ('src="http', 'href="http', "url(http", 'from "http')
            if word in path.read_text()
        ], name


# --- views of people


@pytest.mark.parametrize(
    ("name", "error"),
    [("nobody", "user_not_found"), ("jon", "account_inactive"), ("deploybot", "user_not_found")],
)
def test_the_switcher_offers_exactly_the_people_who_can_sign_in(
    as_: Callable[[str], Window], name: str, error: str
) -> None:
    with pytest.raises(SandboxError) as refused:
        as_(name).look("begin")
    assert refused.value.error == error


def test_a_person_sees_their_own_conversations(as_: Callable[[str], Window]) -> None:
    found = {one["id"]: one for one in as_("ana").look("begin")["channels"]}
    assert found[GENERAL]["member"]
    assert not found[APPROVALS]["member"]
    assert SECURITY not in found
    with pytest.raises(SandboxError, match="not_in_channel"):
        as_("ana").look("messages", channel=APPROVALS)
    with pytest.raises(SandboxError, match="channel_not_found"):
        as_("ana").look("messages", channel=SECURITY)


def test_unread_counts_what_others_wrote_and_knows_whom_it_calls(
    as_: Callable[[str], Window], client: WebClient
) -> None:
    client.chat_postMessage(channel=APPROVALS, text="just so")
    client.chat_postMessage(channel=APPROVALS, text="<!subteam^S0DBLEADS> please")
    client.chat_postMessage(channel="U0BENOKAFO", text="for you")
    ben, chiara = as_("ben"), as_("chiara")
    chiara.do("say", channel=APPROVALS, text="@ben?")
    found = ben.look("begin")
    assert found["unread"] == {
        APPROVALS: {"count": 3, "pings": 2},
        "D0BENOKAFO": {"count": 1, "pings": 1},
    }
    assert chiara.look("begin")["unread"] == {APPROVALS: {"count": 2, "pings": 0}}
    assert found["waiting"]["U0BENOKAFO"] == 3
    ben.do("read", channel=APPROVALS)
    assert ben.look("begin")["unread"] == {"D0BENOKAFO": {"count": 1, "pings": 1}}


def test_a_thousand_messages_come_in_pages_without_a_gap(
    as_: Callable[[str], Window], sandbox: Sandbox, client: WebClient
) -> None:
    for number in range(230):
        client.chat_postMessage(channel=APPROVALS, text=f"message {number}")
    ben, seen, before = as_("ben"), [], None
    while True:
        found = ben.look("messages", channel=APPROVALS, **({"before": before} if before else {}))
        seen = [message["text"] for message in found["messages"]] + seen
        if not found["more"]:
            break
        before = found["messages"][0]["ts"]
    assert seen == [f"message {number}" for number in range(230)]


def test_an_ephemeral_message_is_at_its_place(
    as_: Callable[[str], Window], client: WebClient
) -> None:
    client.chat_postMessage(channel=APPROVALS, text="one")
    client.chat_postEphemeral(channel=APPROVALS, user="U0BENOKAFO", text="psst")
    client.chat_postMessage(channel=APPROVALS, text="two")
    ben, chiara = as_("ben"), as_("chiara")
    found = ben.look("messages", channel=APPROVALS)["messages"]
    assert [message["text"] for message in found] == ["one", "psst", "two"]
    assert [
        message["text"] for message in chiara.look("messages", channel=APPROVALS)["messages"]
    ] == ["one", "two"]
    ben.do("dismiss", ts=found[1]["ts"])
    assert [message["text"] for message in ben.look("messages", channel=APPROVALS)["messages"]] == [
        "one",
        "two",
    ]


def test_replies_are_only_in_the_thread(as_: Callable[[str], Window]) -> None:
    ana, ben = as_("ana"), as_("ben")
    top = ana.do("say", channel=GENERAL, text="question")
    ben.do("say", channel=GENERAL, text="answer", thread_ts=top["ts"])
    assert [message["text"] for message in ana.look("messages", channel=GENERAL)["messages"]] == [
        "question"
    ]
    thread = ana.look("thread", channel=GENERAL, ts=top["ts"])["messages"]
    assert [message["text"] for message in thread] == ["question", "answer"]
    assert thread[0]["reply_count"] == 1


def test_an_attached_file_is_only_for_those_who_see_its_message(
    as_: Callable[[str], Window], client: WebClient
) -> None:
    client.conversations_open(users="U0ANASOUZA")
    client.files_upload_v2(channel="D0ANASOUZA", filename="log.csv", content="a,b\n<script>")
    (message,) = as_("ana").look("messages", channel="D0ANASOUZA")["messages"]
    address = f"/page/file/{message['files'][0]['id']}"
    status, headers, body = as_("ana").ask("GET", f"{address}?as=ana")
    assert (status, body) == (200, b"a,b\n<script>")
    assert headers["content-disposition"] == "attachment" and headers["content-type"].startswith(
        "text/plain"
    )
    assert as_("ben").ask("GET", f"{address}?as=ben")[0] == 400


# --- actions of people


def test_typed_text_is_escaped_and_names_become_mentions(as_: Callable[[str], Window]) -> None:
    said = as_("ana").do("say", channel=GENERAL, text="<!channel> @ben & <b>")
    assert said["text"] == "&lt;!channel&gt; <@U0BENOKAFO|ben> &amp; &lt;b&gt;"


def test_nobody_writes_in_a_channel_without_being_a_member(as_: Callable[[str], Window]) -> None:
    with pytest.raises(SandboxError, match="not_in_channel"):
        as_("ana").do("say", channel=APPROVALS, text="hi")
    with pytest.raises(SandboxError, match="not_in_channel"):
        as_("ana").do("command", channel=APPROVALS, text="/access")


def test_a_press_sends_the_shown_value_whatever_the_page_sends(
    as_: Callable[[str], Window], sandbox: Sandbox, client: WebClient, http_app: App
) -> None:
    pressed: Queue[Json] = Queue()

    @http_app.action("go")
    def go(ack: Callable[[], None], body: Json) -> None:
        ack()
        pressed.put(body)

    posted = client.chat_postMessage(channel=APPROVALS, text="x", blocks=[BUTTON])
    place = {"channel": APPROVALS, "ts": posted["ts"], "block_id": "b"}
    done = as_("ben").do("press", **place, action_id="go", value="forged")
    assert (done["outcome"], done["error"]) == ("acked", "")
    body = pressed.get(timeout=5)
    assert (body["actions"][0]["value"], body["user"]["id"]) == ("7", "U0BENOKAFO")
    with pytest.raises(SandboxError, match="action_not_found"):
        as_("ben").do("press", **place, action_id="other")
    with pytest.raises(SandboxError, match="not_in_channel"):
        as_("ana").do("press", **place, action_id="go")


def test_a_form_is_filled_in_the_readers_zone_and_its_errors_come_back(
    as_: Callable[[str], Window], sandbox: Sandbox, client: WebClient, http_app: App
) -> None:
    sent: Queue[Json] = Queue()

    @http_app.view("form")
    def form(ack: Callable[..., None], view: Json) -> None:
        sent.put(view["state"]["values"])
        ack(response_action="errors", errors={"why": "Not good enough"})

    ana = as_("ana")
    trigger = sandbox.call("trigger", user="U0ANASOUZA")
    client.views_open(trigger_id=trigger, view={**FORM, "callback_id": "form"})
    view = ana.look("begin")["modal"]
    blocked = ana.do(
        "submit", view_id=view["id"], values={"why": {"why": ""}, "when": {"when": None}}
    )
    assert blocked["blocked"] and blocked["errors"] == {
        "why": "Please complete this required field."
    }
    values = {"why": {"why": "because"}, "when": {"when": "2026-11-22T14:05"}}
    assert ana.do("submit", view_id=view["id"], values=values)["errors"] == {
        "why": "Not good enough"
    }
    state = sent.get(timeout=5)
    assert state["why"]["why"]["value"] == "because"
    # 17:05 UTC, three hours behind in São Paulo.
    assert state["when"]["when"]["selected_date_time"] == 1795367100
    with pytest.raises(SandboxError, match="view_not_found"):
        as_("ben").do("submit", view_id=view["id"], values={})
    ana.do("close", view_id=view["id"])
    assert ana.look("begin")["modal"] is None
    assert ana.do("close", view_id=view["id"]) == {"outcome": "closed"}


@pytest.mark.parametrize(
    ("verb", "asked"),
    [
        ("press", {}),
        ("say", {"channel": GENERAL}),
        ("say", {"channel": GENERAL, "text": " "}),
        ("nothing", {}),
    ],
    ids=str,
)
def test_nonsense_is_refused_and_not_a_crash(
    as_: Callable[[str], Window], verb: str, asked: Json
) -> None:
    with pytest.raises(SandboxError):
        as_("ana").do(verb, **asked)


# --- live


def test_each_window_gets_its_person_s_updates_and_misses_none_after_a_break(
    as_: Callable[[str], Window], client: WebClient
) -> None:
    ana, ben = as_("ana"), as_("ben")
    begun = ana.look("begin")["last"]
    with ben.listening(ben.look("begin")["last"]) as ben_hears, ana.listening(begun) as ana_hears:
        posted = client.chat_postMessage(channel=APPROVALS, text="for those in it")
        told = ben_hears()[2]
        assert [item["message"]["text"] for item in told["messages"]] == ["for those in it"]
        assert told["unread"][APPROVALS]["count"] == 1
        client.chat_postMessage(channel="U0ANASOUZA", text="for ana")
        texts, last = [], begun
        while "for ana" not in texts:
            last, _, heard = ana_hears()
            texts += [item["message"]["text"] for item in heard["messages"]]
        assert texts == ["for ana"]
    client.chat_update(channel=APPROVALS, ts=posted["ts"], text="changed meanwhile")
    client.chat_postMessage(channel="U0ANASOUZA", text="meanwhile")
    with ana.listening(last) as ana_hears:
        number, kind, told = ana_hears()
        assert kind == "batch" and number != last
        assert [item["message"]["text"] for item in told["messages"]] == ["meanwhile"]


def test_a_window_of_an_earlier_run_starts_over(as_: Callable[[str], Window]) -> None:
    for last in ("", "other.5", "0.x"):
        with as_("ana").listening(last) as hears:
            assert hears()[1] == "start_over"


def test_a_deactivated_person_is_gone(as_: Callable[[str], Window], sandbox: Sandbox) -> None:
    ana = as_("ana")
    with ana.listening(ana.look("begin")["last"]) as hears:
        sandbox.admin.deactivate("U0ANASOUZA")
        assert hears()[1:] == ("gone", {"error": "account_inactive"})


# --- the inspector


def test_the_inspector_shows_calls_with_their_refusals_and_payloads_with_their_acks(
    as_: Callable[[str], Window], client: WebClient, http_app: App
) -> None:
    http_app.action("go")(lambda ack: ack())
    posted = client.chat_postMessage(channel=APPROVALS, text="x", blocks=[BUTTON])
    with pytest.raises(Exception, match="invalid_blocks"):
        client.chat_postMessage(channel=APPROVALS, text="x", blocks=[{"type": "nope"}])
    ben = as_("ben")
    ben.do("press", channel=APPROVALS, ts=posted["ts"], block_id="b", action_id="go")
    first, second, third = ben.look("record")["entries"][-3:]
    assert (first["title"], first["ok"], first["answer"]["ts"]) == (
        "chat.postMessage",
        True,
        posted["ts"],
    )
    assert (second["ok"], second["error"]) == (False, "invalid_blocks")
    assert second["problems"] == ["[ERROR] unsupported type: nope [json-pointer:/blocks/0/type]"]
    assert (third["kind"], third["title"], third["about"], third["outcome"]) == (
        *("delivery", "block_actions", "go"),
        "acked",
    )
    assert third["seconds"] > 0
    newer = ben.look("record", call=second["number"], delivery=third["number"])
    assert newer["entries"] == []
