"""Reads one page of a long list, for a command or for the More button below a page."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from bot.core.approval import Refused
from bot.core.role_search import search_roles
from bot.operations._unit_of_work import Context
from bot.operations.flags.describe_flags import open_flags as list_open
from bot.operations.people.describe_person import describe_person, readable_role, roles_open_to
from bot.operations.people.require_lead import require_lead
from bot.operations.systems.reconcile import read_findings
from bot.slack.payloads import BadPayload
from bot.slack.views import answers, findings, flag_message, lists, revoke_confirm
from bot.slack.views._fit import FIRST, Place

Message = dict[str, Any]
LONGEST = 100
"""The most characters of a search, because a button holds them."""


def my_access(world: Context, person: str, place: Place = FIRST) -> Message:
    return lists.my_access(describe_person(world, person), world.now(), place)


def roles(world: Context, person: str, words: str, place: Place = FIRST) -> Message:
    """One role in full if `words` are its name, else the roles that match them."""
    if (named := readable_role(world, person, words)) is not None:
        return lists.role(named)
    open_roles = roles_open_to(world, person)
    searched = words[:LONGEST]
    return lists.roles(search_roles(open_roles, searched, len(open_roles)), searched, place)


def one_role(world: Context, person: str, name: str, place: Place) -> Message:
    found = readable_role(world, person, name)
    return (
        lists.role(found, place)
        if found
        else answers.refused("This role is no longer open to you.")
    )


def to_revoke(world: Context, lead: str, person: str, role: str, place: Place = FIRST) -> Message:
    """The grants of `person` for a lead, all of them or those of one role."""
    if (refused := require_lead(world, lead, "revoke")) is not None:
        return answers.refused(refused.reason)
    view = describe_person(world, person)
    held = [grant for grant in view.held if role in ("", "all", grant.role)]
    return revoke_confirm.render(held, person, world.now(), view.titles, role=role, place=place)


def _findings(world: Context, lead: str, place: Place) -> Message:
    found = read_findings(world, lead)
    return (
        answers.refused(found.reason) if isinstance(found, Refused) else findings.more(found, place)
    )


def open_flags(world: Context, lead: str, place: Place = FIRST) -> Message:
    """The open flags, for a lead."""
    if (refused := require_lead(world, lead, "flags")) is not None:
        return answers.refused(refused.reason)
    return flag_message.listed(list_open(world, lead), place)


def from_more(value: str) -> dict[str, Any]:
    """The value of a More button. Raises BadPayload for any other value, because it can be
    forged."""
    try:
        given = json.loads(value)
        fields, known = LISTS[given["list"]][0], {"list": str, "start": int, "after": str}
        right = given.keys() == {*known, *fields} and all(
            type(word) is known.get(name, str) for name, word in given.items()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        right = False
    if not right or given["start"] < 0:
        raise BadPayload("This button is broken. Type the command again.")
    return dict(given)


def page(world: Context, person: str, given: Mapping[str, Any]) -> Message:
    """The page that a More button asked for, from the current list and with the person's current
    authority."""
    fields, read = LISTS[given["list"]]
    return read(
        world, person, *(given[name] for name in fields), Place(given["start"], given["after"])
    )


LISTS: Mapping[str, tuple[tuple[str, ...], Callable[..., Message]]] = {
    "access": ((), my_access),
    "roles": (("words",), roles),
    "role": (("role",), one_role),
    "revoke": (("person", "role"), to_revoke),
    "findings": ((), _findings),
    "flags": ((), open_flags),
}
"""By the name in the button: the fields that it carries, and the function that reads the page."""
