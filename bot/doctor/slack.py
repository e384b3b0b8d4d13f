"""Checks Slack: tokens, scopes, channels, and the people and groups that roles.toml names."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from slack_sdk import WebClient

from bot.core.authority import tiers_of
from bot.core.errors import (
    AccessBotError,
    SchemaMismatch,
    StorageUnavailable,
    SystemRefused,
    SystemUnavailable,
)
from bot.core.model import Directory, folded
from bot.core.plurals import counted
from bot.core.roles import Policy, Role, references
from bot.doctor.findings import Deployment, Finding, fail, ok, unchecked, warn
from bot.operations.messages.keep_channels import channels_of, known_place
from bot.operations.policy.find_bindings import find_bindings
from bot.slack.api import call, pages, patient, sorted_errors
from bot.slack.channels import list_channels
from bot.slack.identity import app_of
from bot.slack.manifest import OPTIONAL, SCOPES
from bot.slack.people import PAGE, person_from

SKEW = 5
"""Seconds by which this machine's clock may differ from Slack's."""


@dataclass(frozen=True, slots=True)
class Identified:
    """Slack's answer to `auth.test`; names of `headers` are in lower case, `at` is this machine's
    time."""

    answer: Mapping[str, Any]
    headers: Mapping[str, str]
    at: float

    @property
    def granted(self) -> frozenset[str]:
        """The scopes of the bot token."""
        scopes = self.headers.get("x-oauth-scopes", "").split(",")
        return frozenset(scope.strip() for scope in scopes) - {""}

    @property
    def invite(self) -> str:
        return f"/invite @{self.answer.get('user', 'access')}"


def slack(deployment: Deployment) -> Iterator[Finding]:
    """Yields the findings about Slack; only the first, if Slack rejects the bot token."""
    try:
        who = _identify(deployment)
    except SystemRefused as error:
        yield unchecked(
            "SLACK_BOT_TOKEN",
            f"Slack rejects it ({error}): install the app and copy its Bot User OAuth Token; "
            "scopes, channels and people were not checked",
        )
        return
    except SystemUnavailable as error:
        yield unchecked(
            "Slack", f"{error}: try again later; scopes, channels and people were not checked"
        )
        return
    yield ok("SLACK_BOT_TOKEN", f"valid for @{who.answer.get('user')} in {who.answer.get('team')}")
    for subject, check in LIVE.items():
        try:
            yield from check(deployment, who)
        except AccessBotError as error:
            yield unchecked(subject, f"could not be checked: {error}")


def _identify(deployment: Deployment) -> Identified:
    with sorted_errors("auth.test"):
        answer = deployment.client.api_call("auth.test")
    headers = {str(name).lower(): str(value) for name, value in answer.headers.items()}
    return Identified(
        answer.data if isinstance(answer.data, dict) else {}, headers, deployment.wall()
    )


def scopes(deployment: Deployment, who: Identified) -> Iterator[Finding]:
    """Compares the app's scopes with the manifest (https://docs.slack.dev/reference/scopes)."""
    missing = [scope for scope in SCOPES if scope not in who.granted]
    for scope in (scope for scope in missing if scope in OPTIONAL):
        yield ok("scopes", f"{scope} is optional and not granted: {OPTIONAL[scope]}")
    for scope in (scope for scope in missing if scope not in OPTIONAL):
        yield fail(
            "scopes",
            f"{scope} is missing; the bot needs it to {SCOPES[scope]}: add it and reinstall"
            " the app",
        )
    if more := sorted(who.granted - set(SCOPES)):
        yield warn("scopes", f"{', '.join(more)}: not needed; remove from the app")
    if who.granted == set(SCOPES):
        yield ok("scopes", f"exactly the {len(SCOPES)} that the bot needs")


def events(deployment: Deployment, who: Identified) -> Iterator[Finding]:
    """Checks the secret or token with which events arrive."""
    settings = deployment.settings
    if settings.slack_mode == "http":
        yield ok("SLACK_SIGNING_SECRET", "set; only a signed request from Slack proves it right")
        return
    client = patient(
        WebClient(token=settings.slack_app_token, base_url=settings.slack_api_url, timeout=10)
    )
    try:
        call(client, "apps.connections.open")
        own = app_of(deployment.client, str(who.answer.get("user_id", "")))
        of_token = re.match(r"xapp-\d+-(A[A-Z0-9]+)-", settings.slack_app_token)
        if own and of_token and of_token[1] != own:
            problem = f"belongs to the app {of_token[1]}, but SLACK_BOT_TOKEN to {own}"
            yield fail("SLACK_APP_TOKEN", f"{problem}: copy both from one app")
            return
        yield ok("SLACK_APP_TOKEN", "valid; Socket Mode opens")
    except SystemRefused as error:
        advice = "create an app-level token with connections:write and turn Socket Mode on"
        yield fail("SLACK_APP_TOKEN", f"Slack rejects it ({error}): {advice}")


def clock(deployment: Deployment, who: Identified) -> Iterator[Finding]:
    """Compares this machine's clock, by which access ends, with Slack's."""
    try:
        skew = round(who.at - parsedate_to_datetime(who.headers.get("date", "")).timestamp())
    except ValueError:
        yield warn("clock", "Slack's answer has no date to compare with")
        return
    if abs(skew) > SKEW:
        way = "ahead of" if skew > 0 else "behind"
        yield warn(
            "clock", f"{abs(skew)} s {way} Slack's: access ends at the wrong time; turn NTP on"
        )
    else:
        yield ok("clock", f"within {SKEW} s of Slack's")


def channels(deployment: Deployment, who: Identified) -> Iterator[Finding]:
    """Checks that each channel exists, has the bot as a member, and is the one that the bot posts
    to."""
    wanted = channels_of(deployment.policy)
    named = list_channels(deployment.client) if any(ref.startswith("#") for ref in wanted) else {}
    used = _ids_in_use(deployment, wanted)
    reads_private = "groups:read" in who.granted
    bad = 0
    for ref in sorted(wanted):
        by_name = ref.startswith("#")
        found = named.get(ref) if by_name else _channel(deployment.client, ref, reads_private)
        for finding in _channel_findings(ref, found, used.get(ref), who.invite, reads_private):
            bad += 1
            yield finding
    if not bad:
        yield ok("channels", f"{', '.join(sorted(wanted))}: the bot is in each of them")


def _ids_in_use(deployment: Deployment, wanted: Iterable[str]) -> Mapping[str, str]:
    """Returns the channel id that the database holds for each name."""
    world = deployment.base.world
    return _kept(
        deployment, lambda: {ref: kept for ref in wanted if (kept := known_place(world, ref).id)}
    )


def _kept(deployment: Deployment, read: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """Reads from the database; returns nothing if the bot has never run."""
    db, url = deployment.base.db, deployment.settings.database_url
    if db.is_sqlite and not Path(url.removeprefix("sqlite:///")).exists():
        return {}
    try:
        db.check_schema()
        return read()
    except (SchemaMismatch, StorageUnavailable):
        return {}  # reported under "database"


def _channel(client: WebClient, channel: str, reads_private: bool) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = call(client, "conversations.info", channel=channel)["channel"]
    except SystemRefused as error:
        hidden = "channel_not_found" if reads_private else "missing_scope"
        if error.code not in ("channel_not_found", hidden):
            raise
        return None
    return found


def _channel_findings(
    ref: str,
    found: Mapping[str, Any] | None,
    used: str | None,
    invite: str,
    reads_private: bool,
) -> Iterator[Finding]:
    """Yields the reasons why the bot can't post there or posts elsewhere, and the other readers."""
    subject = f"channel {ref}"
    if found is None and not reads_private and not ref.startswith("#"):
        advice = f"type {invite} there if it is private, which only groups:read can check"
        yield warn(subject, f"can't be looked up: {advice}")
        return
    if found is None:
        advice = f"create it, or type {invite} there if it is private"
        if not reads_private:
            advice = "create it, or name it by its id if it is private, because of groups:read"
        yield fail(subject, f"not found: {advice}{f' (the bot still uses {used})' if used else ''}")
        return
    if found.get("is_archived"):
        yield fail(subject, "archived: unarchive it, or name another channel in roles.toml")
    elif not found.get("is_member"):
        yield fail(subject, f"the bot is not in it: type {invite} there")
    if used and used != found["id"]:
        advice = "it checks every ten minutes; save roles.toml or restart the bot to check now"
        yield fail(subject, f"is {found['id']} now, but the bot still posts to {used}: {advice}")
    if found.get("is_ext_shared") or found.get("is_pending_ext_shared"):
        yield warn(subject, "shared with another company, whose members can read every request")


def people(deployment: Deployment, who: Identified) -> Iterator[Finding]:
    """Checks that roles.toml names full members of the workspace, by the rules of the bot
    itself."""
    directory, fit = _directory(deployment, str(who.answer.get("team_id", "")))

    def count(refs: tuple[str, ...]) -> int:
        return len(directory.resolve(refs) & fit)

    bound = _kept(deployment, lambda: find_bindings(deployment.base.world))
    found = [*_moved(deployment.policy, directory, bound)]
    found += _people_findings(deployment.policy, count, directory.called)
    yield from found
    if not found:
        yield ok(
            "people",
            f"leads, approvers and requesters of {counted(len(deployment.policy.roles), 'role')}"
            " are full members",
        )
    yield from _ids(deployment.policy, directory, bound)


def _moved(policy: Policy, directory: Directory, bound: Mapping[str, str]) -> Iterator[Finding]:
    """Yields handles and e-mails that lead to another group or account than the stored one."""
    for ref, now, was in _leading(policy, directory, bound):
        if now != was:
            advice = (
                f"if the change is right, write {now} in roles.toml, if not, treat it as an attack"
            )
            changed = f"leads to {now} now, but is bound to {was}: it gives nobody authority"
            yield fail(ref, f"{changed}; {advice}")


def _leading(
    policy: Policy, directory: Directory, bound: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Yields each known handle and e-mail with the id it leads to and the stored id."""
    known = {**directory.handles, **directory.emails}
    for ref in sorted(references(policy)):
        if now := known.get(ref) or known.get(folded(ref)):
            yield ref, now, bound.get(ref) or bound.get(folded(ref)) or now


def _ids(policy: Policy, directory: Directory, bound: Mapping[str, str]) -> Iterator[Finding]:
    """Yields the ids that are safer in roles.toml than handles and e-mails, which can be
    reassigned."""
    if found := [
        f"{ref} is {now}" for ref, now, was in _leading(policy, directory, bound) if now == was
    ]:
        yield ok(
            "ids",
            f"{', '.join(found)}; ids are safer in roles.toml, because handles and e-mails can be"
            " reassigned",
        )


Refs = Iterable[str]


def _people_findings(
    policy: Policy, count: Callable[[tuple[str, ...]], int], called: Callable[[Refs], Refs]
) -> Iterator[Finding]:
    leads = policy.workspace.leads
    if not count(leads):
        yield fail(
            "workspace.leads",
            f"{', '.join(called(leads))}: no full member, so nobody can revoke or audit in Slack",
        )
    for role in policy.roles.values():
        yield from _role_findings(role, count, called)
    nobody = [ref for ref in sorted(references(policy)) if not count((ref,))]
    if nobody:
        yield warn(
            "people",
            f"{', '.join(called(nobody))}: no full member of the workspace, or no such group or"
            " account; correct roles.toml or the group",
        )


def _role_findings(
    role: Role, count: Callable[[tuple[str, ...]], int], called: Callable[[Refs], Refs]
) -> Iterator[Finding]:
    for tier in tiers_of(role):
        able = count(tier.approvers)
        if able < tier.approvals:
            named = ", ".join(called(tier.approvers))
            found = f"{named}: full members found: {able}, needed: {tier.approvals}"
            key = f"roles.{role.name}.{'tiers' if tier.name else 'approvers'}"
            yield fail(key, f"{found}; no request can be approved")
    if "everyone" not in role.requesters and not count(role.requesters):
        yield warn(
            f"roles.{role.name}.requesters",
            f"{', '.join(called(role.requesters))}: nobody can request the role",
        )


def _directory(deployment: Deployment, team: str) -> tuple[Directory, frozenset[str]]:
    """Returns the groups and people in Slack, and the ids of the full members."""
    living = call(deployment.client, "usergroups.list", include_users=True).get("usergroups", [])
    groups: dict[str, frozenset[str]] = {}
    handles: dict[str, str] = {}
    for group in (group for group in living if not group.get("date_delete")):
        groups[group["id"]] = groups["@" + group["handle"]] = frozenset(group.get("users") or [])
        handles["@" + group["handle"]] = group["id"]
    listed = pages(deployment.client, "users.list", limit=PAGE)
    members = [user for page in listed for user in page.get("members", [])]
    known = [person_from(user, int(deployment.wall()), team) for user in members]
    emails = {folded(person.email): person.id for person in known if person.email}
    fit = frozenset(person.id for person in known if person.ineligible_reason() is None)
    return Directory(groups, emails, handles=handles), fit


LIVE: Mapping[str, Callable[[Deployment, Identified], Iterator[Finding]]] = {
    "scopes": scopes,
    "Slack's events": events,
    "clock": clock,
    "channels": channels,
    "people": people,
}
