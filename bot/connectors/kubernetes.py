"""Kubernetes: a grant is a RoleBinding of its own for each role, or a ClusterRoleBinding without a
namespace.

Calls and answers follow the published API reference, groups rbac.authorization.k8s.io/v1 and
authorization.k8s.io/v1. A binding is for the user whose name is the person's e-mail.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bot.connectors.actions import broad_in
from bot.connectors.base import (
    AccessInstructions,
    ConnectorDeps,
    ConnectorKind,
    ObservedAccess,
    fingerprint,
)
from bot.connectors.membership import refuse_unknown
from bot.connectors.settings import SystemTable, Text, api_url, checking, refuse_wrong, token
from bot.connectors.transport.rest import PAGES, Rest
from bot.core.errors import SystemRefused, SystemUnavailable, already_called
from bot.core.model import ProvisionOrder
from bot.core.roles import Role, Settings, System
from bot.core.values import quoted

RBAC = "rbac.authorization.k8s.io"
PIN = '; or name them: [people."USER-ID"] kubernetes = "NAME" in roles.toml'
_ROOT = ("apis", RBAC, "v1")
_OURS = {"app.kubernetes.io/managed-by": "access-bot"}
_SYSTEM, _GRANT = "access-bot/system", "access-bot/grant"


class Kubernetes:
    """One cluster, or one namespace of it. Raises ValueError for wrong settings."""

    def __init__(self, system: System, _tools: ConnectorDeps) -> None:
        self._system, settings = system.name, system.settings
        refuse_wrong(_wrong_settings(settings))
        self._namespace = str(settings.get("namespace") or "")
        headers = {"Authorization": f"Bearer {settings['token']}", "Accept": "application/json"}
        self.target = fingerprint(str(settings["server"]).rstrip("/"), self._namespace)
        self._rest = Rest(str(settings["server"]), headers, cafile=str(settings["ca"]))
        place = ("namespaces", self._namespace) if self._namespace else ()
        self._kind = "RoleBinding" if self._namespace else "ClusterRoleBinding"
        self._bindings = (*_ROOT, *place, f"{self._kind.lower()}s")

    def grant(self, order: ProvisionOrder) -> None:
        user = _user(order)
        if not user:
            raise refuse_unknown("", 0, "Kubernetes", PIN)
        first, *others = (
            self._binding(order.grant, name, action, user) for name, action in _names(order)
        )
        self._bind(first)
        with already_called():
            for binding in others:
                self._bind(binding)

    def _bind(self, wanted: dict[str, Any]) -> None:
        """The role of a binding can't be changed, so the bot replaces one that differs."""
        for _ in range(2):
            answer = self._rest.ask("POST", self._rest.url_of(*self._bindings), wanted, also=(409,))
            if answer.status != 409:
                return
            with already_called():
                if self._stands(wanted):
                    return
                self._delete(wanted["metadata"]["name"])
        name = wanted["metadata"]["name"]
        raise SystemUnavailable(f"the old {self._kind} {name} is not gone yet")

    def _stands(self, wanted: dict[str, Any]) -> bool:
        """Whether the binding of that name is the wanted one. Raises SystemRefused when it is not
        ours."""
        name = wanted["metadata"]["name"]
        found = self._rest.get(*self._bindings, name)
        if found is not None and _labels(found) != wanted["metadata"]["labels"]:
            raise SystemRefused(
                "taken", f"there is a {self._kind} {name} that this product did not make"
            )
        return found is not None and _same(found, wanted)

    def revoke(self, order: ProvisionOrder) -> None:
        for name in self._there(order):
            self._delete(name)

    def read_back(self, order: ProvisionOrder) -> bool:
        return bool(self._there(order))

    def _there(self, order: ProvisionOrder) -> set[str]:
        """The bindings of this grant: those with its label, and those with its name and any
        label."""
        labelled = {_name(found) for found in self._list({_GRANT: order.grant})}
        named = {
            name for name, _ in _names(order) if self._rest.get(*self._bindings, name) is not None
        }
        return labelled | named

    def _delete(self, name: str) -> None:
        self._rest.ask("DELETE", self._rest.url_of(*self._bindings, name))

    def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions:
        """Instructions without a secret: the holder logs in to the cluster as usual."""
        place = f"the namespace {self._namespace}" if self._namespace else "the whole cluster"
        option = f" --namespace {shlex.quote(self._namespace)}" if self._namespace else ""
        return AccessInstructions(
            {},
            (
                f"In {place}, with your own login as {_user(order)}.",
                f"`kubectl auth can-i --list{option}` shows what you may do.",
            ),
        )

    # --- the content of a binding

    def _binding(self, grant: str, name: str, action: str, user: str) -> dict[str, Any]:
        return {
            "apiVersion": f"{RBAC}/v1",
            "kind": self._kind,
            "metadata": {"name": name, "labels": {**_OURS, _SYSTEM: self._system, _GRANT: grant}},
            "roleRef": self._role(action),
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
        }

    def _role(self, action: str) -> dict[str, str]:
        """The Role of the namespace with this name, else the ClusterRole."""
        place = (*_ROOT, "namespaces", self._namespace, "roles", action)
        if self._namespace and self._rest.get(*place) is not None:
            return {"apiGroup": RBAC, "kind": "Role", "name": action}
        if self._rest.get(*_ROOT, "clusterroles", action) is not None:
            return {"apiGroup": RBAC, "kind": "ClusterRole", "name": action}
        raise SystemRefused("no_role", f"there is no Role or ClusterRole {action}")

    # --- the access that exists

    def list_active(self) -> Iterator[ObservedAccess]:
        """One for each grant; `name` has all of its bindings."""
        grants: dict[str, list[Any]] = {}
        for found in self._list({}):
            grants.setdefault(_labels(found).get(_GRANT, ""), []).append(found)
        for grant, bindings in grants.items():
            for group in [bindings] if grant else [[each] for each in bindings]:
                yield ObservedAccess(
                    ", ".join(sorted(map(_name, group))),
                    grant,
                    "; ".join(sorted(map(_described, group))),
                )

    def remove(self, found: ObservedAccess) -> None:
        listed = {_name(each) for each in self._list({})}
        for name in found.name.split(", "):
            if name in listed:
                self._delete(name)

    def _list(self, labels: Mapping[str, str]) -> Iterator[Any]:
        """Every binding with our labels and these."""
        wanted = {**_OURS, _SYSTEM: self._system, **labels}
        query = {
            "labelSelector": ",".join(f"{name}={value}" for name, value in wanted.items()),
            "limit": "500",
        }
        for _ in range(PAGES):
            page = self._rest.get(*self._bindings, **query)
            if page is None:
                raise SystemUnavailable("the cluster does not list bindings: is `server` right?")
            yield from page["items"]
            if not (more := page["metadata"].get("continue")):
                return
            query["continue"] = more
        raise SystemUnavailable("a list of the cluster does not end")

    # --- the doctor

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Binds each role in a dry run, which the cluster refuses if we may not bind it (API
        reference, `dryRun`)."""
        try:
            next(self._list({}), None)
            yield from self._missing()
        except (SystemUnavailable, SystemRefused) as error:
            yield str(error)
            return
        for role, actions in roles.items():
            yield from self._trouble(role, actions)

    def _missing(self) -> Iterator[str]:
        """The rights that a dry run does not show."""
        for verb in ("get", "delete"):
            what = {
                "group": RBAC,
                "resource": self._bindings[-1],
                "verb": verb,
                "namespace": self._namespace,
            }
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
            url = self._rest.url_of(
                "apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"
            )
            answer = self._rest.ask(
                "POST", url, {**body, "spec": {"resourceAttributes": what}}, also=()
            )
            if not answer.json()["status"]["allowed"]:
                yield f"our token may not {verb} {self._bindings[-1]}"

    def _trouble(self, role: str, actions: Iterable[str]) -> Iterator[str]:
        url = self._rest.url_of(*self._bindings, dryRun="All")
        for action in actions:
            try:
                wanted = self._binding("doctor", "access-doctor", action, "doctor@example.com")
                self._rest.ask("POST", url, wanted, also=())
            except (SystemUnavailable, SystemRefused) as error:
                yield f"{role}: {action}: {error}"


def _user(order: ProvisionOrder) -> str:
    """The holder's user name in the cluster, where user names are case-sensitive."""
    return order.names.get("kubernetes") or order.person.email


def _names(order: ProvisionOrder) -> list[tuple[str, str]]:
    """The name of each action's binding: the grant's, and a number from the second on."""
    first = f"access-{order.grant}"
    return [
        (first if place == 0 else f"{first}-{place + 1}", action)
        for place, action in enumerate(order.actions)
    ]


def _same(found: Any, wanted: Any) -> bool:
    """A bound ClusterRole stays bound, even if a Role of that name exists now."""
    return bool(
        found["roleRef"]["name"] == wanted["roleRef"]["name"]
        and found.get("subjects") == wanted["subjects"]
    )


def _name(binding: Any) -> str:
    return str(binding["metadata"]["name"])


def _labels(binding: Any) -> dict[str, str]:
    return dict(binding["metadata"].get("labels") or {})


def _described(binding: Any) -> str:
    who = ", ".join(str(subject.get("name")) for subject in binding.get("subjects") or [])
    return f"{binding['roleRef']['name']} for {who}"


class KubernetesTable(SystemTable):
    server: Text
    token: Text
    ca: Text
    namespace: Text | None = None


def _namespace(namespace: object, _: Settings) -> None:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", str(namespace)):  # RFC 1123 label
        raise ValueError("namespace must be the name of one namespace")


def _ca(ca: object, _: Settings) -> None:
    if "-----" in str(ca):
        raise ValueError(
            "ca must be the path of a file with the cluster's certificate, not the certificate"
        )


def _wrong_role(action: str) -> str:
    """The names that Kubernetes allows for a Role or ClusterRole: anything that can be one part of
    a path."""
    fine = action not in (".", "..") and not re.search(r"[/%\s]", action) and action.isprintable()
    return "" if fine else f"{quoted(action)} is not the name of a Role or ClusterRole"


def _whole_cluster(role: Role, system: System) -> Iterator[tuple[str, str]]:
    """A broad ClusterRole gives much more without a namespace: `admin` and `edit` read every Secret
    of the cluster."""
    if not system.settings.get("namespace") and {"admin", "edit"} & set(
        role.actions_of(system.name)
    ):
        yield (
            "whole-cluster",
            f"{system.name} has no namespace: the role is for the whole cluster, Secrets included",
        )


_wrong_settings = checking({"server": api_url, "ca": _ca, "namespace": _namespace, "token": token})

KIND = ConnectorKind(
    make=Kubernetes,
    table=KubernetesTable,
    wrong_settings=_wrong_settings,
    shown=frozenset({"server", "ca", "namespace"}),
    wrong_action=_wrong_role,
    broad_action=broad_in(
        [
            (
                re.compile("^(?:cluster-admin|system:masters)$"),
                "may do everything in the cluster; bind a smaller Role",
            )
        ]
    ),
    warnings=("whole-cluster",),
    lint_role=_whole_cluster,
    reads_names=True,
)
