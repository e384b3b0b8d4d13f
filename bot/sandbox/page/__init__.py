"""The workspace as a page in a browser: whoever opens it is one of its people and sees and does
what that person may.

`routes.py` has the table of addresses; the page itself, plain HTML, CSS and JavaScript, is in
`static/`.
"""

from bot.sandbox.page.guard import Guard
from bot.sandbox.page.routes import page_routes

__all__ = ["Guard", "page_routes"]
