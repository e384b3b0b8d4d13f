"""Finds the channel of a name in roles.toml, and calls Slack with its id."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from slack_sdk import WebClient

from bot.core.errors import SystemRefused, SystemUnavailable
from bot.operations._unit_of_work import Context
from bot.operations.messages.keep_channels import (
    Listing,
    channels_of,
    known_place,
    place_works,
    record_channels,
)
from bot.slack.api import LOCKED_OUT, Caller, pages, patient

log = logging.getLogger(__name__)

PAGE = 1000
"""Channels on one page: Slack's maximum, because it allows 20 calls a minute."""

GONE = frozenset(["is_archived", "not_in_channel", "channel_not_found"])
"""Errors after which a name is looked up again, because another channel may have it now."""

LOOK_UPS_APART = 10.0
"""Seconds before a name is looked up again because of the same error about the same channel."""

Found = Mapping[str, Mapping[str, Any]]


def list_channels(client: WebClient) -> Found:
    """Every channel that the bot can see, by `#name`; an archived one only if no other has its
    name.

    Raises SystemUnavailable, OutcomeUnknown and SystemRefused.
    """
    return _by_name(_every(client))


def _every(client: WebClient) -> list[Mapping[str, Any]]:
    """The public and private channels; only the public ones if the app was installed without
    `groups:read`, which is optional."""
    try:
        return _of_kinds(client, "public_channel,private_channel")
    except SystemRefused as refused:
        if refused.code != "missing_scope":
            raise
        return _of_kinds(client, "public_channel")


def _of_kinds(client: WebClient, kinds: str) -> list[Mapping[str, Any]]:
    listed = pages(client, "conversations.list", types=kinds, limit=PAGE)
    return [channel for page in listed for channel in page.get("channels", [])]


def _by_name(channels: Sequence[Mapping[str, Any]]) -> Found:
    found: dict[str, Mapping[str, Any]] = {}
    for channel in channels:
        name = f"#{channel['name']}"
        if name not in found or not channel.get("is_archived"):
            found[name] = channel
    return found


class Channels:
    """`call` raises SystemUnavailable, OutcomeUnknown and SystemRefused, and so does every
    method."""

    def __init__(self, client: WebClient, call: Caller, world: Context) -> None:
        self._client, self._call, self._world = client, call, world
        self._looking = threading.Lock()
        self._looked: dict[tuple[str, str], float] = {}
        self._not_before = 0.0

    def reach(self, ref: str, method: str, **arguments: Any) -> dict[str, Any]:
        """Calls `method` with the id of a channel, given by id or `#name`, or of a person. A name
        whose channel can't be reached is looked up again, and the channel that has it now is used.
        """
        known = known_place(self._world, ref)
        channel = self._id(ref, known.id)
        try:
            answer = self._call(method, channel=channel, **arguments)
        except SystemRefused as refused:
            if refused.code not in GONE or (now := self._moved(ref, channel)) == channel:
                raise
            answer = self._call(method, channel=now, **arguments)
        if known.is_failing:
            place_works(self._world, ref)
        return answer

    def refresh(self) -> Listing | None:
        """Every channel that the bot can see; None if Slack refuses, or roles.toml names none by
        name. Waits when Slack asks for a pause."""
        if not any(ref.startswith("#") for ref in channels_of(self._world.policy())):
            return None
        try:
            return _listing(_every(patient(self._client)))
        except SystemRefused as refused:
            if refused.code in LOCKED_OUT:
                raise
            log.error("names of channels can't be looked up: %s", refused)
            return None

    def _id(self, ref: str, known: str | None) -> str:
        if not ref.startswith("#"):
            return ref
        if found := known or self._moved(ref, ""):
            return found
        raise SystemRefused(
            "channel_not_found",
            f"create {ref}, or, if it is private, invite the bot there; without the scope"
            " groups:read, name it by its id",
        )

    def _moved(self, ref: str, was: str) -> str:
        """The id of the channel that has the name now; `was` if it has not changed."""
        if not ref.startswith("#"):
            return was
        self._look_up(ref, was)
        return known_place(self._world, ref).id or was

    def _look_up(self, ref: str, was: str) -> None:
        """Looks names up, one thread at a time. Other threads raise instead of waiting: their
        messages are retried."""
        if not self._looking.acquire(blocking=False):
            raise SystemUnavailable(f"{ref} is being looked up", retry_after=1)
        try:
            now = time.monotonic()
            if now - self._looked.get((ref, was), -LOOK_UPS_APART) < LOOK_UPS_APART:
                return
            if now < self._not_before:
                raise SystemUnavailable("Slack asked for a pause", ceil(self._not_before - now))
            record_channels(self._world, _listing(_every(self._client)))
            self._looked[ref, was] = time.monotonic()
        except SystemUnavailable as error:
            self._not_before = max(self._not_before, time.monotonic() + (error.retry_after or 0))
            raise
        finally:
            self._looking.release()


def _listing(channels: Sequence[Mapping[str, Any]]) -> Listing:
    return Listing(
        ids={name: str(channel["id"]) for name, channel in _by_name(channels).items()},
        seen=frozenset(str(channel["id"]) for channel in channels),
        archived=frozenset(
            str(channel["id"]) for channel in channels if channel.get("is_archived")
        ),
    )
