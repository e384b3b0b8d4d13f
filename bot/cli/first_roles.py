"""The roles.toml that `access-bot init` writes: one system and one role."""

from collections.abc import Mapping

from bot.core.toml_text import toml_text


def first_roles(answers: Mapping[str, str]) -> str:
    """The text of the file with the answers to the questions about it."""
    values = {name: toml_text(answers[name]) for name in ("approvals", "security", "timezone")}
    people = {name: _people(answers[name]) for name in ("leads", "approvers")}
    text = TEXT
    for name, value in {**values, **people}.items():
        text = text.replace(f"<{name}>", value)
    return text


def _people(text: str) -> str:
    return toml_text([each.strip() for each in text.split(",")])


TEXT = """\
# Who may ask for what, who decides, for how long, on which systems. Saving this file reloads it
# within 5 seconds. `access-bot check` validates it, `access-bot doctor` asks Slack and the systems.
#
# People and groups: a user id (U…, W…), a user-group id (S…), a group's @handle, an e-mail, or
# "everyone" (full members of the workspace). Prefer ids: a handle or an e-mail may belong to others
# later. `access-bot doctor` prints the id of each handle and e-mail in this file.
# Secrets belong in the environment: ${NAME} reads one, below [systems], [oncall], [tickets] and
# [[stream]]. The bot reads the environment when it starts.

[workspace]
approvals_channel = <approvals>   # requests are decided here
security_channel = <security>   # alerts, failures, and changes of this file
leads = <leads>   # may revoke access and read the audit log
timezone = <timezone>

# The system to which people get access. A gateway is a page behind nginx, Caddy, Traefik or Envoy,
# which asks the bot about each token. The other connectors are postgres, ssh, aws, github, okta,
# kubernetes, webhook and command.
[systems.shop-admin]
connector = "gateway"
secret = "${SHOP_ADMIN_SECRET}"
# browser = true   # people get in with a browser, too; needs url
# url = "https://shop-admin.example.com"   # scheme and host at which a browser finds the page

[roles.shop-admin]
title = "Shop admin, read and refund"
description = "Look up orders and give money back."
system = "shop-admin"
actions = ["orders:read", "orders:refund"]   # the least that does the job
requesters = ["everyone"]
approvers = <approvers>   # never the requester
max_duration = "4h"
default_duration = "1h"
reminders = ["30m", "5m"]   # before the end
"""
