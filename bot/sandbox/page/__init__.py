"""The workspace as a page in a browser. Each viewer is one of its people, and sees and does only as
much as that person may.

`routes.py` has the addresses; `static/` has the page itself, in plain HTML, CSS and JavaScript.
"""

from bot.sandbox.page.guard import Guard
from bot.sandbox.page.routes import page_routes

__all__ = ["Guard", "page_routes"]
