"""A real moto server, and a front that adds delays. moto (sso-admin, identitystore) does at once
what AWS does a little later, and has no ListAccountAssignmentCreationStatus and …DeletionStatus.
The front answers these two, and CreateAccountAssignment, DeleteAccountAssignment and their
Describe…Status, as the published API reference of IAM Identity Center specifies: a request is
IN_PROGRESS for some calls, then it reaches moto and has SUCCEEDED, or FAILED. Everything else is
answered by moto."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from moto.core.base_backend import BackendDict
from moto.server import ThreadedMotoServer

from tests.connectors.standins.server import BEFORE, HANG_UP, LOST, Reply, StandIn

TARGET = "SWBExternalService."
_WHAT = {"CreateAccountAssignment": "Creation", "DeleteAccountAssignment": "Deletion"}


@dataclass
class Request:
    what: str
    asked: dict[str, str]
    headers: Mapping[str, str]
    left: int
    status: str = "IN_PROGRESS"
    reason: str | None = None


class Aws(StandIn):
    def __init__(self) -> None:
        super().__init__()
        self.moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.moto.start()
        _, self.moto_port = self.moto.get_host_and_port()
        self.requests: dict[str, Request] = {}
        self.takes, self.fails, self.lag = 2, "", 0
        """Calls that a request takes; why requests fail; calls for which the list of assignments is
        an old one."""
        self._old: dict[str, Reply] = {}

    def close(self) -> None:
        super().close()
        self.moto.stop()

    def reset(self) -> None:
        """Removes all users, data and faults."""
        BackendDict.reset()  # moto's own reset imports the list of all its services as well
        self.requests, self._old, self.seen = {}, {}, []
        self.takes, self.fails, self.lag = 2, "", 0

    def straight(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Reply:
        """The answer of moto itself."""
        line = HTTPConnection("127.0.0.1", self.moto_port, timeout=20)
        try:
            line.request(method, target, raw, dict(headers))
            answer = line.getresponse()
            body = answer.read()
        finally:
            line.close()
        kept = {
            name: value for name, value in answer.getheaders() if name.lower().startswith("x-amz")
        }
        kind = answer.getheader("Content-Type", "application/x-amz-json-1.1")
        return Reply(answer.status, json.loads(body or b"null"), {**kept, "Content-Type": kind})

    def breaking(self, step: int) -> Any:
        """Breaks at every second call, because moto is slow and one grant is many calls."""
        way = BEFORE if step % 4 < 2 else LOST
        return self.failing(
            lambda number: None if number < 2 * step else way if number == 2 * step else HANG_UP
        )

    def busy(self) -> Reply:
        body = {"__type": "ThrottlingException", "message": "Rate exceeded"}
        return Reply(400, body, {"x-amzn-ErrorType": "ThrottlingException"})

    # --- one call

    def _answer(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Reply:
        name = headers.get("x-amz-target", "").rpartition(".")[2]
        self.seen[-1] = name
        for request in self.requests.values():
            self.turn(request)
        asked = json.loads(raw or b"{}")
        if name in _WHAT:
            return self._begin(_WHAT[name], asked, headers)
        for what in _WHAT.values():
            if name == f"DescribeAccountAssignment{what}Status":
                return self._described(what, asked[f"AccountAssignment{what}RequestId"])
            if name == f"ListAccountAssignment{what}Status":
                return self._listed(what, asked)
        reply = self.straight(method, target, headers, raw)
        return self._late(raw, reply) if name == "ListAccountAssignments" else reply

    def turn(self, request: Request) -> None:
        """Moves a running request one call nearer to its end."""
        if request.status != "IN_PROGRESS":
            return
        request.left -= 1
        if request.left > 0:
            return
        if self.fails:
            request.status, request.reason = "FAILED", self.fails
            return
        verb = "Create" if request.what == "Creation" else "Delete"
        headers = {**request.headers, "x-amz-target": f"{TARGET}{verb}AccountAssignment"}
        headers.pop("content-length", None)
        done = verb == "Create" and self._there(request)
        reply = (
            None
            if done
            else self.straight("POST", "/", headers, json.dumps(request.asked).encode())
        )
        if reply is None or reply.status == 200:
            request.status = "SUCCEEDED"
        else:
            request.status, request.reason = (
                "FAILED",
                "Received a 404 status error: Profile not found.",
            )

    def _there(self, request: Request) -> bool:
        """Whether it is there, because moto would make a second one."""
        asked = request.asked
        wanted = {"AccountId": asked["TargetId"]} | {
            name: asked[name] for name in ("InstanceArn", "PermissionSetArn")
        }
        headers = {**request.headers, "x-amz-target": f"{TARGET}ListAccountAssignments"}
        headers.pop("content-length", None)
        found = self.straight("POST", "/", headers, json.dumps(wanted).encode()).body[
            "AccountAssignments"
        ]
        return any(each["PrincipalId"] == asked["PrincipalId"] for each in found)

    def _begin(self, what: str, asked: dict[str, str], headers: Mapping[str, str]) -> Reply:
        fields = {
            "InstanceArn",
            "TargetId",
            "TargetType",
            "PermissionSetArn",
            "PrincipalType",
            "PrincipalId",
        }
        assert set(asked) == fields and asked["TargetType"] == "AWS_ACCOUNT"
        if any(
            each.asked == asked and each.status == "IN_PROGRESS" for each in self.requests.values()
        ):
            words = "There is a conflicting operation in process."
            return Reply(400, {"__type": "ConflictException", "message": words})
        id = str(uuid.uuid4())
        self.requests[id] = Request(what, asked, headers, self.takes)
        return self._described(what, id)

    def _described(self, what: str, id: str) -> Reply:
        request = self.requests.get(id)
        if request is None or request.what != what:
            return Reply(400, {"__type": "ResourceNotFoundException", "message": "no such request"})
        told: dict[str, Any] = {
            "RequestId": id,
            "Status": request.status,
            "CreatedDate": 1.7e9,
            **request.asked,
        }
        del told["InstanceArn"]
        if request.reason:
            told["FailureReason"] = request.reason
        return Reply(200, {f"AccountAssignment{what}Status": told})

    def _listed(self, what: str, asked: dict[str, Any]) -> Reply:
        assert set(asked) <= {"InstanceArn", "Filter", "MaxResults", "NextToken"}
        wanted = asked.get("Filter", {}).get("Status")
        found = [
            {"RequestId": id, "Status": each.status, "CreatedDate": 1.7e9}
            for id, each in self.requests.items()
            if each.what == what and wanted in (None, each.status)
        ]
        return Reply(200, {f"AccountAssignments{what}Status": found})

    def _late(self, raw: bytes, reply: Reply) -> Reply:
        """The list as it was some calls ago."""
        key = raw.decode()
        old = self._old.get(key)
        if old is not None and old.body != reply.body and self.lag > 0:
            self.lag -= 1
            return old
        self._old[key] = reply
        return reply
