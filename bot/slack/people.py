"""Looks up people and user groups in Slack, and records them."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from slack_sdk import WebClient

from bot.core.errors import SystemRefused
from bot.core.model import Person
from bot.core.roles import references
from bot.core.values import classify
from bot.operations._unit_of_work import Context
from bot.operations.people.find_by_email import find_by_email
from bot.operations.people.record_people import record_emails, record_groups, record_people
from bot.operations.policy.find_unresolved import unresolved
from bot.slack.api import Caller, pages, patient

PAGE = 200
"""Members a page, as Slack recommends (https://docs.slack.dev/apis/web-api/pagination)."""


class SlackPeople:
    """`client` should give up within a few seconds, because a person may wait for the answer.
    `team` gives the id of our workspace, or "" while it is unknown."""

    def __init__(self, client: WebClient, world: Context, team: Callable[[], str]) -> None:
        self._client, self._call, self._world, self._team = client, Caller(client), world, team
        self._resolving, self._reading = threading.Lock(), threading.Lock()
        self._begun = self._done = 0

    def look_up(self, person: str) -> Person:
        """The person as Slack describes them now; a person unknown to Slack is a stranger.

        Raises SystemUnavailable when Slack does not answer.
        """
        now = self._world.now()
        try:
            answer = self._call("users.info", user=person)
        except SystemRefused as refused:
            if refused.code not in ("user_not_found", "user_not_visible", "users_not_found"):
                raise
            return Person(person, person, "", "UTC", "", now, stranger=True)
        return person_from(answer["user"], now, self._team())

    def confirm(self, person: str, groups: bool) -> Person:
        """Looks up the person, and with `groups` reads all groups at the same time. Raises the
        errors of `look_up` and `refresh_groups`."""
        if not groups:
            return self.look_up(person)
        with ThreadPoolExecutor(1, thread_name_prefix="person") as beside:
            found = beside.submit(self.look_up, person)
            self.refresh_groups()
            return found.result()

    def refresh_groups(self) -> None:
        """Reads every user group with its members. Callers who arrive before a call begins share
        it: Slack allows about 20 calls of usergroups.list a minute, which gives every group, and no
        more of usergroups.users.list, which gives one
        (https://docs.slack.dev/apis/web-api/rate-limits).

        Raises SystemUnavailable, SystemRefused and StorageUnavailable.
        """
        wanted = self._begun + 1
        with self._reading:
            if self._done >= wanted:
                return
            self._begun = begun = self._begun + 1
            self._read_groups()
            self._done = begun

    def _read_groups(self) -> None:
        now = self._world.now()
        answer = self._call("usergroups.list", include_users=True)
        living = (group for group in answer.get("usergroups", []) if not group.get("date_delete"))
        record_groups(
            self._world, [(g["id"], g["handle"], g.get("users") or []) for g in living], now
        )

    def refresh_people(self) -> None:
        """Reads every member of the workspace, page by page, and the e-mails in roles.toml that are
        still unknown. Waits when Slack asks for a pause."""
        now = self._world.now()
        for page in pages(patient(self._client), "users.list", limit=PAGE):
            record_people(
                self._world,
                [person_from(user, now, self._team()) for user in page.get("members", [])],
            )
        emails = [
            ref for ref in sorted(references(self._world.policy())) if classify(ref) == "email"
        ]
        for ref in emails:
            if find_by_email(self._world, ref) is None:
                self._look_up_email(ref)
        record_emails(self._world, emails)

    def resolve(self, refs: Sequence[str]) -> None:
        """Looks up these references of roles.toml, except those that another thread has looked up
        meanwhile."""
        with self._resolving:
            refs = unresolved(self._world, refs)  # another thread may have looked them up
            if any(classify(ref) != "email" for ref in refs):
                self.refresh_groups()
            emails = [ref for ref in refs if classify(ref) == "email"]
            for ref in emails:
                self._look_up_email(ref)
            if emails:
                record_emails(self._world, emails)

    def _look_up_email(self, email: str) -> None:
        try:
            answer = self._call("users.lookupByEmail", email=email)
        except SystemRefused as refused:
            if refused.code != "users_not_found":
                raise
            return  # no account has that address
        record_people(self._world, [person_from(answer["user"], self._world.now(), self._team())])


def person_from(user: dict[str, Any], now: int, team: str) -> Person:
    """A user object of Slack as a Person (https://docs.slack.dev/reference/objects/user-object). An
    account outside `team` is a stranger, unless an Enterprise organisation has it in several
    workspaces."""
    profile = user.get("profile") or {}
    teams = {str(user.get("team_id") or ""), *(user.get("enterprise_user") or {}).get("teams", ())}
    return Person(
        id=user["id"],
        name=str(
            profile.get("real_name") or user.get("real_name") or user.get("name") or user["id"]
        ),
        email=str(profile.get("email") or ""),
        tz=str(user.get("tz") or "UTC"),
        team=str(user.get("team_id") or ""),
        checked_at=now,
        deleted=bool(user.get("deleted")),
        bot=bool(user.get("is_bot")) or user["id"] == "USLACKBOT",
        guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        stranger=bool(user.get("is_stranger")) or bool(team and team not in teams),
        unconfirmed=bool(user.get("is_invited_user")) or user.get("is_email_confirmed") is False,
    )
