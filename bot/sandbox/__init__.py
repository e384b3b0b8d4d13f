"""A local stand-in for Slack with its Web API, Socket Mode and signed HTTP, for tests and the demo.

It imports nothing of the bot, and talks to it only over the network.
"""

from bot.sandbox.client import Sandbox
from bot.sandbox.http_client import SandboxError
from bot.sandbox.person import Outcome, Person
from bot.sandbox.server import running_sandbox
from bot.sandbox.text_render import plain

__all__ = ["Outcome", "Person", "Sandbox", "SandboxError", "plain", "running_sandbox"]
