"""Replaces personal data about a person who has left by their Slack id, without a change of the
audit log, whose hashes cover ids and no names."""

from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.model import Person
from bot.core.roles import Policy, references
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from bot.operations.usage.prune_usage import sum_details
from storage import grants, key_values, people, places, private_answers, ramps, requests, ssh, usage

ACTION = "pseudonymise a person"


def pseudonymise_person(world: Context, by: str, person: str) -> Person | Refused:
    """Raises StorageUnavailable."""
    with unit(world) as u:
        known = people.get(u.db, person)
        if known is None:
            unknown = Refused(f"No member with the Slack id {person[:60]} is known.")
            return u.refuse(unknown, by, ACTION)
        if (refused := _refusal(u, known)) is not None:
            return u.refuse(refused, by, ACTION)
        people.pseudonymise(u.db, person)
        ssh.forget_key(u.db, person)
        ramps.forget_email(u.db, person)
        places.forget_person(u.db, person)
        private_answers.forget_person(u.db, person)
        accounts = key_values.drop_ending(u.db, "account ", f" {person}")
        details = sum_details(u, usage.detailed_of(u.db, person))
        u.note(
            Event.PERSON_PSEUDONYMISED,
            by,
            subject=person,
            accounts=accounts,
            grants_summed=details,
        )
        return people.get(u.db, person) or known


def _refusal(u: UnitOfWork, person: Person) -> Refused | None:
    """The reason why this person's name is still needed."""
    if not person.deleted:
        return Refused(f"{person.id} is not deactivated in Slack, so their name is still needed.")
    if grants.live(u.db, None, person.id, limit=1) or requests.pending_of(u.db, person.id):
        return Refused(f"{person.id} still has access or a request. Wait until it has ended.")
    if _is_named(u.policy, person):
        return Refused(f"roles.toml names {person.id}. Remove them there first.")
    return None


def _is_named(policy: Policy, person: Person) -> bool:
    named = {ref.casefold() for ref in (*references(policy), *policy.people)}
    return bool(named & {person.id.casefold(), person.email.casefold()})
