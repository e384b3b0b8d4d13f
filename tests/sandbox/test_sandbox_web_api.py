"""The Web API as Slack's own client meets it: tokens, scopes, arguments, errors, pages, files,
links."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import Person, Sandbox
from bot.sandbox.seed_data import ANA, DEPLOYBOT, HUGO, IVY, JON

APPROVALS = "#access-approvals"
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "hi"}}]
HOME: dict[str, Any] = {"type": "home", "blocks": BLOCKS}
MODAL: dict[str, Any] = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Ask"},
    "blocks": BLOCKS,
}


def error_of(work: Callable[[], Any]) -> dict[str, Any]:
    """The answer of a call that must be refused."""
    with pytest.raises(SlackApiError) as refused:
        work()
    return dict(refused.value.response.data)


def test_the_bot_learns_who_it_is_and_what_it_was_granted(client: WebClient) -> None:
    answer = client.auth_test()
    assert answer["user_id"] == "U0ACCESSBOT"
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


REFUSED: dict[str, tuple[str, Callable[[WebClient], Any]]] = {
    "unknown method": ("unknown_method", lambda c: c.api_call("chat.shout")),
    "unknown channel": (
        "channel_not_found",
        lambda c: c.chat_postMessage(channel="C404", text="x"),
    ),
    "not invited": ("not_in_channel", lambda c: c.chat_postMessage(channel="#general", text="x")),
    "no text": ("no_text", lambda c: c.api_call("chat.postMessage", json={"channel": APPROVALS})),
    "long text": (
        "msg_too_long",
        lambda c: c.chat_postMessage(channel=APPROVALS, text="x" * 40_001),
    ),
    "no channel": (
        "invalid_arguments",
        lambda c: c.api_call("chat.postMessage", json={"text": "x"}),
    ),
    "bad blocks": (
        "invalid_blocks",
        lambda c: c.chat_postMessage(channel=APPROVALS, text="x", blocks=[{"type": "nope"}]),
    ),
    "unreadable blocks": (
        "invalid_blocks_format",
        lambda c: c.chat_postMessage(channel=APPROVALS, text="x", blocks="{"),
    ),
    "too long in all": (
        "msg_blocks_too_long",
        lambda c: c.chat_postMessage(
            channel=APPROVALS,
            text="x",
            blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}] * 5,
        ),
    ),
    "bad metadata": (
        "invalid_metadata_format",
        lambda c: c.chat_postMessage(channel=APPROVALS, text="x", metadata={"event_type": "x"}),
    ),
    "no such thread": (
        "thread_not_found",
        lambda c: c.chat_postMessage(channel=APPROVALS, text="x", thread_ts="1.1"),
    ),
    "no such message": (
        "message_not_found",
        lambda c: c.chat_update(channel="C0APPROVAL", ts="1.1", text="x"),
    ),
    "ephemeral outside": (
        "user_not_in_channel",
        lambda c: c.chat_postEphemeral(channel=APPROVALS, user=ANA, text="x"),
    ),
    "message to a leaver": (
        "channel_not_found",
        lambda c: c.chat_postMessage(channel=JON, text="x"),
    ),
    "dm to a leaver": ("user_disabled", lambda c: c.conversations_open(users=JON)),
    "dm to a bot": ("cannot_dm_bot", lambda c: c.conversations_open(users=DEPLOYBOT)),
    "no such user": ("user_not_found", lambda c: c.users_info(user="U404")),
    "no such address": ("users_not_found", lambda c: c.users_lookupByEmail(email="x@example.com")),
    "a leaver's address": (
        "users_not_found",
        lambda c: c.users_lookupByEmail(email="jon@example.com"),
    ),
    "no such group": ("no_such_subteam", lambda c: c.usergroups_users_list(usergroup="S404")),
    "bad cursor": ("invalid_cursor", lambda c: c.users_list(cursor="!")),
    "im without a scope": ("missing_scope", lambda c: c.conversations_list(types="im")),
    "private without the bot": (
        "channel_not_found",
        lambda c: c.conversations_info(channel="C404"),
    ),
    "made-up trigger": (
        "invalid_trigger_id",
        lambda c: c.views_open(trigger_id="1.2.3", view=MODAL),
    ),
    "bad view": ("invalid_arguments", lambda c: c.views_publish(user_id=ANA, view=MODAL)),
    "no such view": ("not_found", lambda c: c.views_update(view_id="V404", view=MODAL)),
    "blocks.validate": ("invalid_blocks", lambda c: c.blocks_validate(blocks=[{"type": "nope"}])),
}


@pytest.mark.parametrize(("error", "call"), REFUSED.values(), ids=REFUSED)
def test_a_call_that_slack_refuses_is_refused_with_slack_s_error(
    client: WebClient, error: str, call: Callable[[WebClient], Any]
) -> None:
    assert error_of(lambda: call(client))["error"] == error


def test_bad_blocks_are_explained(client: WebClient) -> None:
    answer = error_of(
        lambda: client.chat_postMessage(channel=APPROVALS, text="x", blocks=[{"type": "nope"}])
    )
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] unsupported type: nope [json-pointer:/blocks/0/type]"
    ]


def test_tokens_are_distinguished(sandbox: Sandbox, client: WebClient) -> None:
    env = sandbox.environment
    url = env["SLACK_API_URL"]
    assert error_of(WebClient("xoxb-wrong", base_url=url).auth_test)["error"] == "invalid_auth"
    assert error_of(WebClient(base_url=url).auth_test)["error"] == "not_authed"
    swapped = WebClient(env["SLACK_APP_TOKEN"], base_url=url)
    assert error_of(swapped.auth_test)["error"] == "not_allowed_token_type"
    sandbox.admin.revoke_tokens(env["SLACK_BOT_TOKEN"])
    assert error_of(client.auth_test)["error"] == "token_revoked"
    sandbox.admin.revoke_tokens()
    sandbox.admin.deactivate("U0ACCESSBOT")
    assert error_of(client.auth_test)["error"] == "account_inactive"


def test_a_missing_scope_is_named(sandbox: Sandbox, client: WebClient) -> None:
    sandbox.admin.grant_scopes(["users:read"])
    answer = error_of(lambda: client.chat_postMessage(channel=APPROVALS, text="x"))
    assert (answer["error"], answer["needed"], answer["provided"]) == (
        "missing_scope",
        "chat:write",
        "users:read",
    )
    assert "email" not in client.users_info(user=ANA)["user"]["profile"]


def test_a_manifest_decides_the_scopes_and_the_token_may_come_in_the_body(sandbox: Sandbox) -> None:
    env = sandbox.environment
    body = f"token={env['SLACK_BOT_TOKEN']}&user={ANA}".encode()
    with urllib.request.urlopen(env["SLACK_API_URL"] + "users.info", body, timeout=10) as answer:
        assert json.loads(answer.read())["user"]["real_name"] == "Ana Souza"
    assert "token" not in sandbox.inspector.calls("users.info")[0]["args"]


def test_a_message_lives_in_a_channel_a_thread_and_a_direct_conversation(
    sandbox: Sandbox, client: WebClient
) -> None:
    ben = sandbox.person("ben")
    first = client.chat_postMessage(channel=APPROVALS, text="please decide", blocks=BLOCKS)
    client.chat_postMessage(channel=first["channel"], text="decided", thread_ts=first["ts"])
    client.chat_update(channel=first["channel"], ts=first["ts"], text="edited", blocks=[])
    assert [ben.plain(item) for item in ben.messages(APPROVALS)] == ["edited", "decided"]
    assert [item["text"] for item in ben.messages(APPROVALS, first["ts"])] == ["edited", "decided"]
    direct = client.chat_postMessage(channel=ben.id, text="hello")
    assert direct["channel"] == client.conversations_open(users=ben.id)["channel"]["id"]
    client.chat_delete(channel=direct["channel"], ts=direct["ts"])
    assert ben.dms() == []
    link = client.chat_getPermalink(channel=first["channel"], message_ts=first["ts"])["permalink"]
    assert link.endswith("/C0APPROVAL/p" + first["ts"].replace(".", ""))


def test_timestamps_are_unique_and_rise(client: WebClient) -> None:
    stamps = [client.chat_postMessage(channel=APPROVALS, text="x")["ts"] for _ in range(20)]
    assert stamps == sorted(set(stamps), key=float)


def test_the_bot_changes_only_its_own_messages(sandbox: Sandbox, client: WebClient) -> None:
    said = sandbox.person("ben").say(APPROVALS, "mine")
    place = {"channel": said["channel"], "ts": said["ts"]}
    assert error_of(lambda: client.chat_update(**place, text="x"))["error"] == "cant_update_message"
    assert error_of(lambda: client.chat_delete(**place))["error"] == "cant_delete_message"


def test_an_archived_channel_and_one_without_the_bot_refuse_messages(
    sandbox: Sandbox, client: WebClient
) -> None:
    def post(channel: str) -> str:
        return str(error_of(lambda: client.chat_postMessage(channel=channel, text="x"))["error"])

    sandbox.admin.archive(APPROVALS)
    assert post(APPROVALS) == "is_archived"
    sandbox.admin.remove_from_channel("#db-approvals")
    assert post("#db-approvals") == "not_in_channel"
    sandbox.admin.remove_from_channel("#access-security")
    assert post("#access-security") == "channel_not_found"
    assert (
        error_of(lambda: client.conversations_info(channel="G0SECURITY"))["error"]
        == "channel_not_found"
    )


def test_an_ephemeral_is_seen_by_one_person(sandbox: Sandbox, client: WebClient) -> None:
    ben, gwen = sandbox.person("ben"), sandbox.person("gwen")
    client.chat_postEphemeral(channel=APPROVALS, user=ben.id, text="only you")
    assert ben.plain(ben.wait_ephemeral("only you")) == "only you"
    assert gwen.ephemerals() == []
    assert ben.messages(APPROVALS) == []


def test_lists_come_in_pages(client: WebClient) -> None:
    pages = [[member["id"] for member in page["members"]] for page in client.users_list(limit=4)]
    seen = [member for page in pages for member in page]
    assert [len(page) for page in pages] == [4, 4, 3]
    assert len(set(seen)) == 11
    assert IVY not in seen
    channels = [
        channel["name"]
        for page in client.conversations_list(types="public_channel,private_channel", limit=2)
        for channel in page["channels"]
    ]
    assert "access-security" in channels
    members = client.conversations_members(channel="C0APPROVAL", limit=2)
    assert len(members["members"]) == 2
    assert members["response_metadata"]["next_cursor"]


def test_people_have_the_fields_that_an_access_bot_needs(client: WebClient) -> None:
    hugo, ivy, jon = (client.users_info(user=key)["user"] for key in (HUGO, IVY, JON))
    assert hugo["is_ultra_restricted"]
    assert ivy["is_stranger"] and ivy["team_id"] == "T0PARTNER"
    assert jon["deleted"] and jon["is_email_confirmed"]
    assert client.users_lookupByEmail(email="ana@example.com")["user"]["id"] == ANA


def test_groups_show_their_members_and_hide_the_disabled(client: WebClient) -> None:
    groups = {
        group["handle"]: group for group in client.usergroups_list(include_users=True)["usergroups"]
    }
    assert len(groups["db-leads"]["users"]) == 2
    assert "old-team" not in groups
    everything = client.usergroups_list(include_disabled=True)["usergroups"]
    assert [group["handle"] for group in everything if group["date_delete"]] == ["old-team"]
    assert (
        client.usergroups_users_list(usergroup="S0DBLEADS")["users"] == groups["db-leads"]["users"]
    )


def test_a_file_is_uploaded_and_shared(sandbox: Sandbox, client: WebClient, ana: Person) -> None:
    channel = client.conversations_open(users=ana.id)["channel"]["id"]
    client.files_upload_v2(
        channel=channel, filename="audit.csv", content="a,b\n1,2\n", initial_comment="Here"
    )
    assert ana.plain(ana.wait_dm("Here")) == "Here\n[file: audit.csv]"
    assert sandbox.inspector.files()[0]["content"] == "a,b\n1,2\n"


def test_a_home_is_published_and_a_stale_hash_refused(client: WebClient, ana: Person) -> None:
    first = client.views_publish(user_id=ana.id, view=HOME)["view"]["hash"]
    client.views_publish(user_id=ana.id, view=HOME, hash=first)
    stale = error_of(lambda: client.views_publish(user_id=ana.id, view=HOME, hash=first))
    assert stale["error"] == "hash_conflict"
    assert ana.plain(ana.home()) == "hi"


def test_a_trigger_works_once_for_three_seconds(
    sandbox: Sandbox, client: WebClient, ana: Person
) -> None:
    trigger = sandbox.call("trigger", user=ana.id)
    opened = client.views_open(trigger_id=trigger, view=MODAL)["view"]
    assert ana.plain(ana.view()) == "Ask\nhi"
    again = error_of(lambda: client.views_open(trigger_id=trigger, view=MODAL))
    assert again["error"] == "exchanged_trigger_id"
    client.views_update(view_id=opened["id"], hash=opened["hash"], view=MODAL)
    stale = error_of(
        lambda: client.views_update(view_id=opened["id"], hash=opened["hash"], view=MODAL)
    )
    assert stale["error"] == "hash_conflict"
    late = sandbox.call("trigger", user=ana.id)
    sandbox.admin.advance_clock(3.1)
    assert (
        error_of(lambda: client.views_push(trigger_id=late, view=MODAL))["error"]
        == "expired_trigger_id"
    )


def test_at_most_three_modals_are_stacked(sandbox: Sandbox, client: WebClient, ana: Person) -> None:
    client.views_open(trigger_id=sandbox.call("trigger", user=ana.id), view=MODAL)
    for _ in range(2):
        client.views_push(trigger_id=sandbox.call("trigger", user=ana.id), view=MODAL)
    fourth = sandbox.call("trigger", user=ana.id)
    assert (
        error_of(lambda: client.views_push(trigger_id=fourth, view=MODAL))["error"]
        == "push_limit_reached"
    )


def test_blocks_without_text_are_only_warned_about(sandbox: Sandbox, client: WebClient) -> None:
    client.api_call("chat.postMessage", json={"channel": APPROVALS, "blocks": BLOCKS})
    assert sandbox.inspector.calls("chat.postMessage")[0]["warnings"] == ["missing_text_in_message"]


def test_the_inspector_shows_every_call_with_its_error(sandbox: Sandbox, client: WebClient) -> None:
    error_of(lambda: client.users_info(user="U404"))
    call = sandbox.inspector.calls("users.info")[-1]
    assert (call["args"], call["ok"], call["error"]) == ({"user": "U404"}, False, "user_not_found")


def test_control_endpoints_refuse_requests_that_a_foreign_page_could_send(sandbox: Sandbox) -> None:
    request = urllib.request.Request(
        sandbox.base_url + "/sandbox/info", b"{}", {"Content-Type": "text/plain"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    refused.value.close()
    assert refused.value.code == 415
