"""The web page: three files read once, and login for browsers where there is a token."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from edgevid.app.server.errors import HttpError
from edgevid.app.server.fields import json_body
from edgevid.app.server.guard import COOKIE, cookie_value, same
from edgevid.app.server.requests import service_of

_GUESS_S = 0.5  # what a wrong token costs


async def page(request: Request) -> Response:
    """The page itself."""
    return _file("index.html", "text/html")


async def style(request: Request) -> Response:
    """Its looks."""
    return _file("page.css", "text/css")


async def script(request: Request) -> Response:
    """Its behaviour."""
    return _file("page.js", "text/javascript")


async def icon(request: Request) -> Response:
    """Its icon."""
    return _file("icon.svg", "image/svg+xml")


async def login(request: Request) -> Response:
    """``{"token": ...}`` for a cookie that pictures, video and event streams can carry too."""
    service = service_of(request)
    fields = await json_body(request, service.limits)
    fields.only(("token",))
    shown, token = fields.text("token"), service.settings.token
    if token is None:
        return Response(status_code=204)
    if not same(shown, token):
        await asyncio.sleep(_GUESS_S)
        raise HttpError(401, "invalid_api_key", "this is not the token")
    answer = Response(status_code=204)
    answer.set_cookie(COOKIE, cookie_value(token), httponly=True, samesite="strict", path="/")
    return answer


def _file(name: str, kind: str) -> Response:
    return Response(_read(name), media_type=kind, headers={"cache-control": "no-cache"})


@cache
def _read(name: str) -> bytes:
    return files("edgevid.app.server").joinpath("page", name).read_bytes()
