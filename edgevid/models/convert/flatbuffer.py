"""Reading FlatBuffers (https://flatbuffers.dev/internals): tables with optional fields, vectors, strings.

A table is a place in the file; its first 4 bytes point back to a vtable that tells where each field lies.
Every place read is checked against the file, so a damaged one raises ValueError, never more.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file ``data`` at byte ``at``; fields are named by their number in the schema."""

    data: bytes
    at: int

    def scalar(self, field: int, form: str, default: int = 0) -> int:
        """An integer of ``struct`` format ``form``, or ``default`` when the field is left out."""
        place = self._place(field)
        return default if place is None else _read(self.data, place, form)

    def table(self, field: int) -> Table:
        """The table a field points to."""
        return Table(self.data, self._target(field))

    def tables(self, field: int) -> list[Table]:
        """A vector of tables; empty when left out."""
        if self._place(field) is None:
            return []
        offsets = self.array(field, np.uint32)
        start = self._target(field) + 4
        return [Table(self.data, start + 4 * i + int(offset)) for i, offset in enumerate(offsets)]

    def array(self, field: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A vector of numbers (little-endian); empty when left out."""
        kind = np.dtype(dtype).newbyteorder("<")
        if self._place(field) is None:
            return np.empty(0, kind)
        start = self._target(field)
        return np.frombuffer(self.data, kind, _read(self.data, start, "I"), start + 4)

    def text(self, field: int) -> str:
        """A string; empty when left out."""
        return self.array(field, np.uint8).tobytes().decode()

    def _place(self, field: int) -> int | None:
        vtable = self.at - _read(self.data, self.at, "i")
        slot = 4 + 2 * field
        if slot + 2 > _read(self.data, vtable, "H"):
            return None
        offset = _read(self.data, vtable + slot, "H")
        return self.at + offset if offset else None

    def _target(self, field: int) -> int:
        place = self._place(field)
        if place is None:
            raise ValueError(f"field {field} of the table at byte {self.at} is missing")
        return place + _read(self.data, place, "I")


def root(data: bytes, identifier: bytes) -> Table:
    """The outermost table of a file that carries the 4-byte ``identifier``."""
    if data[4:8] != identifier:
        raise ValueError(f"not a {identifier.decode()} file")
    return Table(data, _read(data, 0, "I"))


def _read(data: bytes, place: int, form: str) -> int:
    if not 0 <= place <= len(data) - struct.calcsize("<" + form):
        raise ValueError(f"byte {place} is outside the file")
    return int(struct.unpack_from("<" + form, data, place)[0])
