"""A realistic small company for the demo: people, groups, channels and an installed app."""

from __future__ import annotations

from bot.sandbox.checks import Json
from bot.sandbox.workspace import AppInstall, Channel, Group, User, Workspace

SCOPES = [
    "commands",
    "chat:write",
    "im:write",
    "users:read",
    "users:read.email",
    "usergroups:read",
    "channels:read",
    "groups:read",
    "files:write",
]
ANA, BEN, CHIARA, DEV, EMI = "U0ANASOUZA", "U0BENOKAFO", "U0CHIARARO", "U0DEVPATEL", "U0EMITANAK"
FARID, GWEN, HUGO, IVY, JON = "U0FARIDHAD", "U0GWENMOOR", "U0HUGOGUES", "U0IVYSTRAN", "U0JONGONE0"
DEPLOYBOT = "U0DEPLOYBO"

PEOPLE = [
    User(
        ANA,
        "ana",
        "Ana Souza",
        "ana@example.com",
        "America/Sao_Paulo",
        title="Software engineer, Shop",
    ),
    User(
        BEN,
        "ben",
        "Ben Okafor",
        "ben@example.com",
        "Europe/London",
        title="Engineering manager, Orders and data",
    ),
    User(
        CHIARA,
        "chiara",
        "Chiara Rossi",
        "chiara@example.com",
        "Europe/Rome",
        is_admin=True,
        title="Head of platform",
    ),
    User(
        DEV,
        "dev",
        "Dev Patel",
        "dev@example.com",
        "Asia/Kolkata",
        title="Software engineer, Shop, new this week",
    ),
    User(
        EMI, "emi", "Emi Tanaka", "emi@example.com", "Asia/Tokyo", title="Software engineer, Orders"
    ),
    User(
        FARID,
        "farid",
        "Farid Haddad",
        "farid@example.com",
        "Europe/Paris",
        title="Site reliability engineer",
    ),
    User(
        GWEN,
        "gwen",
        "Gwen Moore",
        "gwen@example.com",
        "America/New_York",
        title="Database engineer",
    ),
    User(
        HUGO,
        "hugo",
        "Hugo Lind",
        "hugo@example.com",
        "Europe/Stockholm",
        is_restricted=True,
        is_ultra_restricted=True,
        title="Auditor, guest",
    ),
    User(
        IVY,
        "ivy",
        "Ivy Chen",
        "ivy@partner.example.com",
        "America/Los_Angeles",
        "T0PARTNER",
        is_stranger=True,
        title="Payment partner",
    ),
    User(JON, "jon", "Jon Byrne", "jon@example.com", "Europe/Dublin", deleted=True),
    User(DEPLOYBOT, "deploybot", "Deploy Bot", "", "Etc/UTC", is_bot=True),
]
ENGINEERS = [ANA, BEN, CHIARA, DEV, EMI, FARID, GWEN]
GROUPS = [
    Group("S0DBLEADS", "db-leads", "Database leads", [BEN, GWEN]),
    Group("S0PLATFORM", "platform-leads", "Platform leads", [CHIARA]),
    Group("S0ONCALL", "oncall-backend", "Backend on call", [EMI]),
    Group("S0SRE", "sre", "Site reliability", [FARID]),
    Group("S0ENGINEER", "engineers", "Engineers", ENGINEERS),
    Group("S0OLDTEAM", "old-team", "Gone", [JON], date_delete=1_700_000_000),
]


def channels(bot: str) -> list[Channel]:
    """The channels; the bot was invited to those it needs."""
    return [
        Channel("C0GENERAL", "general", members=[*ENGINEERS, DEPLOYBOT]),
        Channel("C0SHOP", "shop", members=[ANA, BEN, DEV, EMI, GWEN, DEPLOYBOT]),
        Channel("C0APPROVAL", "access-approvals", members=[BEN, CHIARA, FARID, GWEN, bot]),
        Channel("G0SECURITY", "access-security", True, [CHIARA, FARID, bot]),
        Channel("C0DBAPPROV", "db-approvals", members=[BEN, GWEN, bot]),
        Channel(
            "C0PARTNERS", "partners", members=[ANA, CHIARA, HUGO, IVY, bot], is_ext_shared=True
        ),
    ]


TALK = (
    ("C0GENERAL", CHIARA, f"Please welcome <@{DEV}>, who joins the shop team this week. :wave:"),
    ("C0GENERAL", DEV, "Hello everybody! Glad to be here."),
    ("C0SHOP", DEPLOYBOT, "Deployed shop 2026.47.1 to production."),
    ("C0SHOP", EMI, "Orders are all green after the deploy."),
    (
        "C0SHOP",
        GWEN,
        (
            f"SHOP-12: customer 4711 was charged twice and waits for the money. <@{DEV}>, can you"
            " take it?"
        ),
    ),
    ("C0SHOP", DEV, "Yes. Where do I get into the admin page?"),
    (
        "C0SHOP",
        ANA,
        "It is closed to all of us. Ask for an hour with `{command}`, and Ben or Gwen let you in.",
    ),
)


def talk(workspace: Workspace) -> None:
    """Earlier messages, so that the workspace is not empty."""
    command = workspace.app.command
    for channel, user, text in TALK:
        line = text.replace("{command}", command)
        workspace.post(workspace.channel(channel), {"user": user, "text": line})


def company(manifest: Json | None = None) -> Workspace:
    """A fresh workspace of the company. With a manifest, its scopes, events and commands hold."""
    scopes = (manifest or {}).get("oauth_config", {}).get("scopes", {}).get("bot", SCOPES)
    app = AppInstall(scopes=list(scopes), manifest=manifest or {})
    workspace = Workspace(app)
    bot = User(app.bot_user, "access", app.name, "", "Etc/UTC", is_bot=True)
    workspace.users = {user.id: User(**vars(user)) for user in [*PEOPLE, bot]}
    workspace.groups = {
        group.id: Group(**{**vars(group), "users": list(group.users)}) for group in GROUPS
    }
    workspace.channels = {channel.id: channel for channel in channels(app.bot_user)}
    return workspace
