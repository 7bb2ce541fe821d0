"""Errors as HTTP answers, in the shape OpenAI's clients read, with edgevid's ``fix`` beside it::

{"error": {"message": ..., "type": ..., "param": ..., "code": ..., "fix": ...}}
"""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgevid.core.errors import (
    BadInputError,
    CancelledError,
    EdgevidError,
    LimitError,
    MissingPartError,
    NetworkError,
    UsageError,
)

_log = logging.getLogger("edgevid.serve")

_STATUS: tuple[tuple[type[EdgevidError], int], ...] = (
    (LimitError, 413),
    (BadInputError, 422),
    (UsageError, 400),
    (MissingPartError, 503),
    (NetworkError, 502),
    (CancelledError, 503),
)


class HttpError(Exception):
    """An answer other than success.

    Args:
        status: HTTP status, 400 or above.
        code: short name for programs.
        message: one sentence.
        param: the field of the request that is wrong.
        fix: what to do about it.
        headers: sent with the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        fix: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.fix = fix
        self.headers = headers


def bad_request(message: str, *, param: str | None = None, fix: str | None = None) -> HttpError:
    """400: the request itself is wrong."""
    return HttpError(400, "invalid_request", message, param=param, fix=fix)


def not_found(what: str) -> HttpError:
    """404."""
    return HttpError(404, "not_found", f"no such {what}")


def busy(what: str) -> HttpError:
    """429: a bounded queue is full."""
    return HttpError(429, "busy", f"{what}; try again soon", headers={"retry-after": "1"})


def error_body(error: HttpError | EdgevidError, status: int) -> dict[str, Any]:
    """The JSON object of an error."""
    kind = (
        "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    )
    param = error.param if isinstance(error, HttpError) else None
    return {
        "error": {
            "message": error.message,
            "type": kind,
            "param": param,
            "code": error.code,
            "fix": error.fix,
        }
    }


def status_of(error: EdgevidError) -> int:
    """The HTTP status that says what happened."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def respond(error: HttpError) -> Response:
    """``error`` as an answer."""
    return JSONResponse(error_body(error, error.status), error.status, headers=error.headers)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Exception handler of the application for ``HttpError``."""
    assert isinstance(error, HttpError)
    return respond(error)


async def on_edgevid_error(request: Request, error: Exception) -> Response:
    """Exception handler of the application for ``EdgevidError``."""
    assert isinstance(error, EdgevidError)
    status = status_of(error)
    return JSONResponse(error_body(error, status), status)


async def on_routing_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods in the same shape as all other errors."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    headers = dict(error.headers) if error.headers else None
    return respond(HttpError(error.status_code, code, error.detail, headers=headers))


async def on_crash(request: Request, error: Exception) -> Response:
    """Anything not foreseen: the client learns nothing of our insides, the log everything."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return respond(HttpError(500, "internal", "the server failed; its log says why"))
