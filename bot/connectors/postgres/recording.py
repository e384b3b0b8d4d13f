"""Has the server log every statement of a grant's role (`record = "statements"`), and finds the
obstacles."""

from collections.abc import Iterator

from psycopg import sql

from bot.connectors.postgres.server import Line, do, row
from bot.core.errors import SystemRefused

STATEMENTS = "statements"
"""The value of a system's `record` with which statements are logged."""

_HAS_PGAUDIT = "SELECT count(*) FROM pg_settings WHERE name = 'pgaudit.log'"
_MAY_SET = "SELECT current_user, has_parameter_privilege(%s, 'SET')"
_LOG = """SELECT current_setting('log_line_prefix') ~ '%%u'
    OR current_setting('log_destination') ~ '(csv|json)log'"""


def record_statements(line: Line, role: sql.Identifier) -> None:
    """Turns the logging on for this role. The holder can't turn it off, because only a superuser,
    and an account with this right, may set the parameter. Raises SystemRefused if our account may
    not: nobody gets access whose statements must be recorded and are not."""
    parameter = _parameter(line)
    if problem := _forbidden(line, parameter):
        raise SystemRefused("record", problem)
    name = sql.SQL(".").join(map(sql.Identifier, parameter.split(".")))
    do(line, "ALTER ROLE {role} SET {name} = 'all'", role=role, name=name)


def recording_problems(line: Line) -> Iterator[str]:
    """The reasons why statements can't be logged, or why the log does not name the role."""
    if problem := _forbidden(line, _parameter(line)):
        yield problem
    if not row(line, _LOG)[0]:
        yield (
            "the server's log does not name the role of a statement: put %u into log_line_prefix,"
            " or log as csvlog or jsonlog"
        )


def _parameter(line: Line) -> str:
    """The parameter of the extension pgaudit where the server has loaded it, else the server's
    own."""
    return "pgaudit.log" if row(line, _HAS_PGAUDIT)[0] else "log_statement"


def _forbidden(line: Line, parameter: str) -> str:
    account, may = row(line, _MAY_SET, parameter)
    if may:
        return ""
    return (
        f'record = "{STATEMENTS}": our account {account} may not set {parameter}:'
        f" GRANT SET ON PARAMETER {parameter} TO {account}"
    )
