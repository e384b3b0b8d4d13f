"""The pages for browsers, without any script. They name the system, and no person and no role."""

from base64 import b64encode
from hashlib import sha256
from html import escape

from bot.operations.browser.slack_place import SlackPlace
from bot.web.responses import Answer, Header

_STYLE = """
:root { color-scheme: light dark; --ink: #1d1c1d; --soft: #5c5b5d; --paper: #fff; --go: #0b6e4f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f1f1f2; --soft: #b3b2b5; --paper: #1a1d21; --go: #15795a; }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 12vh 20px 40px; background: var(--paper); color: var(--ink);
  font: 17px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
main { max-width: 34rem; margin: 0 auto; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 16px; }
p { margin: 0 0 16px; }
a { color: inherit; }
.soft { color: var(--soft); font-size: 0.94rem; }
.go, button {
  display: inline-block; min-height: 44px; padding: 9px 20px; border-radius: 8px; font: inherit;
  cursor: pointer; text-decoration: none; border: 1px solid var(--soft); background: transparent;
  color: inherit;
}
.go { border-color: var(--go); background: var(--go); color: #fff; font-weight: 600; }
form { margin: 0 0 16px; }
:focus-visible { outline: 3px solid #1d9bd1; outline-offset: 2px; }
"""
_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)

HTML = b"text/html; charset=utf-8"
_HEADERS: tuple[Header, ...] = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    # With no-referrer the browser would send “Origin: null” with our own forms.
    (b"referrer-policy", b"strict-origin"),
)

_SIGN_OUT = (
    '<form method="post" action="/_access/sign-out"><button type="submit">Sign out</button></form>'
)


def no_access(
    status: int, system: str, slack: SlackPlace, has_cookie: bool, *headers: Header, why: str = ""
) -> Answer:
    """The page for a browser without access. `why` is the problem of its link, and `has_cookie`
    offers to sign out."""
    name = escape(system)
    problem = f"<p><strong>{escape(why)}</strong></p>" if why else ""
    body = (
        f"{problem}<p><strong>{name}</strong> opens only for people who have access to it now. Ask"
        " for a role of this system in Slack. When you have access, press <strong>Show"
        " credentials</strong> there, and then <strong>Open in browser</strong>.</p>"
        f"{_into_slack(slack)}{_SIGN_OUT if has_cookie else ''}"
    )
    return _page(status, "You need access to this page", body, *headers)


def _into_slack(slack: SlackPlace) -> str:
    app, web = escape(slack.app_link, quote=True), escape(slack.web_link, quote=True)
    first = f'<p><a class="go" href="{app}">Ask in Slack</a></p>' if app else ""
    words = "Open Slack in the browser" if app else "Ask in Slack"
    return f'{first}<p class="soft"><a href="{web}" rel="noreferrer">{words}</a></p>'


def confirm_open(system: str, code: str) -> Answer:
    """The page behind the link of **Open in browser**. Only its button uses the code up, so that
    programs which follow links do not, and so that nobody is signed in without pressing."""
    name = escape(system)
    body = (
        "<p>Continue only if you pressed <strong>Open in browser</strong> in Slack yourself. If"
        " somebody sent you this link, close this page: you would work with their access.</p>"
        '<form method="post" action="/_access/open">'
        f'<input type="hidden" name="code" value="{escape(code, quote=True)}">'
        '<button class="go" type="submit">Continue</button></form>'
    )
    return _page(200, f"Open {name} in this browser", body)


def signed_in(system: str, until: str) -> Answer:
    """The page of a browser that has access."""
    body = (
        f"<p>It has access to <strong>{escape(system)}</strong> until {escape(until)}.</p><p><a"
        f' class="go" href="/">Open the page</a></p>{_SIGN_OUT}'
    )
    return _page(200, "This browser is signed in", body)


def _page(status: int, title: str, body: str, *headers: Header) -> Answer:
    """`title` and `body` are HTML."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport"'
        ' content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>{body}"
        "</main></body></html>"
    )
    return Answer(status, text.encode(), HTML, (*_HEADERS, *headers))
