"""The settings and actions of AWS IAM Identity Center in roles.toml. Needs no library of AWS's."""

import re
from typing import Annotated

from pydantic import BeforeValidator

from bot.connectors.actions import broad_in
from bot.connectors.base import Connector, ConnectorDeps, ConnectorKind
from bot.connectors.settings import SystemTable, Text, api_url, checking
from bot.core.roles import System
from bot.core.values import like, quoted

Account = Annotated[
    str, BeforeValidator(like(re.compile("[0-9]{12}"), "an account id of 12 digits"))
]


class AwsTable(SystemTable):
    region: Text
    instance_arn: Text
    identity_store_id: Text
    account_id: Account
    endpoint_url: Text | None = None


def _wrong_permission_set(action: str) -> str:
    """Its name or ARN, as the API reference of IAM Identity Center has them."""
    arn = r"arn:aws[a-z-]*:sso:::permissionSet/ssoins-[0-9a-zA-Z]{16}/ps-[0-9a-zA-Z]{16}"
    fine = re.fullmatch(rf"[\w+=,.@-]{{1,32}}|{arn}", action, re.ASCII)
    return "" if fine else f"{quoted(action)} is not the name of a permission set, nor its ARN"


def _make(system: System, tools: ConnectorDeps) -> Connector:
    from bot.connectors.aws.connector import make  # boto3 is an extra

    return make(system, tools)


wrong_settings = checking({"endpoint_url": api_url})

KIND = ConnectorKind(
    make=_make,
    table=AwsTable,
    wrong_settings=wrong_settings,
    shown=frozenset({"region", "instance_arn", "identity_store_id", "account_id", "endpoint_url"}),
    wrong_action=_wrong_permission_set,
    broad_action=broad_in(
        [
            (
                re.compile("AdministratorAccess|PowerUserAccess", re.IGNORECASE),
                "may do nearly everything in the account; use a permission set that does the job",
            ),
            (
                re.compile("FullAccess", re.IGNORECASE),
                "may do everything with a service; use a permission set that does the job",
            ),
        ]
    ),
)
