"""Reading a TOML table key by key, so that a wrong or unknown one is named with its line."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from edgevid.core.errors import BadInputError, EdgevidError

T = TypeVar("T")
D = TypeVar("D")
_SAID = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}


class Table:
    """One table of a parsed file; ``finish`` refuses the keys nobody took.

    Args:
        data: the table as ``tomllib`` gives it.
        path, text: the file, for messages.
        header: the line that opens the table, "" for the top.
        number: which of several tables of the same header, from 0.
    """

    def __init__(
        self, data: dict[str, Any], *, path: Path, text: str, header: str = "", number: int = 0
    ) -> None:
        self._data = data
        self._path = path
        self._text = text
        self._header = header
        self._number = number
        self._known: list[str] = []

    def take(self, key: str, kind: type[T], default: D) -> T | D:
        """The value of ``key``, of type ``kind`` (a whole number is a float too); ``default`` without it."""
        self._known.append(key)
        if key not in self._data:
            return default
        value = self._data[key]
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.wrong(key, f"must be {_SAID[kind]}")
        return value

    def strings(self, key: str) -> list[str]:
        """The list of texts at ``key``, empty without it."""
        self._known.append(key)
        value = self._data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, 'must be a list of texts, such as ["object", "cut"]')
        return value

    def convert(self, key: str, parse: Callable[[str], T]) -> T | None:
        """``parse`` of the text at ``key``; its complaint becomes one about the key."""
        text = self.take(key, str, None)
        if text is None:
            return None
        try:
            return parse(text)
        except EdgevidError as error:
            raise self.wrong(key, str(error)) from error

    def table(self, key: str) -> Table:
        """The table ``[key]``, empty when there is none."""
        self._known.append(key)
        data = self._data.get(key, {})
        if not isinstance(data, dict):
            raise self.wrong(key, f"must be a table: [{key}]")
        return Table(data, path=self._path, text=self._text, header=f"[{key}]")

    def tables(self, key: str) -> list[Table]:
        """All tables ``[[key]]``."""
        self._known.append(key)
        found = self._data.get(key, [])
        if not isinstance(found, list) or not all(isinstance(data, dict) for data in found):
            raise self.wrong(key, f"must be a table in double brackets: [[{key}]]")
        return [
            Table(data, path=self._path, text=self._text, header=f"[[{key}]]", number=i)
            for i, data in enumerate(found)
        ]

    def finish(self) -> None:
        """Refuse keys that were not asked for."""
        for key in self._data:
            if key not in self._known:
                near = get_close_matches(key, self._known, n=1)
                known = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(self._known)}"
                raise self.wrong(key, f"is not a key; {known}")

    def wrong(self, key: str, reason: str) -> BadInputError:
        """The error for ``key``, naming file, line where it can be found, and table."""
        line = self._line_of(key)
        where = f"{self._path}:{line}" if line else str(self._path)
        number = f" {self._number + 1}" if self._header.startswith("[[") else ""
        table = f"{self._header}{number}: " if self._header else ""
        return BadInputError(f"{where}: {table}{key}: {reason}", fix="see examples/cameras.toml")

    def _line_of(self, key: str) -> int | None:
        """Line of ``key``, or else of the table's header; TOML's parser does not tell."""
        header, number, opened = "", -1, None
        wanted = re.compile(
            rf"\s*(?:{re.escape(key)}|['\"]{re.escape(key)}['\"])\s*=|\s*\[+{re.escape(key)}\b"
        )
        for at, line in enumerate(self._text.splitlines(), 1):
            if line.lstrip().startswith("["):
                header = "".join(line.split("#")[0].split())
                number += header == self._header
                if header == self._header and number == self._number:
                    opened = at
            here = header == self._header and (not self._header or number == self._number)
            if (here or not self._header) and wanted.match(line):
                return at
        return opened
