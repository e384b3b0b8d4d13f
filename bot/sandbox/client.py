"""Controls a running stand-in from any process, with JSON calls to the endpoints under /sandbox."""

from __future__ import annotations

from bot.sandbox.checks import Json
from bot.sandbox.http_client import Admin, Control, FaultControl, Inspector
from bot.sandbox.person import Person


class Sandbox(Control):
    """All operations on a running stand-in; `person` returns a person who acts."""

    def __init__(self, base_url: str, app: str = "") -> None:
        super().__init__(base_url, app)
        self.admin, self.faults, self.inspector = Admin(self), FaultControl(self), Inspector(self)

    def install(self, manifest: Json) -> Sandbox:
        """Installs one more app and returns its handle on the same workspace."""
        return Sandbox(self.base_url, self.call("install_app", manifest=manifest)["id"])

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a bot needs to reach this workspace."""
        return dict(self.call("info")["environment"])

    def person(self, name: str) -> Person:
        """Somebody of the workspace, by handle or id. Raises KeyError for nobody."""
        users: dict[str, Json] = self.call("directory")["users"]
        found = users.get(name) or next(
            (user for user in users.values() if user["name"] == name), None
        )
        if found is None:
            raise KeyError(name)
        return Person(self, found["id"], found["name"], found["tz"])

    def deliver(self, kind: str, payload: Json, attempt: int = 0) -> Json:
        """Sends any payload to the app unchanged and returns the delivery. Kinds: those of Socket
        Mode."""
        return dict(self.call("deliver", kind=kind, payload=payload, attempt=attempt))

    def replay(self, number: int, same_envelope: bool = True) -> Json:
        """Sends an earlier delivery again and returns the new one."""
        return dict(self.call("replay", number=number, same_envelope=same_envelope))

    def wait_connected(self, connections: int = 1, timeout: float = 60) -> None:
        """Waits until `count` sockets are open."""
        self.wait_for(lambda: self.inspector.connections() >= connections, timeout)
