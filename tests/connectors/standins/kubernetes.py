"""The Kubernetes API server as in its published reference: RoleBinding, ClusterRoleBinding, Role
and ClusterRole of rbac.authorization.k8s.io/v1, SelfSubjectAccessReview of authorization.k8s.io/v1,
and "API Concepts" (paging, label selectors, dry run), as far as the connector uses them. It is
written from the reference; where the real server differs, it follows the reference."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any

from tests.connectors.standins.server import Asked, Reply, Route, StandIn

TOKEN = "eyJhbGciOiJSUzI1NiJ9.e30.0123456789"
PAGE = 2
"""Items on a page: a server may give fewer than `limit`."""

RBAC = "rbac.authorization.k8s.io"
_ROOT = f"/apis/{RBAC}/v1"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_KEY = re.compile(
    r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
)
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_FIELDS = ("apiVersion", "kind", "metadata", "roleRef", "subjects")


class Kubernetes(StandIn):
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.url = self.url.replace("127.0.0.1", "localhost")
        self.roles = {
            ("prod", "deployer"),
            ("", "view"),
            ("", "system:pod-restarter"),
            ("", "admin"),
        }
        """Namespace ("" for a ClusterRole) and name."""
        self.unbindable = {"admin"}
        self.forbidden: set[str] = set()
        """Verbs that our account may not use on bindings."""
        self.bindings: dict[tuple[str, str], dict[str, Any]] = {}
        self.sticky = False
        """A finalizer keeps what is deleted."""

    def may(self, user: str, namespace: str, role: str) -> bool:
        """Whether the user has the rights of the role in the namespace."""
        return any(
            place in ("", namespace) and each["roleRef"]["name"] == role and user == subject["name"]
            for (place, _), each in self.bindings.items()
            for subject in each["subjects"]
        )

    # --- the routes of the reference

    def refusal(self, status: int, words: str) -> Any:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": words,
            "code": status,
        }

    def admits(self, headers: Mapping[str, str]) -> Reply | None:
        assert headers.get("accept") == "application/json"
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, self.refusal(401, "Unauthorized"))
        return None

    def no(self, verb: str) -> Reply | None:
        return (
            Reply(403, self.refusal(403, f"may not {verb} bindings"))
            if verb in self.forbidden
            else None
        )

    def missing(self, name: str) -> Reply:
        return Reply(404, self.refusal(404, f'"{name}" not found'))

    def get_role(self, asked: Asked) -> Reply:
        place = asked.parts.get("namespace", ""), asked.parts["name"]
        return (
            Reply(200, {"metadata": {"name": place[1]}})
            if place in self.roles
            else self.missing(place[1])
        )

    def get_binding(self, asked: Asked) -> Reply:
        found = self.bindings.get((asked.parts.get("namespace", ""), asked.parts["name"]))
        return self.no("get") or (Reply(200, found) if found else self.missing(asked.parts["name"]))

    def list_bindings(self, asked: Asked) -> Reply:
        wanted = [
            term.partition("=")[::2]
            for term in asked.query.get("labelSelector", "").split(",")
            if term
        ]
        place = asked.parts.get("namespace", "")
        found = [
            each
            for (where, _), each in sorted(self.bindings.items())
            if where == place
            and all(each["metadata"]["labels"].get(key) == value for key, value in wanted)
        ]
        start, end = int(asked.query.get("continue", 0)), PAGE + int(asked.query.get("continue", 0))
        more = {"continue": str(end)} if len(found) > end else {}
        return self.no("list") or Reply(
            200, {"kind": "List", "metadata": more, "items": found[start:end]}
        )

    def post_binding(self, asked: Asked) -> Reply:
        place, body, name = (
            asked.parts.get("namespace", ""),
            asked.body,
            asked.body["metadata"]["name"],
        )
        self.must_be_valid(body, "RoleBinding" if place else "ClusterRoleBinding")
        if refused := self.no("create"):
            return refused
        if body["roleRef"]["name"] in self.unbindable:
            return Reply(
                403,
                self.refusal(
                    403, f"cannot bind {body['roleRef']['name']}: exceeds own permissions"
                ),
            )
        if (place, name) in self.bindings:
            return Reply(409, self.refusal(409, f'"{name}" already exists'))
        if asked.query.get("dryRun") != "All":
            self.bindings[place, name] = body
        return Reply(201, body)

    def must_be_valid(self, body: Any, kind: str) -> None:
        assert (body["apiVersion"], body["kind"]) == (f"{RBAC}/v1", kind)
        assert set(body["metadata"]) <= {"name", "labels", "annotations"} and _NAME.fullmatch(
            body["metadata"]["name"]
        )
        for key, value in body["metadata"]["labels"].items():
            assert _KEY.fullmatch(key) and _VALUE.fullmatch(value), (key, value)
        assert (
            set(body["roleRef"]) == {"apiGroup", "kind", "name"}
            and body["roleRef"]["apiGroup"] == RBAC
        )
        assert body["roleRef"]["kind"] == "ClusterRole" or kind == "RoleBinding"
        for subject in body["subjects"]:
            assert (
                set(subject) == {"apiGroup", "kind", "name"}
                and subject["apiGroup"] == RBAC
                and subject["name"]
            )

    def delete_binding(self, asked: Asked) -> Reply:
        place = asked.parts.get("namespace", ""), asked.parts["name"]
        if refused := self.no("delete"):
            return refused
        if place not in self.bindings:
            return self.missing(place[1])
        if not self.sticky:
            del self.bindings[place]
        return Reply(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def review(self, asked: Asked) -> Reply:
        assert asked.body["kind"] == "SelfSubjectAccessReview"
        what = asked.body["spec"]["resourceAttributes"]
        assert set(what) <= {
            "group",
            "resource",
            "verb",
            "namespace",
            "name",
            "subresource",
            "version",
        }
        return Reply(201, {**asked.body, "status": {"allowed": what["verb"] not in self.forbidden}})


def _bindings(base: str) -> tuple[Route, ...]:
    return (
        Route("GET", base, Kubernetes.list_bindings, ("labelSelector", "limit", "continue")),
        Route("POST", base, Kubernetes.post_binding, ("dryRun",), _FIELDS, _FIELDS),
        Route("GET", f"{base}/{{name}}", Kubernetes.get_binding),
        Route("DELETE", f"{base}/{{name}}", Kubernetes.delete_binding),
    )


_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
Kubernetes.routes = (
    Route("GET", f"{_ROOT}/clusterroles/{{name}}", Kubernetes.get_role),
    Route("GET", f"{_ROOT}/namespaces/{{namespace}}/roles/{{name}}", Kubernetes.get_role),
    *_bindings(f"{_ROOT}/clusterrolebindings"),
    *_bindings(f"{_ROOT}/namespaces/{{namespace}}/rolebindings"),
    Route("POST", _REVIEWS, Kubernetes.review, fields=("apiVersion", "kind", "spec")),
)
