"""Two apps in one workspace: each has its own tokens, connections, conversations and views, and
neither can use those of the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import Sandbox
from tests.sandbox.conftest import bot_client, over_http
from tests.sandbox.test_sandbox_other_apps import MANIFEST

MODAL = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Lunch"},
    "blocks": [{"type": "divider"}],
}


@pytest.fixture
def lunch(sandbox: Sandbox) -> Sandbox:
    """The workspace, as a second app has it."""
    return sandbox.install(MANIFEST)


def test_an_app_cannot_use_what_is_of_another(
    sandbox: Sandbox, client: WebClient, lunch: Sandbox
) -> None:
    other, ana = bot_client(lunch), sandbox.person("ana")
    lunch.admin.add_to_channel("#access-approvals")
    posts = [client.chat_postMessage(channel=c, text="hi") for c in ("#access-approvals", ana.id)]
    shared, direct = ({"channel": post["channel"], "ts": post["ts"]} for post in posts)
    view = client.views_open(trigger_id=sandbox.call("trigger", user=ana.id), view=MODAL)["view"]
    trigger = sandbox.call("trigger", user=ana.id)
    refused: dict[str, Callable[[], object]] = {
        "cant_update_message": lambda: other.chat_update(**shared, text="mine"),
        "cant_delete_message": lambda: other.chat_delete(**shared),
        "channel_not_found": lambda: other.chat_update(**direct, text="mine"),
        "not_found": lambda: other.views_update(view_id=view["id"], view=MODAL),
        "invalid_trigger_id": lambda: other.views_open(trigger_id=trigger, view=MODAL),
    }
    for error, call in refused.items():
        with pytest.raises(SlackApiError) as found:
            call()
        assert found.value.response["error"] == error
    assert (sandbox.person("ana").dms()[0]["text"], lunch.person("ana").dms()) == ("hi", [])


def test_each_app_with_an_address_gets_its_own_payloads_signed_with_its_own_secret(
    sandbox: Sandbox, lunch: Sandbox
) -> None:
    with ExitStack() as stack:
        for place, name in ((sandbox, "/access"), (lunch, "/lunch")):
            secret = place.environment["SLACK_SIGNING_SECRET"]
            app = App(client=bot_client(place), signing_secret=secret, process_before_response=True)
            app.command(name)(lambda ack, body: ack(body["api_app_id"]))
            place.admin.delivery(request_url=stack.enter_context(over_http(app)))
        ana = sandbox.person("ana")
        answers = [ana.command(name).text for name in ("/access", "/lunch")]
    assert answers == ["A0SANDBOX", "A0SANDBOX2"]


def test_each_app_has_its_own_limits(sandbox: Sandbox, client: WebClient, lunch: Sandbox) -> None:
    lunch.admin.add_to_channel("#access-approvals")
    sandbox.admin.rate_limits(True, {"chat.postMessage": (1, 1)})
    client.chat_postMessage(channel="#access-approvals", text="one")
    bot_client(lunch).chat_postMessage(channel="#access-approvals", text="two")
    with pytest.raises(SlackApiError, match="ratelimited"):
        client.chat_postMessage(channel="#access-approvals", text="three")
