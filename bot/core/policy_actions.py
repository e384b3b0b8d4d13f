"""Decides what the actions of a role may be, by the kind of system that they are for. It knows no system: whether one
has what an action names, `access-bot doctor` asks.
"""

import re
from collections.abc import Callable, Mapping

from bot.core import postgres_actions
from bot.core.policy_values import SCOPE, did_you_mean, quoted


def _scope(action: str) -> str:
    return "" if SCOPE.fullmatch(action) else f"{quoted(action)} is not a scope: no spaces, quotes or backslashes"


def _postgres(action: str) -> str:
    wrong = postgres_actions.problem(action)
    return wrong and f"{quoted(action)} is not the body of a GRANT: {wrong}"


def _permission_set(action: str) -> str:
    """Its name or ARN, as the API reference of IAM Identity Center has them."""
    arn = r"arn:aws[a-z-]*:sso:::permissionSet/ssoins-[0-9a-zA-Z]{16}/ps-[0-9a-zA-Z]{16}"
    fine = re.fullmatch(rf"[\w+=,.@-]{{1,32}}|{arn}", action, re.ASCII)
    return "" if fine else f"{quoted(action)} is not the name of a permission set, nor its ARN"


def _slug(action: str) -> str:
    words = "is not a team's slug: the end of its address, small letters, digits, - and _"
    return "" if re.fullmatch(r"[a-z0-9_-]{1,100}", action) else f"{quoted(action)} {words}"


def _role_name(action: str) -> str:
    """What Kubernetes lets a Role or ClusterRole be called: anything that can stand as one part of a path."""
    fine = action not in (".", "..") and not re.search(r"[/%\s]", action) and action.isprintable()
    return "" if fine else f"{quoted(action)} is not the name of a Role or ClusterRole"


SSH_EXTENSIONS = ("pty", "port-forwarding", "agent-forwarding", "X11-forwarding", "user-rc")
"""What a certificate may permit besides running a command (OpenSSH's PROTOCOL.certkeys, "Extensions")."""


def _extension(action: str) -> str:
    if action in SSH_EXTENSIONS:
        return ""
    near = (type(action) is str and did_you_mean(action, SSH_EXTENSIONS)) or ": " + ", ".join(SSH_EXTENSIONS)
    return f"{quoted(action)} is no extension of an SSH certificate{near}"


ACTIONS: Mapping[str, Callable[[str], str]] = {
    "aws": _permission_set,
    "gateway": _scope,
    "github": _slug,
    "kubernetes": _role_name,
    "postgres": _postgres,
    "ssh": _extension,
}
"""What is wrong with one action, "" when nothing is; every kind that is not here takes what it is given."""
