"""Joins codes to clusters, one after the other: the online clustering of ReSV (V-Rex, arXiv 2512.12284).

A code joins the open cluster whose leader (its first code) is nearest in Hamming distance, the lowest id
among equals, when that distance is below ``threshold``; otherwise it opens the next cluster. Once
``capacity`` clusters are open none is added: codes then join the nearest at any distance. Codes in, ids
out, nothing else: cutting the stream differently and passing the leaders on gives the same ids.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.hash_codes import BITS, Codes

Ids = npt.NDArray[np.int32]


def cluster_assign(
    codes: Codes,
    leaders: Codes | None = None,
    *,
    threshold: int,
    capacity: int,
    backend: Backend = "auto",
) -> tuple[Ids, Codes]:
    """``(ids, leaders)``: int32 [n], the cluster of each code, and uint32 [clusters], all leaders.

    Args:
        leaders: of the clusters that are open already; None = none.
        threshold: 0..33; 0 never joins, 33 always does.
        capacity: at least 1.

    Raises:
        ValueError: the threshold or the capacity is out of range, or more leaders are open than it allows.
    """
    opened = np.empty(0, np.uint32) if leaders is None else leaders
    if (native := native_ops(backend)) is not None:
        ids, after = native.cluster_assign(codes, opened, threshold=threshold, capacity=capacity)
        return ids, after
    return cluster_assign_reference(codes, opened, threshold=threshold, capacity=capacity)


def check_joining(leaders: Codes, *, threshold: int, capacity: int) -> None:
    """ValueError unless they keep the contract."""
    if not 0 <= threshold <= BITS + 1 or capacity < 1 or len(leaders) > capacity:
        raise ValueError("cluster_assign: threshold is 0..33, capacity at least 1 and the open clusters")


def cluster_assign_reference(
    codes: Codes, leaders: Codes, *, threshold: int, capacity: int
) -> tuple[Ids, Codes]:
    """The specification."""
    check_joining(leaders, threshold=threshold, capacity=capacity)
    opened = [int(leader) for leader in leaders]
    ids = np.empty(len(codes), np.int32)
    for i, code in enumerate(codes):
        distances = [(int(code) ^ leader).bit_count() for leader in opened]
        nearest = int(np.argmin(distances)) if opened else -1
        if nearest >= 0 and (distances[nearest] < threshold or len(opened) == capacity):
            ids[i] = nearest
        else:
            ids[i] = len(opened)
            opened.append(int(code))
    return ids, np.array(opened, np.uint32)
