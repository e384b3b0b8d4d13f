"""The audit log keeps the text of each roles.toml that came into force, without its secrets."""

from __future__ import annotations

import csv
import io
import json
from hashlib import sha256
from typing import Any

from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.approval import Refused
from bot.core.audit_export import json_lines
from bot.operations.audit.read_audit import Filters, export_audit, export_csv, read_audit
from bot.operations.policy.record_policy import record_loaded
from bot.slack.views import audit_table
from storage import key_values
from tests.builders import ENVIRON, SYSTEMS, WORKSPACE, a_policy, policy_text
from tests.factories import LEA, Made

LOADED = Filters(event="policy:file:loaded")
POSTGRES = '[systems.orders]\nconnector = "postgres"\nurl = "${ORDERS_DB_URL}"\n'


def kept(made: Made) -> list[dict[str, Any]]:
    return [json.loads(detail) for (detail,) in made.log("policy:file:loaded", "detail")]


def test_the_text_is_kept_once_for_each_text_and_not_at_every_start(made: Made) -> None:
    first, second = a_policy(), a_policy(shop_admin='title = "Other"')
    for policy in (first, first, second, second, first):
        record_loaded(made.world, policy, revision="4c1f7a2")
    assert [each["text"] for each in kept(made)] == [first.text, second.text, first.text]
    assert [each["sha256"] for each in kept(made)] == [first.digest, second.digest, first.digest]
    assert {each["revision"] for each in kept(made)} == {"4c1f7a2"}


def test_another_value_in_the_environment_is_recorded_without_the_text(made: Made) -> None:
    text = policy_text(systems=SYSTEMS + POSTGRES)
    for host in ("one", "two"):
        environ = {**ENVIRON, "ORDERS_DB_URL": f"postgresql://bot:hunter2@{host}/orders"}
        record_loaded(made.world, parse_policy(text, "roles.toml", environ, KINDS))
    assert [each.get("text") for each in kept(made)] == [text, None]
    assert "revision" not in kept(made)[0] and "hunter2" not in json.dumps(kept(made))


def test_the_text_of_a_file_that_an_earlier_version_loaded_is_kept_at_the_next_start(
    made: Made,
) -> None:
    record_loaded(made.world, a_policy())
    with made.world.db.transaction():
        key_values.drop(made.world.db, "policy text")
    record_loaded(made.world, a_policy())
    assert ["text" in each for each in kept(made)] == [True, True]


def test_a_secret_in_clear_is_not_in_the_log_and_cannot_be_guessed_from_a_digest(
    made: Made,
) -> None:
    systems = SYSTEMS.replace("${REPORTS_SECRET}", "hunter2-hunter2-hunter2")
    policy = parse_policy(policy_text(systems=systems), "roles.toml", ENVIRON, KINDS)
    record_loaded(made.world, policy)
    (found,) = kept(made)
    assert "hunter2" not in json.dumps(found) and 'secret = "[redacted]"' in found["text"]
    assert found["redacted"] == 1
    assert found["sha256"] == sha256(found["text"].encode()).hexdigest() != policy.digest


def test_a_long_text_is_left_out_of_the_table_and_whole_in_the_exports(made: Made) -> None:
    policy = a_policy(workspace=WORKSPACE + '# "=1+1",\n' * 60_000)
    record_loaded(made.world, policy)
    records = read_audit(made.world, LEA, LOADED)
    assert not isinstance(records, Refused)
    assert len(json.dumps(audit_table.render(records, (), None, made.clock()))) < 4000
    exported = b"".join(export_csv(made.world, LEA, LOADED)).decode()
    csv.field_size_limit(4 * 1024 * 1024)
    (row,) = csv.DictReader(io.StringIO(exported, newline=""))
    (line,) = json_lines(export_audit(made.world, LEA, LOADED)[1])
    for detail in (row["detail"], json.loads(line)["detail"]):
        assert json.loads(detail)["text"] == policy.text
    assert made.verdict().broken is None
