"""Reading numbers out of a JSON object that came from anywhere: every error names the file and the field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgevid.core.errors import BadModelError

_MAX_COUNT = 1 << 30
_MAX_NUMBER = 3e38
_MAX_JSON_BYTES = 64 << 20


class Fields:
    """The fields of one JSON object; ``where`` is the file and path that errors name.

    Every getter raises BadModelError when a value is missing (and has no default) or of the wrong kind; a
    null counts as missing, as it does for the writers of these files.
    """

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._table = table
        self.where = where

    def __contains__(self, key: str) -> bool:
        return self._table.get(key) is not None

    def bad(self, key: str, what: str) -> BadModelError:
        """The error to raise about one field."""
        return BadModelError(f"{self.where}: {key} {what}")

    def get(self, key: str, default: Any = None) -> Any:
        """The value as it is, to be checked by the caller."""
        value = self._table.get(key)
        if value is None:
            value = default
        if value is None:
            raise self.bad(key, "is missing")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self.get(key, default)
        if not isinstance(value, str):
            raise self.bad(key, "is not a string")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.bad(key, "is not true or false")
        return value

    def count(self, key: str, default: int | None = None, *, least: int = 1, most: int = _MAX_COUNT) -> int:
        """A whole number from ``least`` to ``most``."""
        value = self.get(key, default)
        if type(value) is not int or value < least:
            raise self.bad(key, f"is {str(value)[:40]}, not a whole number from {least}")
        if value > most:
            raise self.bad(key, f"is {str(value)[:40]}, more than {most}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A positive number that float32 can hold."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _MAX_NUMBER:
            raise self.bad(key, f"is {str(value)[:40]}, not a positive number")
        return float(value)

    def triple(self, key: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
        """Three positive numbers, one per colour."""
        value = self.get(key, list(default))
        if not isinstance(value, list) or len(value) != 3:
            raise self.bad(key, "is not a list of three numbers")
        red, green, blue = (Fields({key: item}, self.where).number(key) for item in value)
        return red, green, blue

    def items(self, key: str) -> list[Any]:
        """A list of anything; empty when it is missing."""
        value = self.get(key, [])
        if not isinstance(value, list):
            raise self.bad(key, "is not a list")
        return value

    def table(self, key: str, default: Mapping[str, Any] | None = None) -> Fields:
        """A nested object."""
        value = self.get(key, default)
        if not isinstance(value, dict):
            raise self.bad(key, "is not an object")
        return Fields(value, f"{self.where}: {key}")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        BadModelError: no such file, larger than 64 MiB, or no JSON object.
    """
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise BadModelError(f"{path}: larger than {_MAX_JSON_BYTES >> 20} MiB, no configuration is")
        table = json.loads(path.read_bytes())
    except OSError as error:
        raise BadModelError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise BadModelError(f"{path}: not JSON", fix="get the file again") from None
    if not isinstance(table, dict):
        raise BadModelError(f"{path}: not a JSON object", fix="get the file again")
    return table
