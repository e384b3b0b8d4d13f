"""Implements `access-bot policy`: explains a role, and compares roles.toml, without Slack."""

import click

from bot.cli.common import actor, json_option, opened, person_known
from bot.cli.errors import Wrong
from bot.cli.output import clean, json_line, moment, table, utc
from bot.cli.policy_diff import diff
from bot.config.roles.parse import load_policy
from bot.config.settings import load_settings
from bot.connectors import KINDS
from bot.core.approval import Refused
from bot.core.criteria import Criterion, on_record
from bot.core.durations import format_duration
from bot.core.eligibility import find_role
from bot.core.explanation import Explanation, ForPerson, points
from bot.operations.policy.explain_role import explain_role

LONG = 1000
"""Columns for a sentence that must not be cut."""


@click.group(epilog="Example: access-bot policy explain orders-read ana@example.com")
def policy() -> None:
    """Explain a role, and compare two roles.toml."""


policy.add_command(diff)


@policy.command(epilog="Example: access-bot policy explain orders-read ana@example.com")
@click.argument("role")
@click.argument("user", required=False, default="")
@json_option
def explain(role: str, user: str, as_json: bool) -> None:
    """Explain ROLE: who decides, by which rules, within which limits.

    With USER, a Slack id or an e-mail, it also judges a request of that person for now, by what the
    bot's database knows. Without USER it needs no database.
    """
    found = _for_user(role, user) if user else _in_general(role)
    if isinstance(found, Refused):
        raise Wrong(found.reason)
    if as_json:
        json_line(_as_json(found))
    else:
        _show(found)


def _in_general(name: str) -> Explanation | Refused:
    settings = load_settings()
    role = find_role(load_policy(settings.roles_path, settings.environ, KINDS), name)
    return role if isinstance(role, Refused) else Explanation(role, points(role, list))


def _for_user(role: str, user: str) -> Explanation | Refused:
    with opened("policy") as base:
        return explain_role(base.world, actor(), role, person_known(base.world, user))


def _show(found: Explanation) -> None:
    role, own = found.role, found.own
    click.echo(f"{clean(role.title)} ({role.name})")
    click.echo()
    if own is not None:
        _show_own(own)
    table(("TOPIC", "RULE"), ((each.topic, each.text) for each in found.points), LONG)


def _show_own(own: ForPerson) -> None:
    asked = f"Asked now by {clean(own.person.name)} for {format_duration(own.duration)}"
    click.echo(f"{asked}: {clean(own.text, LONG)}")
    click.echo()
    rows = [_row("the role", each) for each in own.criteria]
    for rule in own.rules:
        of = f"“{rule.name}” for {format_duration(rule.duration)}"
        rows += [_row(of, each) for each in rule.conditions]
    table(("OF", "CRITERION", "IS", "BECAUSE"), rows, LONG)
    click.echo()
    for given in own.preapprovals:
        most = format_duration(given.duration)
        click.echo(f"Approved in advance by {given.giver}, up to {most}, until {utc(given.until)}.")
    for away in own.absent:
        until = utc(away.ends_at)
        click.echo(f"{away.giver} is away until {until}; {away.delegate} decides in their place.")
    if own.unchecked:
        names = clean(", ".join(own.unchecked), LONG)
        click.echo(
            f"Could not be checked: {names}. Slack has not said in the last ten minutes who that"
            " is; the running bot asks."
        )
        click.echo()


def _row(of: str, judged: Criterion) -> tuple[str, str, str, str]:
    return of, judged.name.replace("_", " "), str(judged.verdict), judged.text


def _as_json(found: Explanation) -> dict[str, object]:
    role = found.role
    return {
        "role": role.name,
        "title": role.title,
        "says": [{"topic": each.topic, "text": each.text} for each in found.points],
        **(_own_as_json(found.own) if found.own else {}),
    }


def _own_as_json(own: ForPerson) -> dict[str, object]:
    return {
        "person": own.person.id,
        "duration": own.duration,
        "would": str(own.would),
        "text": own.text,
        "criteria": on_record(own.criteria),
        "rules": [
            {
                "rule": rule.name,
                "duration": rule.duration,
                "holds": rule.holds,
                "criteria": on_record(rule.conditions),
            }
            for rule in own.rules
        ],
        "preapprovals": [
            {"giver": each.giver, "duration": each.duration, "until": moment(each.until)}
            for each in own.preapprovals
        ],
        "absent": [
            {"approver": each.giver, "delegate": each.delegate, "until": moment(each.ends_at)}
            for each in own.absent
        ],
        "unchecked": list(own.unchecked),
    }
