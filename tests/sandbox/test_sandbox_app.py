"""A small real Bolt app, unchanged, over Socket Mode and over signed HTTP; and people who use
it."""

from __future__ import annotations

from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient

from bot.sandbox import Person, Sandbox, SandboxError, running_sandbox

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def field(name: str, element: Json, **more: Any) -> Json:
    return {
        "type": "input",
        "block_id": name.lower(),
        "label": plain(name),
        "element": {"action_id": "it", **element},
        **more,
    }


def option(word: str) -> Json:
    return {"text": plain(word.title()), "value": word}


FORM: Json = {
    "type": "modal",
    "callback_id": "ask",
    "title": plain("Ask"),
    "submit": plain("Send"),
    "notify_on_close": True,
    "private_metadata": "m",
    "blocks": [
        field("Role", {"type": "external_select", "min_query_length": 0}),
        field(
            "Duration",
            {
                "type": "static_select",
                "options": [option("1h"), option("2h")],
                "initial_option": option("1h"),
            },
        ),
        field("Reason", {"type": "plain_text_input", "min_length": 3, "max_length": 20}),
        field("Start", {"type": "datetimepicker"}, optional=True),
        field("Mentor", {"type": "users_select"}, optional=True),
        field(
            "Days",
            {"type": "number_input", "is_decimal_allowed": False, "max_value": "7"},
            optional=True,
        ),
        field("Also", {"type": "checkboxes", "options": [option("a"), option("b")]}, optional=True),
        field("Day", {"type": "datepicker"}, optional=True),
        field("Channel", {"type": "conversations_select"}, optional=True),
        field(
            "Level",
            {"type": "radio_buttons", "options": [option("low"), option("high")]},
            optional=True,
        ),
    ],
}
BUTTON = {
    "type": "button",
    "action_id": "approve",
    "text": plain("Approve"),
    "value": "r1",
    "confirm": {
        "title": plain("?"),
        "text": plain("sure"),
        "confirm": plain("y"),
        "deny": plain("n"),
    },
}
CARD: list[Json] = [
    {
        "type": "section",
        "text": {"type": "mrkdwn", "text": "*Ana* asks <!date^1800000000^{date_num} {time}|x>"},
    },
    {"type": "actions", "elements": [BUTTON]},
]


def listen_to_events(app: App, bodies: list[Json]) -> None:
    """Keeps every event, and publishes a Home when it is opened."""

    @app.event("app_home_opened")
    def on_home(event: Json, client: WebClient) -> None:
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": CARD})

    for name in ("team_join", "subteam_members_changed", "subteam_updated"):

        @app.event(name)
        def on_event(body: Json) -> None:
            bodies.append(body)


@pytest.fixture
def seen(app: App, client: WebClient) -> list[Json]:
    """Listeners for everything, which keep what they receive."""
    bodies: list[Json] = []

    @app.command("/access")
    def on_command(ack: Any, body: Json, client: WebClient) -> None:
        bodies.append(body)
        if body["text"]:
            ack(f"heard: {body['text']}")
        else:
            client.views_open(trigger_id=body["trigger_id"], view=FORM)
            ack()

    @app.options("it")
    def on_options(ack: Any, body: Json) -> None:
        bodies.append(body)
        roles = [word for word in ("orders-read", "shop-admin") if body["value"].lower() in word]
        ack(options=[option(word) for word in roles])

    @app.view("ask")
    def on_submit(ack: Any, body: Json, client: WebClient) -> None:
        bodies.append(body)
        reason = body["view"]["state"]["values"]["reason"]["it"]["value"]
        answers: dict[str, Json] = {
            "wrong": {"response_action": "errors", "errors": {"reason": "say more"}},
            "unknown": {"response_action": "errors", "errors": {"nowhere": "?"}},
            "update": {"response_action": "update", "view": {**FORM, "title": plain("Again")}},
            "push": {"response_action": "push", "view": {**FORM, "title": plain("More")}},
            "clear": {"response_action": "clear"},
            "broken": {"response_action": "update", "view": {"type": "modal"}},
        }
        ack(**answers.get(reason, {}))
        if reason not in answers:
            client.chat_postMessage(channel=body["user"]["id"], text="a request", blocks=CARD)

    @app.view_closed("ask")
    def on_close(ack: Any, body: Json) -> None:
        bodies.append(body)
        ack()

    @app.action("approve")
    def on_approve(ack: Any, body: Json, respond: Any) -> None:
        ack()
        if "response_url" in body:
            respond(replace_original=True, text="approved by " + body["user"]["id"])
        bodies.append(body)

    @app.shortcut("request_access")
    @app.shortcut("request_access_from_message")
    def on_shortcut(ack: Any, body: Json, client: WebClient) -> None:
        client.views_open(trigger_id=body["trigger_id"], view=FORM)
        ack()
        bodies.append(body)

    listen_to_events(app, bodies)
    return bodies


@pytest.fixture(params=["socket", "http"])
def talking(request: pytest.FixtureRequest, app: App, seen: list[Json]) -> list[Json]:
    """The app is connected, over a socket or HTTP."""
    if request.param == "socket":
        request.getfixturevalue("connect")()
    else:
        request.getfixturevalue("http_app")
    return seen


def test_the_answer_to_a_command_is_visible_to_its_person_alone(
    talking: list[Json], sandbox: Sandbox, ana: Person
) -> None:
    answer = ana.command("/access", "roles")
    assert (answer.ok, answer.text) == (True, "heard: roles")
    assert [ana.plain(item) for item in ana.ephemerals()] == ["heard: roles"]
    assert sandbox.person("ben").ephemerals() == []


def test_names_and_links_in_a_command_become_ids(talking: list[Json], ana: Person) -> None:
    ana.command(
        "/access",
        "explain @ben #general <b> & @db-leads @nobody a@example.com https://x.example/?a=1&b",
    )
    assert (
        talking[0]["text"] == "explain <@U0BENOKAFO|ben> <#C0GENERAL|general> &lt;b&gt; &amp;"
        " <!subteam^S0DBLEADS|@db-leads> @nobody <mailto:a@example.com|a@example.com>"
        " <https://x.example/?a=1&amp;b>"
    )


def test_the_whole_way_from_a_form_to_a_replaced_message(talking: list[Json], ana: Person) -> None:
    assert "Reason:" in ana.plain(ana.command("/access").view)
    done = ana.fill_and_submit({"Role": "shop-admin", "Reason": "prod is down"})
    assert done.ok and done.view is None
    message = ana.wait_dm("asks")
    assert ana.plain(message) == "Ana asks 2027-01-15 05:00\n[Approve]"
    assert ana.click(message, "Approve").ok
    assert ana.plain(ana.wait_dm("approved")) == f"approved by {ana.id}"
    action = talking[-1]["actions"][0]
    assert (action["action_id"], action["value"], action["type"]) == ("approve", "r1", "button")


def test_a_form_sends_every_kind_of_value_as_slack_does(talking: list[Json], ana: Person) -> None:
    ana.command("/access")
    ana.fill_and_submit(
        {
            "Role": "Orders-Read",
            "reason": "why",
            "Start": "2027-01-15T05:00",
            "Mentor": "@ben",
            "Days": 3,
            "Also": ["A", "b"],
            "Day": "2027-01-15",
            "Channel": "#general",
            "Level": "high",
        }
    )
    values = {key: inner["it"] for key, inner in talking[-1]["view"]["state"]["values"].items()}
    assert values == {
        "role": {"type": "external_select", "selected_option": option("orders-read")},
        "duration": {"type": "static_select", "selected_option": option("1h")},
        "reason": {"type": "plain_text_input", "value": "why"},
        "start": {"type": "datetimepicker", "selected_date_time": 1_800_000_000},
        "mentor": {"type": "users_select", "selected_user": "U0BENOKAFO"},
        "days": {"type": "number_input", "value": "3"},
        "also": {"type": "checkboxes", "selected_options": [option("a"), option("b")]},
        "day": {"type": "datepicker", "selected_date": "2027-01-15"},
        "channel": {"type": "conversations_select", "selected_conversation": "C0GENERAL"},
        "level": {"type": "radio_buttons", "selected_option": option("high")},
    }


CLIENT_REFUSALS = {
    "required": ({}, {"role", "reason"}),
    "short": ({"Role": "shop-admin", "Reason": "no"}, {"reason"}),
    "long": ({"Role": "shop-admin", "Reason": "x" * 21}, {"reason"}),
    "no number": ({"Role": "shop-admin", "Reason": "why", "Days": "few"}, {"days"}),
    "half a day": ({"Role": "shop-admin", "Reason": "why", "Days": "1.5"}, {"days"}),
    "too many": ({"Role": "shop-admin", "Reason": "why", "Days": "8"}, {"days"}),
}


def test_input_that_slacks_client_refuses_never_reaches_the_app(
    seen: list[Json], connect: Any, ana: Person
) -> None:
    connect()
    for values, errors in CLIENT_REFUSALS.values():
        ana.command("/access")
        refused = ana.fill_and_submit(values)
        assert refused.blocked and set(refused.errors) == errors
    assert not [body for body in seen if body.get("type") == "view_submission"]
    with pytest.raises(LookupError, match="no option 'root'"):
        ana.fill({"Role": "root"})
    with pytest.raises(LookupError, match="no field 'Colour'"):
        ana.fill({"Colour": "red"})


def test_the_app_answers_a_form_with_errors_another_view_or_the_end(
    talking: list[Json], ana: Person
) -> None:
    ana.command("/access")
    refused = ana.fill_and_submit({"Role": "shop-admin", "Reason": "wrong"})
    assert refused.errors == {"reason": "say more"} and refused.view
    assert "unknown_block_id" in ana.fill_and_submit({"Reason": "unknown"}).error
    broken = ana.fill_and_submit({"Reason": "broken"})
    assert broken.error == "invalid_arguments" and broken.view
    assert ana.plain(ana.fill_and_submit({"Reason": "update"}).view).startswith("Again")
    assert ana.plain(ana.fill_and_submit({"Reason": "push"}).view).startswith("More")
    ana.close_view()
    assert ana.plain(ana.view()).startswith("Again")
    ana.fill_and_submit({"Reason": "push"})
    cleared = ana.fill_and_submit({"Role": "shop-admin", "Reason": "clear"})
    assert cleared.ok and cleared.view is None
    assert [
        body["view"]["title"]["text"] for body in talking if body.get("type") == "view_closed"
    ] == ["More"]


def test_an_external_select_is_filtered_by_the_app(talking: list[Json], ana: Person) -> None:
    view = ana.command("/access").view
    assert view is not None
    assert [item["value"] for item in ana.options(view, "Role", "shop")] == ["shop-admin"]
    assert len(ana.options(view, "Role")) == 2


def test_an_external_select_is_queried_as_slack_does(talking: list[Json], ana: Person) -> None:
    view = ana.command("/access").view
    assert view is not None
    ana.options(view, "Role", "shop")
    asked = talking[-1]
    assert (asked["type"], asked["action_id"], asked["value"]) == ("block_suggestion", "it", "shop")
    assert (
        asked["container"] == {"type": "view", "view_id": view["id"]}
        and asked["view"]["id"] == view["id"]
    )
    assert asked.keys().isdisjoint({"trigger_id", "response_url", "state", "actions"})


def test_an_external_select_is_not_queried_before_enough_is_typed(
    talking: list[Json], monkeypatch: pytest.MonkeyPatch, ana: Person
) -> None:
    monkeypatch.setitem(FORM["blocks"][0]["element"], "min_query_length", 3)
    view = ana.command("/access").view
    assert view is not None
    before = len(talking)
    assert ana.options(view, "Role", "sh") == [] and len(talking) == before
    assert [item["value"] for item in ana.options(view, "Role", "sho")] == ["shop-admin"]


def test_another_element_has_no_options_to_query(talking: list[Json], ana: Person) -> None:
    view = ana.command("/access").view
    assert view is not None
    with pytest.raises(SandboxError, match="action_not_found"):
        ana.options(view, "Reason", "x")


def test_shortcuts_and_a_button_in_home_reach_the_app(
    talking: list[Json], sandbox: Sandbox, ana: Person
) -> None:
    assert ana.shortcut("request_access").view
    ana.close_view()
    said = ana.say("#general", "orders are slow")
    assert ana.message_shortcut("request_access_from_message", said).view
    assert talking[-1]["message"]["text"] == "orders are slow"
    assert ana.open_home()
    home = ana.wait_home("asks")
    assert ana.click(home, action_id="approve").outcome == "acked"
    with pytest.raises(LookupError, match="Approve"):
        ana.click(home, "Deny")


def test_the_app_gets_events_of_groups_and_newcomers(talking: list[Json], sandbox: Sandbox) -> None:
    user = sandbox.admin.create_user("zoe", "Zoe Novak", tz="Asia/Tokyo")
    sandbox.admin.set_group("@db-leads", [user])
    sandbox.wait_for(lambda: len(talking) == 3)
    events = {body["event"]["type"]: body["event"] for body in talking}
    assert events["team_join"]["user"]["id"] == user
    assert events["subteam_members_changed"]["added_users"] == [user]
    assert events["subteam_updated"]["subteam"]["users"] == [user]


def test_a_forged_click_and_a_repeated_one_reach_the_app(
    talking: list[Json], sandbox: Sandbox, ana: Person
) -> None:
    ana.command("/access")
    ana.fill_and_submit({"Role": "shop-admin", "Reason": "why"})
    message = ana.wait_dm("asks")
    forged = ana.click(message, "Approve", value="somebody-else's")
    assert talking[-1]["actions"][0]["value"] == "somebody-else's"
    assert sandbox.replay(forged.delivery)["outcome"] == "acked"
    assert sandbox.replay(forged.delivery, same_envelope=False)["outcome"] == "acked"
    body = {**talking[-1], "user": {"id": "U0MALLORY", "team_id": "T0ELSE"}}
    assert sandbox.deliver("interactive", body)["outcome"] == "acked"
    assert talking[-1]["user"]["id"] == "U0MALLORY"


def test_a_deactivated_or_external_person_can_do_nothing(
    sandbox: Sandbox, client: WebClient
) -> None:
    jon, hugo = sandbox.person("jon"), sandbox.person("hugo")
    with pytest.raises(SandboxError, match="account_inactive"):
        jon.command("/access")
    posted = client.chat_postMessage(channel="#access-approvals", text="card", blocks=CARD)
    message = {**posted["message"], "channel": posted["channel"]}
    with pytest.raises(SandboxError, match="not_in_channel"):
        hugo.click(message, "Approve")


def test_a_response_url_ends_after_five_uses_or_half_an_hour(
    seen: list[Json], connect: Any, sandbox: Sandbox, ana: Person
) -> None:
    connect()
    ana.command("/access", "first")
    ana.command("/access", "second")
    first, second = (WebhookClient(body["response_url"]) for body in seen)
    assert [first.send(text=f"answer {i}").status_code for i in range(6)] == [200] * 5 + [404]
    assert ana.plain(ana.wait_ephemeral("answer 4")) == "answer 4"
    assert second.send(text="public", response_type="in_channel").status_code == 200
    assert ana.plain(ana.wait_dm("public")) == "public"
    sandbox.admin.advance_clock(30 * 60 + 1)
    late = second.send(text="late")
    assert (late.status_code, "expired_url" in late.body) == (404, True)


def test_a_manifest_decides_commands_shortcuts_and_events() -> None:
    manifest = {
        "features": {
            "slash_commands": [{"command": "/access", "should_escape": False}],
            "shortcuts": [{"name": "Ask", "type": "global", "callback_id": "ask"}],
        },
        "oauth_config": {"scopes": {"bot": ["commands"]}},
        "settings": {"event_subscriptions": {"bot_events": ["team_join"]}},
    }
    with running_sandbox(manifest=manifest) as sandbox:
        ana = sandbox.person("ana")
        with pytest.raises(SandboxError, match="unknown_command"):
            ana.command("/deploy")
        with pytest.raises(SandboxError, match="unknown_shortcut"):
            ana.shortcut("nope")
        assert ana.open_home() is False
        ana.command("/access", "explain @ben")
        assert sandbox.inspector.deliveries()[-1]["payload"]["text"] == "explain @ben"


def test_over_http_options_need_an_address_in_the_manifest() -> None:
    settings: Json = {
        "interactivity": {"is_enabled": True, "request_url": "https://app.example.com"}
    }
    menu = {"type": "external_select", "action_id": "it", "min_query_length": 0}
    with running_sandbox(manifest={"settings": settings}) as sandbox:
        sandbox.admin.delivery(request_url="http://127.0.0.1:9/slack/events")
        token, ana = sandbox.environment["SLACK_BOT_TOKEN"], sandbox.person("ana")
        client = WebClient(token, base_url=sandbox.environment["SLACK_API_URL"])
        client.chat_postMessage(
            channel=ana.id, text="x", blocks=[{"type": "actions", "elements": [menu]}]
        )
        with pytest.raises(SandboxError, match="no_options_url"):
            ana.options(ana.dms()[-1], "it")


def test_the_response_url_of_a_command_replaces_what_its_ack_showed(
    talking: list[Json], ana: Person
) -> None:
    shown = ana.command("/access", "menu").messages[-1]
    answer = WebhookClient(talking[-1]["response_url"]).send_dict(
        {"replace_original": True, "text": "decided"}
    )
    assert answer.status_code == 200
    assert [(one["ts"], one["text"]) for one in ana.ephemerals()] == [(shown["ts"], "decided")]
