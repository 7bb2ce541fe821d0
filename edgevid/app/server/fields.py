"""Reading JSON requests: within bounds of size and time, field by field, naming what is wrong."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request

from edgevid.app.server.errors import HttpError, bad_request
from edgevid.app.server.settings import HttpLimits


async def json_body(request: Request, limits: HttpLimits) -> Fields:
    """The JSON object in the body.

    Raises:
        HttpError: 415 for another content type, 413 for too many bytes, 408 when they come too slowly, 400
            for what is no JSON object in valid Unicode.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise HttpError(
            415, "unsupported_media_type", "the body must be JSON", fix="Content-Type: application/json"
        )
    too_large = HttpError(413, "too_large", f"the body is over {limits.body_bytes} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise too_large
    data = bytearray()
    try:
        async with asyncio.timeout(limits.body_s):
            async for chunk in request.stream():
                data += chunk
                if len(data) > limits.body_bytes:
                    raise too_large
    except TimeoutError:
        raise HttpError(408, "timeout", f"the body took longer than {limits.body_s:g} s") from None
    except ClientDisconnect:
        raise bad_request("the body is cut off") from None
    return Fields(_parse(bytes(data)))


def _parse(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_no_constant)
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise bad_request("the body is no JSON") from None
    if not isinstance(value, dict):
        raise bad_request("the body is no JSON object")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


class Fields:
    """A JSON object whose fields are checked as they are read; ``null`` counts as absent.

    Args:
        at: where in the request it stands, for messages.

    Every reader raises ``HttpError`` 400 with the field as ``param``.
    """

    def __init__(self, values: dict[str, Any], at: str = "") -> None:
        self._values = values
        self._at = at

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def name(self, field: str) -> str:
        """Path of a field in the request."""
        return f"{self._at}.{field}" if self._at else field

    def only(self, allowed: Sequence[str]) -> None:
        """Refuse fields that would be ignored."""
        unknown = sorted(set(self._values) - set(allowed))
        if unknown:
            raise bad_request(f"unknown field '{unknown[0][:64]}'", param=self.name(unknown[0][:64]))

    def raw(self, field: str) -> Any:
        """The value as it came."""
        return self._values.get(field)

    def text(self, field: str, default: str | None = None, *, most: int = 4096) -> str:
        """A string of 1 to ``most`` characters; required without a default."""
        value = self._values.get(field)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not 1 <= len(value) <= most:
            raise self._wrong(field, f"a text of 1 to {most} characters")
        return value

    def number(self, field: str, default: float, *, low: float, high: float) -> float:
        """A finite number in [low, high]."""
        value = self._values.get(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._wrong(field, f"a number from {low:g} to {high:g}")
        if not math.isfinite(value):
            raise self._wrong(field, "a finite number")
        return float(value)

    def whole(self, field: str, default: int, *, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        value = self._values.get(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(field, f"a whole number from {low} to {high}")
        return value

    def flag(self, field: str, default: bool = False) -> bool:
        """true or false."""
        value = self._values.get(field)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(field, "true or false")
        return value

    def inner(self, field: str) -> Fields:
        """An object; empty when absent."""
        value = self._values.get(field)
        if value is None:
            return Fields({}, self.name(field))
        if not isinstance(value, dict):
            raise self._wrong(field, "an object")
        return Fields(value, self.name(field))

    def items(self, field: str, *, most: int) -> list[Fields]:
        """A list of 1 to ``most`` objects."""
        value = self._values.get(field)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise self._wrong(field, f"a list of 1 to {most} objects")
        if not all(isinstance(item, dict) for item in value):
            raise self._wrong(field, "a list of objects")
        return [Fields(item, f"{self.name(field)}[{i}]") for i, item in enumerate(value)]

    def words(self, field: str, *, most: int, chars: int) -> list[str]:
        """A list of up to ``most`` texts, or one text; empty when absent."""
        value = self._values.get(field)
        values = [] if value is None else [value] if isinstance(value, str) else value
        good = isinstance(values, list) and len(values) <= most
        if not good or not all(isinstance(v, str) and 1 <= len(v) <= chars for v in values):
            raise self._wrong(field, f"up to {most} texts of 1 to {chars} characters")
        return list(values)

    def _wrong(self, field: str, wanted: str) -> HttpError:
        return bad_request(f"{self.name(field)} must be {wanted}", param=self.name(field))
