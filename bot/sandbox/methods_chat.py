"""The Web API methods that post, change and delete messages and files, and the effect of a
response_url.

`api.py` has checked tokens and limits before.
"""

from __future__ import annotations

import copy
import hashlib
import json
import secrets
from collections import Counter
from typing import Any

from bot.sandbox.blocks import MAX_TEXT, MAX_TOTAL, inspect_blocks
from bot.sandbox.checks import Json
from bot.sandbox.rules import RESPONSE_URL_SECONDS, RESPONSE_URL_USES
from bot.sandbox.workspace import AppInstall, Channel, SlackError, Workspace
from bot.sandbox.world import Call, Handler, World

NO_TEXT = "missing_text_in_message"


def with_ids(blocks: list[Json]) -> list[Json]:
    """A copy in which every block and interactive element has an id, as Slack generates them.
    Unchanged content keeps its ids when it is published again, so that a press in that moment still
    works."""
    blocks = copy.deepcopy(blocks)
    times: Counter[str] = Counter()
    for block in blocks:
        if "block_id" not in block:
            whole = json.dumps(block, sort_keys=True)
            times[whole] += 1
            block["block_id"] = hashlib.sha256(f"{times[whole]} {whole}".encode()).hexdigest()[:10]
        inside = [block.get("element"), block.get("accessory"), *(block.get("elements") or [])]
        for element in [*inside, *(block.get("actions") or [])]:
            if isinstance(element, dict) and block["type"] in {
                "actions",
                "section",
                "input",
                "card",
            }:
                element.setdefault("action_id", secrets.token_urlsafe(4))
        if "child_blocks" in block:
            block["child_blocks"] = with_ids(block["child_blocks"])
        if block["type"] == "carousel":
            block["elements"] = with_ids(block["elements"])
    return blocks


def refuse_bad_blocks(blocks: Any, surface: str = "message") -> None:
    """Raises Slack's error for bad blocks; each problem is in response_metadata.messages."""
    seen = inspect_blocks(blocks, surface)
    if seen.problems:
        metadata = {"messages": seen.problems}
        raise SlackError("invalid_blocks", errors=seen.problems, response_metadata=metadata)
    if seen.characters > MAX_TOTAL:
        raise SlackError("msg_blocks_too_long")


def content(call: Call) -> Json:
    """The checked text, blocks and metadata of a message; raises SlackError for content that Slack
    refuses."""
    blocks, text = call.structure("blocks", "invalid_blocks_format"), call.text("text")
    if not text and not blocks:
        raise SlackError("no_text")
    if len(text) > MAX_TEXT:
        raise SlackError("msg_too_long")
    refuse_bad_blocks(blocks or [])
    if blocks and not text:
        call.warnings.append(NO_TEXT)
    metadata = call.structure("metadata", "invalid_metadata_format")
    if metadata and not (
        isinstance(metadata.get("event_type"), str)
        and isinstance(metadata.get("event_payload"), dict)
    ):
        raise SlackError("invalid_metadata_format")
    fields: Json = {"text": text, **({"metadata": metadata} if metadata else {})}
    return {**fields, **({"blocks": with_ids(blocks)} if blocks is not None else {})}


def destination(workspace: Workspace, app: AppInstall, ref: str) -> Channel:
    """The destination of an app's message: a channel with its bot, or a person. Raises SlackError
    otherwise."""
    if ref in workspace.users:
        if workspace.users[ref].deleted:
            raise SlackError("channel_not_found")
        return workspace.direct(ref, app)
    channel = workspace.channel(ref)
    if app.bot_user not in channel.members:
        raise SlackError("channel_not_found" if channel.is_private else "not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def author(workspace: Workspace, app: AppInstall) -> Json:
    """The fields that say that the app's bot wrote a message."""
    return {"user": app.bot_user, "bot_id": app.bot_id, "app_id": app.id, "team": workspace.team_id}


def public(message: Json) -> Json:
    """A message as Slack returns it, without our internal fields."""
    return {key: value for key, value in message.items() if key != "channel"}


def post_message(call: Call) -> Json:
    """chat.postMessage: to a channel, a thread or (by a person's id) a direct conversation."""
    channel, fields = destination(call.workspace, call.app, call.text("channel")), content(call)
    thread = call.text("thread_ts")
    if thread:
        if thread not in call.workspace.messages.get(channel.id, {}):
            raise SlackError("thread_not_found")
        fields["thread_ts"] = thread
    if thread and call.flag("reply_broadcast"):
        fields["subtype"] = "thread_broadcast"
    fields["unfurls"] = {name: call.args.get(name) for name in ("unfurl_links", "unfurl_media")}
    message = call.workspace.post(channel, {**author(call.workspace, call.app), **fields})
    return {"channel": channel.id, "ts": message["ts"], "message": public(message)}


def update_message(call: Call) -> Json:
    """chat.update: the bot's own messages only; blocks that aren't given stay."""
    channel = destination(call.workspace, call.app, call.text("channel"))
    message = call.workspace.message(channel.id, call.text("ts"))
    if message.get("user") != call.app.bot_user:
        raise SlackError("cant_update_message")
    fields = content(call)
    edited = {"user": call.app.bot_user, "ts": f"{call.workspace.now():.6f}"}
    call.workspace.edit(message, **fields, edited=edited)
    return {
        "channel": channel.id,
        "ts": message["ts"],
        "text": message["text"],
        "message": public(message),
    }


def delete_message(call: Call) -> Json:
    """chat.delete: the bot's own messages only."""
    channel = destination(call.workspace, call.app, call.text("channel"))
    message = call.workspace.message(channel.id, call.text("ts"))
    if message.get("user") != call.app.bot_user:
        raise SlackError("cant_delete_message")
    call.workspace.remove(channel.id, message["ts"])
    return {"channel": channel.id, "ts": message["ts"]}


def post_ephemeral(call: Call) -> Json:
    """chat.postEphemeral: to one person who is in the channel."""
    workspace = call.workspace
    channel, fields = destination(workspace, call.app, call.text("channel")), content(call)
    user = workspace.user(call.text("user"))
    if user.id not in channel.members:
        raise SlackError("user_not_in_channel")
    message = {**author(workspace, call.app), **fields}
    return {"message_ts": workspace.whisper(user.id, channel.id, message)["ts"]}


def permalink(call: Call) -> Json:
    """chat.getPermalink."""
    channel = call.workspace.channel(call.text("channel"))
    message = call.workspace.message(channel.id, call.text("message_ts"))
    place = f"{channel.id}/p{message['ts'].replace('.', '')}"
    return {
        "channel": channel.id,
        "permalink": f"https://{call.workspace.domain}.slack.com/archives/{place}",
    }


def upload_url(call: Call) -> Json:
    """files.getUploadURLExternal: where to post the content."""
    length = call.text("length")
    if not length.isdigit() or int(length) <= 0:
        raise SlackError("invalid_arguments")
    file_id = call.workspace.new_id("F")
    call.workspace.files[file_id] = {
        "id": file_id,
        "name": call.text("filename"),
        "size": int(length),
        "user": call.app.bot_user,
    }
    return {"file_id": file_id, "upload_url": f"{call.world.base_url}/upload/{file_id}"}


def complete_upload(call: Call) -> Json:
    """files.completeUploadExternal: shares uploaded files in a channel, or keeps them private."""
    entries = call.structure("files") or []
    files = [_uploaded(call, entry) for entry in entries]
    if not files:
        raise SlackError("invalid_arguments")
    if call.text("channel_id"):
        channel = destination(call.workspace, call.app, call.text("channel_id"))
        fields: Json = {
            "text": call.text("initial_comment"),
            "files": [_file_json(item) for item in files],
        }
        if call.text("thread_ts"):
            fields["thread_ts"] = call.text("thread_ts")
        call.workspace.post(channel, {**author(call.workspace, call.app), **fields})
    return {"files": [_file_json(item) for item in files]}


def _file_json(item: Json) -> Json:
    return {key: value for key, value in item.items() if key != "content"}


def _uploaded(call: Call, entry: Json) -> Json:
    """The stored file of one entry, titled; raises file_not_found when the app uploaded nothing."""
    item = call.workspace.files.get(str(entry.get("id")))
    if item is None or "content" not in item or item["user"] != call.app.bot_user:
        raise SlackError("file_not_found")
    item["title"] = entry.get("title") or item["name"]
    return item


def answer_response_url(world: World, path: str, args: Json) -> Json:
    """Applies a POST to a response_url: five uses within 30 minutes. Returns the message."""
    link = world.workspace.response_urls.get(path)
    if link is None:
        raise SlackError("invalid_url")
    if world.workspace.now() - link["at"] > RESPONSE_URL_SECONDS:
        raise SlackError("expired_url")
    if link["uses"] >= RESPONSE_URL_USES:
        raise SlackError("used_url")
    call = Call(world, world.workspace.apps[link["app"]], args)
    result = _respond(call, link)
    link["uses"] += 1
    return result


def _respond(call: Call, link: Json) -> Json:
    origin = link["origin"]
    if call.flag("delete_original"):
        forget(call.workspace, link["user"], origin)
        return {}
    fields = content(call)
    if call.flag("replace_original") and origin is not None:
        call.workspace.edit(origin, **{"blocks": [], **fields}, seen_by=link["user"])
        return dict(origin)
    return answer_in_place(call, link["user"], link["channel"], fields)


def answer_in_place(call: Call, user: str, channel: str, fields: Json) -> Json:
    """Shows an answer where the person is: only to them, or with `in_channel` to everybody
    there."""
    workspace, message = call.workspace, {**author(call.workspace, call.app), **fields}
    if call.text("response_type") == "in_channel":
        return workspace.post(workspace.channel(channel), message)
    return workspace.whisper(user, channel, message)


def answered(world: World, url: str, message: Json) -> None:
    """The message that a command's ack showed: its response_url replaces or deletes that one."""
    link = world.workspace.response_urls.get(url.partition("/response/")[2])
    if link is not None and link["origin"] is None:
        link["origin"] = message


def forget(workspace: Workspace, user: str, origin: Json | None) -> None:
    """Deletes the message that a response_url came from."""
    if origin is None:
        raise SlackError("message_not_found")
    if origin.get("is_ephemeral"):
        workspace.dismiss(user, origin["ts"])
    else:
        workspace.remove(origin["channel"], origin["ts"])


HANDLERS: dict[str, Handler] = {
    "chat.postMessage": post_message,
    "chat.update": update_message,
    "chat.delete": delete_message,
    "chat.postEphemeral": post_ephemeral,
    "chat.getPermalink": permalink,
    "files.getUploadURLExternal": upload_url,
    "files.completeUploadExternal": complete_upload,
}
