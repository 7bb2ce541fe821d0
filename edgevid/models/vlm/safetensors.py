"""Reads safetensors files. Every number in the header is checked before a byte of data is touched.

::

    u64 length of the header | header, JSON: name -> {"dtype", "shape", "data_offsets": [begin, end]} | data

Offsets count from the first byte of data; tensors must lie inside the file, and their sizes must agree with
shape and dtype. The safetensors package is not used because its numpy door cannot read BF16, which is what
most checkpoints hold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError

_MAX_HEADER = 100_000_000  # the bound of the format's own reader
_MAX_ELEMENTS = 1 << 40
_ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
_DTYPES: dict[str, npt.DTypeLike] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_HEAD = 8


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one tensor lies: ``begin`` counts from the start of the file; ``dtype`` in the format's words."""

    dtype: str
    shape: tuple[int, ...]
    begin: int


class SafetensorsFile(Mapping[str, StoredTensor]):
    """The tensors of one file. Data is mapped, not read; ``raw`` gives views of it.

    Raises:
        BadModelError: no such file, or not a whole safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._size = path.stat().st_size
            with path.open("rb") as file:
                length = int.from_bytes(file.read(_HEAD), "little")
                if self._size < _HEAD or not 2 <= length <= min(_MAX_HEADER, self._size - _HEAD):
                    raise self._bad("it is cut short or no safetensors file")
                header = file.read(length)
            self._data = np.memmap(path, dtype=np.uint8, mode="r")
        except OSError as error:
            raise BadModelError(f"{path}: {error.strerror or error}") from None
        self._data_at = _HEAD + length
        self._tensors = self._parse(header)

    def __getitem__(self, name: str) -> StoredTensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def raw(self, name: str) -> npt.NDArray[Any]:
        """The tensor as it is stored, read-only: float64/32/16, or for BF16 its bits as uint16.

        Raises:
            BadModelError: it does not hold floating-point numbers.
        """
        tensor = self._tensors[name]
        if tensor.dtype not in _DTYPES:
            raise self._bad(f"{name} is {tensor.dtype}, not a floating-point tensor")
        size = math.prod(tensor.shape) * _ITEM_BYTES[tensor.dtype]
        return (
            self._data[tensor.begin : tensor.begin + size].view(_DTYPES[tensor.dtype]).reshape(tensor.shape)
        )

    def _parse(self, header: bytes) -> dict[str, StoredTensor]:
        try:
            table = json.loads(header)
        except (ValueError, RecursionError):
            raise self._bad("its header is not JSON") from None
        if not isinstance(table, dict):
            raise self._bad("its header is not a JSON object")
        return {name: self._entry(name, entry) for name, entry in table.items() if name != "__metadata__"}

    def _entry(self, name: str, entry: object) -> StoredTensor:
        if not isinstance(entry, dict):
            raise self._bad(f"the entry of {name[:80]} is not an object")
        dtype = entry.get("dtype")
        if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
            raise self._bad(f"{name[:80]} is of the unknown type {str(dtype)[:20]}")
        shape, offsets = _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
        if shape is None or offsets is None or len(offsets) != 2:
            raise self._bad(f"shape or offsets of {name[:80]} are not lists of whole numbers")
        begin, end = offsets
        elements = math.prod(shape)
        if elements > _MAX_ELEMENTS or end - begin != elements * _ITEM_BYTES[dtype]:
            raise self._bad(f"{name[:80]} is {dtype} {shape} but takes {end - begin} bytes")
        if end > self._size - self._data_at:
            raise self._bad(f"{name[:80]} ends behind the end of the file; it is cut short")
        return StoredTensor(dtype, tuple(shape), self._data_at + begin)

    def _bad(self, what: str) -> BadModelError:
        return BadModelError(f"{self._path}: {what}", fix="get the file again")


def _counts(value: object) -> list[int] | None:
    if not isinstance(value, list) or len(value) > 8:
        return None
    return value if all(type(item) is int and 0 <= item < 1 << 62 for item in value) else None


def widened(stored: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What ``raw`` gives, as float32; uint16 is taken for the bits of BF16."""
    if stored.dtype == np.uint16:
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(stored, dtype=np.float32)
