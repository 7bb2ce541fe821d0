"""hash_codes equals its reference bit for bit, on every instruction set and any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.hash_codes import hash_codes, hash_codes_reference, hyperplanes
from tests.ops.cases import ROWS, WIDTHS, normal


@pytest.mark.parametrize("dims", [*WIDTHS, 192, 193])
def test_equals_reference(isa: str, dims: int) -> None:
    for n in ROWS:
        keys, centre = normal(n, n, dims) * 8, normal(99, dims)
        want = hash_codes_reference(keys, centre, seed=7, layer=3)
        for threads in (1, 3):
            assert np.array_equal(hash_codes(keys, centre, seed=7, layer=3, threads=threads), want)


def test_hostile_keys(isa: str) -> None:
    keys = normal(0, 6, 40)
    keys[0, 3], keys[1, 4], keys[2, 5] = np.nan, np.inf, -np.inf
    keys[3] = 1e30
    keys[4] = 0.5 / 256  # every product rounds half to even, to 0
    keys[5] = 0.0
    centre = np.zeros(40, np.float32)
    got = hash_codes(keys, centre, seed=1, layer=0)
    assert np.array_equal(got, hash_codes_reference(keys, centre, seed=1, layer=0))
    assert got[4] == got[5] == 0xFFFFFFFF  # a sum of 0 lies on the positive side


def test_seed_and_layer_choose_the_planes() -> None:
    words = [tuple(hyperplanes(seed, layer, 8)) for seed in (0, 1) for layer in (0, 1)]
    assert len(set(words)) == 4
    assert words[0] == tuple(hyperplanes(0, 0, 16)[:8])  # a longer key keeps the first planes
    share = np.unpackbits(hyperplanes(5, 2, 4096).view(np.uint8)).mean()
    assert abs(share - 0.5) < 0.005


def test_near_keys_share_bits_and_opposite_keys_none(isa: str) -> None:
    key = normal(3, 1, 192)
    centre = np.zeros(192, np.float32)
    near = key + 0.05 * normal(4, 1, 192)
    a, b, c = (int(hash_codes(x, centre, seed=0, layer=0)[0]) for x in (key, near, -key))
    assert (a ^ b).bit_count() <= 4
    assert (a ^ c).bit_count() == 32


def test_wrong_shapes_are_refused(native: Any) -> None:
    for keys, centre in ((normal(0, 2, 3), normal(0, 4)), (normal(0, 2, 3, 4), normal(0, 4))):
        for backend in ("native", "numpy"):
            with pytest.raises(ValueError, match="hash_codes"):
                hash_codes(keys, centre, seed=0, layer=0, backend=backend)  # type: ignore[arg-type]
