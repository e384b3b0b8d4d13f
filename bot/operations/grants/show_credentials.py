"""Creates a new token for the holder of a grant, which replaces the one shown before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe

from bot.core.approval import Refused, as_approved
from bot.core.audit import Event
from bot.core.model import Grant, GrantState, ProvisionOrder
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from bot.operations.browser.make_codes import make_links
from bot.operations.grants.begin_attempt import provisioning_orders
from bot.operations.messages.shown_windows import keep_window
from storage import browser_access, grants, tokens


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials to show once and store nowhere. `token` is for the systems `gates` behind a
    gateway, "" if there are none. `replaces` says whether earlier tokens stop working, `earlier`
    are their ids. `orders` are for the other systems, which create their own credentials. `links`
    let a browser into those of `gates` that take one, by system."""

    grant: Grant
    jti: str
    token: str
    replaces: bool
    earlier: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    orders: tuple[ProvisionOrder, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Credentials(grant={self.grant.id!r})"


def show_credentials(world: Context, grant_id: str, person: str) -> Credentials | Refused:
    """Creates a token for the holder, valid until the grant's end. The caller shows it, and then
    calls `confirm_shown` or `discard_credentials`. Raises StorageUnavailable."""
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if (refused := why_not_shown(u, grant, person)) is not None or grant is None:
            return u.refuse(
                refused or Refused("No such access."), person, "show credentials", grant
            )
        every = provisioning_orders(u, grant, u.person(grant.person))
        gates = tuple(
            order.system for order in every if u.policy.abilities(order.connector).checks_tokens
        )
        jti, token = _token(u, grant) if gates else ("", "")
        earlier = (
            tuple(each for each in tokens.living(u.db, grant.id, u.now) if each != jti)
            if gates
            else ()
        )
        links, codes = make_links(u, grant, gates)
        u.record(
            Event.CREDENTIALS_SHOWN,
            person,
            grant,
            jti=jti,
            replaces=bool(earlier),
            ends_at=grant.ends_at,
            browser=codes,
        )
        others = tuple(order for order in every if order.system not in gates)
        return Credentials(grant, jti, token, bool(earlier), earlier, gates, others, links)


def _token(u: UnitOfWork, grant: Grant) -> tuple[str, str]:
    """Returns the id and the text of a new token."""
    jti = token_urlsafe(16)
    token = u.world.sign(jti, grant.ends_at)
    tokens.add(u.db, jti, grant.id, sha256(token.encode()).hexdigest(), u.now, grant.ends_at)
    return jti, token


def confirm_shown(world: Context, shown: Credentials, window: str = "") -> None:
    """Activates the token that the holder sees; the earlier ones stop working. Of two shown at once
    the later one stays, whichever is confirmed first. `window` is Slack's id of the modal, which is
    cleared at the end."""
    with unit(world) as u:
        for jti in shown.earlier:
            tokens.revoke(u.db, jti, u.now)
        if window:
            keep_window(u, shown.grant.id, window)


def discard_credentials(world: Context, shown: Credentials) -> None:
    """Discards a token that could not be shown: it never works, and the earlier one stays as it
    was."""
    with unit(world) as u:
        tokens.revoke(u.db, shown.jti, u.now)
        browser_access.drop_codes(u.db, shown.grant.id)
        u.record(
            Event.CREDENTIALS_REVOKED,
            shown.grant.person,
            shown.grant,
            jti=shown.jti,
            why="it could not be shown",
        )


def why_not_shown(u: UnitOfWork, grant: Grant | None, person: str) -> Refused | None:
    """The reason why this person may not have the credentials of the grant now, or None."""
    if grant is None or grant.person != person:
        return Refused("Only the holder can see these credentials.")
    if (unfit := u.person(person).ineligible_reason()) is not None:
        return Refused(f"You can't see credentials: {unfit}.")
    if grant.state is not GrantState.ACTIVE or grant.ends_at <= u.now:
        return Refused(f"This access is {grant.state}, so there are no credentials to show.")
    return as_approved(grants.leases(u.db, grant.id), u.policy.systems)
