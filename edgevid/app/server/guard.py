"""Who may talk to the server: middleware before every route.

On loopback the Host header must name this machine, so that a page that points its own name at 127.0.0.1 (DNS
rebinding) gets nothing. On any address a request that a browser marks as coming from another site is refused
(cross-site request forgery), and where there is a token, everything but the page's own files needs it.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgevid.app.server.errors import HttpError, respond
from edgevid.app.server.settings import Settings, is_loopback

COOKIE = "edgevid"
_OPEN = frozenset(
    {"/", "/page.css", "/page.js", "/icon.svg", "/healthz", "/readyz", "/openapi.json", "/v1/login"}
)
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._names = frozenset(name.lower() for name in settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            self._check(scope["path"], scope["method"], Headers(scope=scope))
        except HttpError as error:
            await respond(error)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _check(self, path: str, method: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if self._settings.on_loopback and not self._known(host):
            raise HttpError(
                403, "wrong_host", "the Host header does not name this machine", fix="--allow-host NAME"
            )
        origin = headers.get("origin")
        if origin is not None and _host_in(origin) != host.lower():
            raise HttpError(403, "cross_site", "requests from other sites are refused")
        to_page = path == "/" and method == "GET"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not to_page:
            raise HttpError(403, "cross_site", "requests from other sites are refused")
        token = self._settings.token
        if token is not None and path not in _OPEN and not _shows(token, headers):
            raise HttpError(
                401,
                "invalid_api_key",
                "a token is needed",
                fix="Authorization: Bearer TOKEN",
                headers={"www-authenticate": "Bearer"},
            )

    def _known(self, host: str) -> bool:
        """Whether the Host header (``name``, ``name:port``, ``[v6]:port``) means this machine."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        return is_loopback(name) or name in self._names


def _host_in(origin: str) -> str | None:
    """``name:port`` of an Origin header; None when it is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def cookie_value(token: str) -> str:
    """What a browser keeps after login: proof of the token, not the token."""
    return hmac.new(token.encode(), b"edgevid browser session", hashlib.sha256).hexdigest()


def same(shown: str, secret: str) -> bool:
    """Compare in time that tells nothing of where they differ."""
    return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), secret.encode())


def _shows(token: str, headers: Headers) -> bool:
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and same(shown.strip(), token):
        return True
    cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    return same(cookie, cookie_value(token))
