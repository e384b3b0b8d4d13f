"""A local stand-in for Slack that speaks its real Web API, Socket Mode and signed HTTP, for tests
and the demo.

It doesn't know the bot: it imports nothing of it and meets it over the network only.
"""

from bot.sandbox.client import Sandbox
from bot.sandbox.http_client import SandboxError
from bot.sandbox.person import Outcome, Person
from bot.sandbox.server import running_sandbox
from bot.sandbox.text_render import plain

__all__ = ["Outcome", "Person", "Sandbox", "SandboxError", "plain", "running_sandbox"]
