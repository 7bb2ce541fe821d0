"""32-bit codes of keys: on which side of 32 random hyperplanes they lie (SimHash, Charikar 2002).

``keys`` float32 [n, dims] are the keys of all KV heads of a layer side by side, ``centre`` float32 [dims]
what is subtracted first. With ``x = clip(round_half_even((keys - centre) * 256), -32767, 32767)`` as
integers (NaN counts as -32767), bit b of a code is set where ``sum_j x[j] * H[j, b] >= 0``. ``H[j, b]`` is
+1 where bit b of ``hyperplanes(seed, layer, dims)[j]`` is set, else -1. All sums are integers, so codes are
the same everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats

Codes = npt.NDArray[np.uint32]

BITS = 32
SCALE = 256.0
LIMIT = 32767
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def hyperplanes(seed: int, layer: int, dims: int) -> Codes:
    """uint32 [dims], from a counter: word j is the upper half of
    ``mix(mix(seed + layer * G) + (j + 1) * G)`` with splitmix64's finaliser and increment G (Steele 2014)."""
    start = _mix(np.array([(seed + layer * _GOLDEN) & _MASK], np.uint64))
    counters = np.arange(1, dims + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    words: Codes = (_mix(start + counters) >> np.uint64(32)).astype(np.uint32)
    return words


def hash_codes(
    keys: Floats, centre: Floats, *, seed: int, layer: int, threads: int = 1, backend: Backend = "auto"
) -> Codes:
    """uint32 [n]; ValueError when shapes disagree."""
    if (native := native_ops(backend)) is not None:
        out: Codes = native.hash_codes(keys, centre, seed=seed, layer=layer, threads=threads)
        return out
    return hash_codes_reference(keys, centre, seed=seed, layer=layer)


def check_keys(keys: Floats, centre: Floats) -> None:
    """ValueError unless they keep the contract."""
    if keys.ndim != 2 or centre.shape != keys.shape[1:]:
        raise ValueError("hash_codes: keys are [n, dims], the centre [dims]")


def hash_codes_reference(keys: Floats, centre: Floats, *, seed: int, layer: int) -> Codes:
    """The specification."""
    check_keys(keys, centre)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (keys.astype(np.float32) - centre) * np.float32(SCALE)
    held = np.clip(np.nan_to_num(scaled, nan=-LIMIT, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT)
    bits = np.arange(BITS, dtype=np.uint32)
    signs = np.where(hyperplanes(seed, layer, keys.shape[1])[:, None] >> bits & 1, 1, -1)
    sides = np.rint(held).astype(np.int64) @ signs >= 0
    codes: Codes = (sides.astype(np.uint32) << bits).sum(axis=1, dtype=np.uint32)
    return codes


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
