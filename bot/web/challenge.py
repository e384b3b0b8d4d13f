"""The answer to a request without a token, and the header that asks for one (RFC 6750)."""

from bot.web.responses import Header, as_text

CHALLENGE: Header = (b"www-authenticate", b'Bearer realm="access"')

NO_TOKEN = as_text(
    401,
    "This needs an access token: send it as “Authorization: Bearer …”. Ask for access in Slack to"
    " get one.",
    CHALLENGE,
)
