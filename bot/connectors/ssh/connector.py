"""Hosts that trust our certificate authority: a grant allows its holder to get certificates, and
ends with the last of them. Hosts check the certificate and the list of revoked certificates
themselves.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.connectors.base import AccessInstructions, ConnectorDeps, ObservedAccess, Prompt
from bot.connectors.ssh.ca import Authority, authority_of
from bot.connectors.ssh.keys import Given, read_key
from bot.connectors.ssh.kind import EXTENSIONS, HOST
from bot.connectors.ssh.wire import Content, certificate
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Certificate, ProvisionOrder
from bot.core.roles import System

SKEW = 60
"""Seconds before now at which a certificate becomes valid, for hosts whose clock is behind ours."""

NO_HOST = "HOST"
"""The placeholder in the command if roles.toml gives no address."""

HINT = (
    "The one line of your .pub file, like ~/.ssh/id_ed25519.pub. It is kept and filled in next"
    " time."
)


@dataclass(frozen=True, slots=True)
class Place:
    """The use of the certificate: it holds `principals`, and admits `user` at `host`."""

    principals: Sequence[str]
    user: str
    host: str
    port: str
    source_address: str
    force_command: str


class Ssh:
    """Without settings, for a system that is no longer in roles.toml, it can only revoke."""

    def __init__(self, system: System, tools: ConnectorDeps) -> None:
        self._system, self._certificates = system.name, tools.certificates
        ca_key = system.settings.get("ca_key")
        self._authority = authority_of(str(ca_key)) if ca_key else None
        self._place = _place(system.settings)

    # --- access: rows of ours

    def grant(self, order: ProvisionOrder) -> None:
        self._certificates.allow(order.grant, order.system, order.ends_at)

    def revoke(self, order: ProvisionOrder) -> None:
        self._certificates.end([(order.grant, order.system)])

    def read_back(self, order: ProvisionOrder) -> bool:
        """Whether the holder may get a certificate, or has a valid one."""
        return self._certificates.is_open(order.grant, order.system)

    # --- the way in

    def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions | Prompt:
        """Asks for a public key, and issues a certificate for it. A certificate is valid until its
        own end or that of the access, whichever comes first."""
        kept = self._certificates.key_of(order.person.id)
        if not given.strip():
            return Prompt("Public key", HINT, given=kept)
        key = read_key(given)
        if isinstance(key, str):
            return Prompt("Public key", HINT, wrong=key, given=kept)
        line = self._issue(order, key)
        self._certificates.keep_key(order.person.id, key.line)
        return AccessInstructions(
            {"Certificate": line, "Command": self._command(order)}, self._how(order)
        )

    def _issue(self, order: ProvisionOrder, key: Given) -> str:
        signer = self._ca().open()
        made = self._certificates.issue(
            order.grant, order.system, signer.line.split()[1], key.fingerprint, order.ends_at
        )
        if made is None:
            raise SystemRefused(
                "not_open", "this access is not active, so no certificate can be issued"
            )
        return certificate(_content(order, key, made, self._place), signer.blob, signer.sign)

    def _command(self, order: ProvisionOrder) -> str:
        port = f"-p {self._place.port} " if self._place.port else ""
        to = shlex.quote(f"{self._place.user}@{self._place.host}")
        return f"ssh -o CertificateFile={_file(order)} {port}{to}"

    def _how(self, order: ProvisionOrder) -> Sequence[str]:
        what = ", ".join(order.actions) or "no terminal, no forwarding"
        how = [
            (
                f"Save the certificate as `{_file(order)}` and run the command. If your private key"
                " is not in ssh's default place, add `-i` and its path."
            ),
            f"It lets you in as {' or '.join(self._place.principals)}, with: {what}.",
        ]
        if self._place.host == NO_HOST:
            how.append(f"Replace {NO_HOST} with the name of the host.")
        if self._place.force_command:
            how.append("The host always runs the command that this system sets, whatever you type.")
        if self._place.source_address:
            how.append(f"It works only from {self._place.source_address}.")
        return how

    # --- the access that exists

    def list_active(self) -> Iterable[ObservedAccess]:
        for grant, (allowed, good) in self._certificates.open_at(self._system).items():
            more = "may get more" if allowed else "gets no more"
            yield ObservedAccess(grant, grant, f"valid certificates: {good}; {more}")

    def remove(self, found: ObservedAccess) -> None:
        self._certificates.end([(found.grant, self._system)])

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterable[str]:
        try:
            self._ca().open()
        except (SystemUnavailable, SystemRefused) as error:
            yield str(error)
        for role, actions in roles.items():
            for action in actions:
                if action not in EXTENSIONS:
                    yield (
                        f"{role}: {action} is not an extension of a certificate:"
                        f" {', '.join(EXTENSIONS)}"
                    )

    def public_key(self) -> str:
        """The CA's public key that hosts must trust, as a line."""
        return self._ca().open().line

    def _ca(self) -> Authority:
        if self._authority is None:
            raise SystemRefused("not_in_roles", f"{self._system} is no longer in roles.toml")
        return self._authority


def _content(order: ProvisionOrder, key: Given, made: Certificate, place: Place) -> Content:
    """The key id names the holder; sshd logs it at every login."""
    who = "".join((order.person.email or order.person.id).split())
    options = (("force-command", place.force_command), ("source-address", place.source_address))
    return Content(
        key=key.blob,
        serial=made.serial,
        key_id=f"{who} {order.grant}",
        principals=place.principals,
        valid_after=made.issued_at - SKEW,
        valid_before=made.expires_at,
        critical={name: value for name, value in options if value},
        extensions={f"permit-{action}" for action in order.actions},
    )


def _file(order: ProvisionOrder) -> str:
    return f"~/.ssh/{order.grant}-cert.pub"


def _place(settings: Mapping[str, object]) -> Place:
    principals = [str(each) for each in settings.get("principals") or ()]  # type: ignore[attr-defined]
    found = HOST.fullmatch(str(settings.get("address") or NO_HOST))
    if found is None:
        raise ValueError("address must be like host, host:22 or user@host")
    return Place(
        principals,
        found["user"] or (principals or [""])[0],
        found["v6"] or found["host"],
        found["port"] or "",
        str(settings.get("source_address") or ""),
        str(settings.get("force_command") or ""),
    )
