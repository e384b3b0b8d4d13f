"""AWS IAM Identity Center: a grant is an assignment of permission sets in one account.

Calls and answers follow the published API references of IAM Identity Center (sso-admin) and its
identity store. AWS applies a request a little later, so an assignment counts only when the request
has succeeded and the list shows it.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)

from bot.connectors.aws.kind import wrong_settings
from bot.connectors.base import AccessInstructions, ConnectorDeps, fingerprint
from bot.connectors.membership import MembershipState, SharedMembership, refuse_unknown
from bot.connectors.redaction import redacted
from bot.connectors.settings import refuse_wrong
from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder, folded
from bot.core.roles import System

ARN = re.compile(r"arn:aws[a-z-]*:sso:::permissionSet/ssoins-[0-9a-zA-Z]{16}/ps-[0-9a-zA-Z]{16}")
PAUSES = (0.2, 0.5, 1, 2, 3, 3, 3)
"""Seconds between the checks of a request that is in progress. After the last one, a later attempt
checks it."""

LATER = 10
"""Seconds until that later attempt."""

READ_TIMEOUT = 10.0
"""Seconds for one answer."""

_WHICH = ("region", "instance_arn", "account_id", "endpoint_url")
"""The settings that identify the system for a revocation."""

Client = Any


def make(system: System, tools: ConnectorDeps) -> "Aws":
    """The connector of `[systems.NAME]`. Raises ValueError for wrong settings."""
    return Aws(system, tools, Assignments(system, tools))


class Aws(SharedMembership):
    def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions:
        """Instructions without a secret: the holder signs in as usual."""
        where = f"account {self._settings['account_id']} and {', '.join(order.actions)}"
        portal = f"In the AWS access portal: {where}."
        once, then = (
            f"`aws {do} --profile {order.system}`" for do in ("configure sso", "sso login")
        )
        return AccessInstructions(
            {},
            (
                portal,
                (
                    f"On the command line: {once}, with the portal's address and {where}; from then"
                    f" on {then}."
                ),
            ),
        )


class Assignments:
    """`account` is the id of a user in the identity store, `thing` the ARN of a permission set."""

    def __init__(self, system: System, tools: ConnectorDeps) -> None:
        settings = {
            name: str(value) for name, value in system.settings.items() if value is not None
        }
        refuse_wrong(wrong_settings(settings))
        self._pins, self._account = tools.pins, settings["account_id"]
        self.target = fingerprint(*(settings.get(name, "") for name in _WHICH))
        self._instance, self._store_id = settings["instance_arn"], settings["identity_store_id"]
        self._sso, self._store = _clients(settings)
        self._arns: dict[str, str] = {}

    # --- the account of a person

    def account(self, order: ProvisionOrder) -> str:
        if known := self._pins.get(order.system, order.person.id, self._store_id):
            return known
        email = order.person.email
        found = next(
            (user for each in (email, folded(email)) if each and (user := self._user(each))), None
        )
        if found is None or not _has_email(found, email):
            raise refuse_unknown(email, 0, "IAM Identity Center")
        if found.get("UserStatus", "ENABLED") != "ENABLED":
            raise SystemRefused(
                "not_active",
                f"the Identity Center user {email} is disabled",
                f"Your user in IAM Identity Center, {email}, is disabled: ask its"
                " administrator to enable it.",
            )
        return self._pins.keep(order.system, order.person.id, str(found["UserId"]), self._store_id)

    def _user(self, email: str) -> dict[str, Any] | None:
        """By an attribute that the identity store keeps unique: `emails.value` of GetUserId."""
        unique = {"UniqueAttribute": {"AttributePath": "emails.value", "AttributeValue": email}}
        known = _ask(
            self._store.get_user_id, IdentityStoreId=self._store_id, AlternateIdentifier=unique
        )
        if known is None:
            return None
        user: dict[str, Any] = _ask(
            self._store.describe_user, IdentityStoreId=self._store_id, UserId=known["UserId"]
        )
        return user

    # --- the permission set of an action

    def thing(self, action: str) -> str:
        arn = action if ARN.fullmatch(action) else self._arns.get(action)
        found = self._described(arn) if arn else None
        if found is None or action not in (arn, found["Name"]):
            arn = self._named(action)
        return str(arn)

    def _named(self, name: str) -> str:
        """The API can't search by name, so the name of every permission set is read once."""
        for arn in _pages(
            self._sso, "list_permission_sets", "PermissionSets", InstanceArn=self._instance
        ):
            if (found := self._described(arn)) is not None:
                self._arns[found["Name"]] = arn
                if name in (found["Name"], arn):
                    return str(arn)
        raise SystemRefused(
            "no_permission_set", f"IAM Identity Center has no permission set {name}"
        )

    def _described(self, arn: str) -> dict[str, Any] | None:
        found = _ask(
            self._sso.describe_permission_set, InstanceArn=self._instance, PermissionSetArn=arn
        )
        described: dict[str, Any] | None = found and found["PermissionSet"]
        return described

    # --- having it

    def has(self, account: str, thing: str) -> MembershipState:
        if self._listed(account, thing):
            return MembershipState.YES
        if self._under_way("creation", account, thing):
            raise SystemUnavailable("the assignment is still being made", LATER)
        return MembershipState.NOT

    def _listed(self, account: str, thing: str) -> bool:
        asked = {
            "InstanceArn": self._instance,
            "AccountId": self._account,
            "PermissionSetArn": thing,
        }
        found = _pages(self._sso, "list_account_assignments", "AccountAssignments", **asked)
        return any(
            (each["PrincipalType"], each["PrincipalId"]) == ("USER", account) for each in found
        )

    def give(self, account: str, thing: str) -> None:
        """An assignment that is being deleted stays in the list meanwhile; it does not count."""
        if deletion := self._under_way("deletion", account, thing):
            self._finished("deletion", deletion)
        request = self._under_way("creation", account, thing)
        if request is None and self._listed(account, thing):
            return
        if request is None:
            answer = _ask(self._sso.create_account_assignment, **self._assignment(account, thing))
            request = _status(answer, "creation")["RequestId"]
        status = self._finished("creation", request)
        if status["Status"] != "SUCCEEDED":
            raise SystemUnavailable(
                f"AWS could not make the assignment: {_clean(status.get('FailureReason'))}"
            )

    def take(self, account: str, thing: str) -> None:
        """Deletes the assignment even if the list does not show it, because the list lags. The
        deletion may fail if there is none; the list decides whether it is gone."""
        if request := self._under_way("creation", account, thing):
            self._finished("creation", request)
        request = self._under_way("deletion", account, thing)
        if request is None:
            answer = _ask(self._sso.delete_account_assignment, **self._assignment(account, thing))
            request = _status(answer, "deletion")["RequestId"] if answer else None
        if request:
            self._finished("deletion", request)

    def _assignment(self, account: str, thing: str) -> dict[str, str]:
        target = {"TargetId": self._account, "TargetType": "AWS_ACCOUNT"}
        who = {"PrincipalType": "USER", "PrincipalId": account}
        return {"InstanceArn": self._instance, "PermissionSetArn": thing, **target, **who}

    # --- requests that are under way

    def _under_way(self, what: str, account: str, thing: str) -> str | None:
        """The id of an unfinished request for the same assignment, made by any process."""
        found = _pages(
            self._sso,
            f"list_account_assignment_{what}_status",
            f"AccountAssignments{what.title()}Status",
            InstanceArn=self._instance,
            Filter={"Status": "IN_PROGRESS"},
        )
        wanted = self._assignment(account, thing)
        for each in found:
            status = self._look(what, each["RequestId"])
            if all(
                status.get(key) == value for key, value in wanted.items() if key != "InstanceArn"
            ):
                return str(each["RequestId"])
        return None

    def _look(self, what: str, request: str) -> dict[str, Any]:
        call = getattr(self._sso, f"describe_account_assignment_{what}_status")
        asked = {f"AccountAssignment{what.title()}RequestId": request}
        return _status(_ask(call, InstanceArn=self._instance, **asked), what)

    def _finished(self, what: str, request: str) -> dict[str, Any]:
        """The status of a finished request. Raises SystemUnavailable if it takes too long."""
        for pause in (*PAUSES, None):
            status = self._look(what, request)
            if status.get("Status") in ("SUCCEEDED", "FAILED"):
                return status
            if pause is not None:
                time.sleep(pause)
        raise SystemUnavailable(f"AWS is still busy with the {what} of the assignment", LATER)

    def troubles(self) -> Iterator[str]:
        next(
            iter(
                _pages(
                    self._sso, "list_permission_sets", "PermissionSets", InstanceArn=self._instance
                )
            ),
            None,
        )
        _ask(self._store.list_users, IdentityStoreId=self._store_id, MaxResults=1)
        yield from ()


def _clients(settings: Mapping[str, str]) -> tuple[Client, Client]:
    """The clients of sso-admin and identitystore.

    They share one session, so that botocore's large files are read once. They do not retry, because
    only the dispatcher knows which calls may be repeated.
    """
    config = Config(
        connect_timeout=5,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    try:
        session = boto3.session.Session(region_name=settings["region"])
        known = {"endpoint_url": settings.get("endpoint_url"), "config": config}
        return session.client("sso-admin", **known), session.client("identitystore", **known)
    except (BotoCoreError, ValueError) as error:
        raise ValueError(f"AWS can't be asked with these settings: {_clean(error)}") from None


def _ask(call: Callable[..., Any], **asked: Any) -> Any:
    """The answer, or None if the thing does not exist."""
    try:
        return call(**asked)
    except (ClientError, BotoCoreError) as error:
        if _code(error) == "ResourceNotFoundException":
            return None
        raise _translated(error) from None


def _pages(client: Client, call: str, key: str, **asked: Any) -> Sequence[Any]:
    try:
        return [each for page in client.get_paginator(call).paginate(**asked) for each in page[key]]
    except (ClientError, BotoCoreError) as error:
        if _code(error) == "ResourceNotFoundException":
            return []
        raise _translated(error) from None


def _status(answer: Any, what: str) -> dict[str, Any]:
    found: dict[str, Any] = (answer or {}).get(f"AccountAssignment{what.title()}Status") or {}
    return found


def _has_email(user: Mapping[str, Any], email: str) -> bool:
    return any(
        folded(str(each.get("Value") or "")) == folded(email) for each in user.get("Emails") or []
    )


# --- foreign errors


def _code(error: Exception) -> str:
    return (
        str(error.response.get("Error", {}).get("Code", ""))
        if isinstance(error, ClientError)
        else ""
    )


def _clean(words: object) -> str:
    text = redacted(str(words or "it does not say why"))
    return "".join(char if char.isprintable() else " " for char in text)[:200]


def _translated(error: Exception) -> SystemUnavailable | SystemRefused:
    if not isinstance(error, ClientError):
        kind = (
            OutcomeUnknown
            if isinstance(error, (ReadTimeoutError, ConnectionClosedError))
            else SystemUnavailable
        )
        return kind(f"AWS did not answer: {type(error).__name__}")
    code, meta = _code(error), error.response.get("ResponseMetadata", {})
    if code in _PASSING or int(meta.get("HTTPStatusCode") or 500) >= 500:
        wait = str(meta.get("HTTPHeaders", {}).get("retry-after", ""))
        return SystemUnavailable(
            f"AWS: {code or 'no code'}", int(wait) if re.fullmatch("[0-9]{1,3}", wait) else None
        )
    reason = f"AWS: {_clean(error.response.get('Error', {}).get('Message') or code)}"
    return SystemRefused(_CODES.get(code, code or "refused"), reason)


_PASSING = frozenset(
    {
        "ConflictException",  # another request for the same is under way
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalServerException",
        "RequestTimeout",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_CODES: Mapping[str, str] = {
    "AccessDeniedException": "not_allowed",
    "InvalidClientTokenId": "token_not_accepted",
    "InvalidSignatureException": "token_not_accepted",
    "UnrecognizedClientException": "token_not_accepted",
}
