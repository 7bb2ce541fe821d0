"""cluster_assign equals its reference; any cut of the stream gives the same clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.cluster_assign import cluster_assign, cluster_assign_reference
from edgevid.ops.hash_codes import Codes

NONE = np.empty(0, np.uint32)


def stream(n: int, *, themes: int = 12, flips: int = 3, seed: int = 0) -> Codes:
    """Codes that scatter by a few bits around a few themes, as frames of scenes do."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << 32, themes, dtype=np.uint32)[rng.integers(0, themes, n)]
    for _ in range(flips):
        codes ^= np.uint32(1) << rng.integers(0, 32, n).astype(np.uint32)
    return codes


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 63, 64, 65, 300])
@pytest.mark.parametrize("threshold", [0, 1, 7, 9, 33])
@pytest.mark.parametrize("capacity", [1, 5, 1000])
def test_equals_reference(isa: str, n: int, threshold: int, capacity: int) -> None:
    codes = stream(n)
    ids, leaders = cluster_assign(codes, threshold=threshold, capacity=capacity)
    want_ids, want_leaders = cluster_assign_reference(codes, NONE, threshold=threshold, capacity=capacity)
    assert np.array_equal(ids, want_ids)
    assert np.array_equal(leaders, want_leaders)


def test_any_cut_of_the_stream_gives_the_same_clusters(isa: str) -> None:
    codes = stream(500)
    whole, leaders = cluster_assign(codes, threshold=7, capacity=20)
    rng = np.random.default_rng(1)
    for _ in range(20):
        cuts = np.sort(rng.integers(0, 501, 12))
        opened, parts = NONE, []
        for part in np.split(codes, cuts):
            ids, opened = cluster_assign(part, opened, threshold=7, capacity=20)
            parts.append(ids)
        assert np.array_equal(np.concatenate(parts), whole)
        assert np.array_equal(opened, leaders)


def test_equals_join_the_lowest_id_and_full_tables_the_nearest(isa: str) -> None:
    codes = np.array([0b0000, 0b1111, 0b0011, 0xFFFFFFFF], np.uint32)
    ids, _ = cluster_assign(codes, threshold=4, capacity=2)
    assert ids.tolist() == [0, 1, 0, 1]
    ids, leaders = cluster_assign(codes, threshold=4, capacity=3)
    assert ids.tolist() == [0, 1, 0, 2]
    assert leaders.tolist() == [0, 0b1111, 0xFFFFFFFF]


def test_rules_out_of_range_are_refused(native: Any) -> None:
    for threshold, capacity, opened in ((-1, 1, 0), (34, 1, 0), (7, 0, 0), (7, 2, 3)):
        for backend in ("native", "numpy"):
            with pytest.raises(ValueError, match="cluster_assign"):
                cluster_assign(
                    stream(3),
                    stream(opened),
                    threshold=threshold,
                    capacity=capacity,
                    backend=backend,  # type: ignore[arg-type]
                )
