"""The settings and actions of SSH systems in roles.toml. Signs nothing."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from posixpath import normpath
from typing import Annotated

from pydantic import BeforeValidator, Field

from bot.connectors.base import Abilities, Connector, ConnectorDeps, ConnectorKind
from bot.connectors.settings import SystemTable
from bot.core.roles import Role, System, Warned, Written
from bot.core.values import did_you_mean, like, quoted, string, text

EXTENSIONS = ("pty", "port-forwarding", "agent-forwarding", "X11-forwarding", "user-rc")
"""The rights that a certificate may give besides running a command (OpenSSH's PROTOCOL.certkeys,
"Extensions")."""

AGENT_KEY = re.compile(r"agent:(SHA256:[A-Za-z0-9+/]{43})")
_PRINCIPAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}")
HOST = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.+-]*)@)?(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


def _networks(value: object) -> str:
    """A list that OpenSSH accepts: it refuses every login if a network has bits set beyond its
    mask."""
    found = string(value)
    try:
        networks = [ipaddress.ip_network(each.strip()) for each in found.split(",")]
    except ValueError:
        networks = []
    if not networks or "%" in found:
        raise ValueError(
            f"{quoted(found)} is not a list of addresses and networks like 192.0.2.7, 10.0.0.0/8"
        )
    return ",".join(map(str, networks))


def _command(value: object) -> str:
    found = text(1000)(value)
    if not found.isprintable():
        raise ValueError("must be one line without control characters")
    return found


def _ca_key(value: object) -> str:
    found = text(4000)(value)
    if "\n" in found or "PRIVATE KEY" in found:
        raise ValueError("must be the path of a file, or agent:SHA256:…, and never the key itself")
    if found.startswith("agent:") and not AGENT_KEY.fullmatch(found):
        raise ValueError("needs the whole fingerprint after agent:, as ssh-add -l prints it")
    return found


Networks = Annotated[str, BeforeValidator(_networks)]
Command = Annotated[str, BeforeValidator(_command)]
CaKey = Annotated[str, BeforeValidator(_ca_key)]
Principal = Annotated[
    str, BeforeValidator(like(_PRINCIPAL, "a principal: letters, digits and any of _ . @ + -"))
]
Host = Annotated[
    str, BeforeValidator(like(HOST, "an address like host, host:22, user@host or [2001:db8::7]:22"))
]


class SshTable(SystemTable):
    ca_key: CaKey
    principals: Annotated[list[Principal], Field(min_length=1, max_length=256)]
    source_address: Networks | None = None
    force_command: Command | None = None
    address: Host | None = None


def _wrong_extension(action: str) -> str:
    if action in EXTENSIONS:
        return ""
    near = (type(action) is str and did_you_mean(action, EXTENSIONS)) or ": " + ", ".join(
        EXTENSIONS
    )
    return f"{quoted(action)} is not an extension of an SSH certificate{near}"


# --- warnings


def _lint(systems: Sequence[Written]) -> Iterator[Warned]:
    for each in systems:
        yield from _any_address(each)
    yield from _shared_hosts([each.system for each in systems])


def _any_address(each: Written) -> Iterator[Warned]:
    for network in map(ipaddress.ip_network, _listed(each.system.settings.get("source_address"))):
        if network.prefixlen < _LEAST_PREFIX[network.version]:
            words = f"{quoted(each.table['source_address'])} lets in a large part of the internet"
            yield "any-address", (each.system.name, "source_address"), words


def _listed(networks: object) -> list[str]:
    return str(networks).split(",") if networks else []


def _shared_hosts(systems: Sequence[System]) -> Iterator[Warned]:
    """Warns of two systems with equal certificates, because a host can't tell them apart."""
    for place, system in enumerate(systems):
        if others := [each.name for each in systems[:place] if _same_hosts(system, each)]:
            words = f"it shares its ca_key and a principal with {', '.join(others)}"
            yield (
                "shared-hosts",
                (system.name, "principals"),
                f"{words}: a certificate for one also opens the other's hosts",
            )


def _same_hosts(one: System, other: System) -> bool:
    return _ca_key_of(one) == _ca_key_of(other) and not _names(one).isdisjoint(_names(other))


def _ca_key_of(system: System) -> str:
    return normpath(str(system.settings["ca_key"]))


def _names(system: System) -> set[str]:
    principals = system.settings["principals"]
    return {str(each) for each in principals} if isinstance(principals, list) else set()


def _root_login(_role: Role, system: System) -> Iterator[tuple[str, str]]:
    if "root" in _names(system) and not system.settings.get("force_command"):
        words = f"logs in as root on every host of {system.name}; use a principal that may do less"
        yield "root-login", words


def _make(system: System, tools: ConnectorDeps) -> Connector:
    from bot.connectors.ssh.connector import Ssh  # cryptography is an extra

    return Ssh(system, tools)


_LEAST_PREFIX = {4: 8, 6: 16}

KIND = ConnectorKind(
    make=_make,
    table=SshTable,
    shown=frozenset({"ca_key", "principals", "source_address", "force_command", "address"}),
    needs_actions=False,  # they are extensions of the certificate; none gives the least
    wrong_action=_wrong_extension,
    warnings=("root-login", "shared-hosts", "any-address"),
    lint=_lint,
    lint_role=_root_login,
    abilities=Abilities(in_our_rows=True, certifies=True),
)
