"""Sealing: tokens copied to new pages in the order of their clusters, and a summary of each cluster.

``seal_order(ids, clusters)`` lists tokens cluster by cluster, in order of time inside each; a cluster is
then a run of slots. ``cluster_summaries`` reduces each run to its mean key per KV head, int8 with one
scale, and the radius, the largest distance of a key from that mean::

    means   int8    [num_kv_heads, head_dim, stride]    dim-major; stride = clusters rounded up to 16, rest 0
    scales  float32 [num_kv_heads, stride]              max |mean| / 127, rest 0
    radii   float32 [num_kv_heads, stride]              rounded up, rest 0

The copy itself (``KvCache.seal``) moves bits, so a sealed token is what was appended.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats

Ids = npt.NDArray[np.int32]
LANES = 16
RADIUS_SLACK = 1.0 + 2.0**-16
"""Covers the rounding of a distance in float32 over up to 1024 dimensions."""


class Summaries(NamedTuple):
    """Clusters of one layer as scoring reads them; shapes above."""

    means: npt.NDArray[np.int8]
    scales: Floats
    radii: Floats


def seal_order(ids: Ids, clusters: int) -> tuple[Ids, Ids]:
    """``(order, begin)``: int32 [n], the token that goes to each slot, and [clusters + 1], each run's first
    slot. ValueError when an id lies outside ``0 .. clusters - 1``."""
    if len(ids) and not 0 <= ids.min() <= ids.max() < clusters:
        raise ValueError("seal_order: there is no such cluster")
    begin = np.zeros(clusters + 1, np.int32)
    np.cumsum(np.bincount(ids, minlength=clusters), out=begin[1:])
    return np.argsort(ids, kind="stable").astype(np.int32), begin


def cluster_summaries(keys: Floats, begin: Ids, *, num_kv_heads: int, backend: Backend = "auto") -> Summaries:
    """Summaries of ``keys`` float32 [n, num_kv_heads * head_dim], already in the order of their slots.

    Raises:
        ValueError: the runs do not cover the keys, one is empty, or the heads do not divide the width.
    """
    if (native := native_ops(backend)) is not None:
        return Summaries(*native.cluster_summaries(keys, begin, num_kv_heads=num_kv_heads))
    return cluster_summaries_reference(keys, begin, num_kv_heads=num_kv_heads)


def check_runs(keys: Floats, begin: Ids, num_kv_heads: int) -> None:
    """ValueError unless they keep the contract."""
    covered = len(begin) > 0 and begin[0] == 0 and begin[-1] == len(keys) and (np.diff(begin) > 0).all()
    if not covered or keys.shape[1] % num_kv_heads:
        raise ValueError("cluster_summaries: the runs do not cover the keys")


def cluster_summaries_reference(keys: Floats, begin: Ids, *, num_kv_heads: int) -> Summaries:
    """The specification; sums in float64."""
    check_runs(keys, begin, num_kv_heads)
    clusters = len(begin) - 1
    head_dim = keys.shape[1] // num_kv_heads
    stride = -(-clusters // LANES) * LANES
    means = np.zeros((num_kv_heads, head_dim, stride), np.int8)
    scales = np.zeros((num_kv_heads, stride), np.float32)
    radii = np.zeros((num_kv_heads, stride), np.float32)
    for c in range(clusters):
        run = keys[begin[c] : begin[c + 1]].reshape(-1, num_kv_heads, head_dim)
        mean = run.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = np.abs(mean).max(axis=1) / np.float32(127)
        codes = np.rint(mean / np.where(scale > 0, scale, 1)[:, None])
        stored = codes.astype(np.float32) * scale[:, None]
        distance = np.sqrt(np.square(run.astype(np.float64) - stored).sum(axis=2)).max(axis=0)
        means[:, :, c] = codes
        scales[:, c] = scale
        radii[:, c] = distance * RADIUS_SLACK
    return Summaries(means, scales, radii)
