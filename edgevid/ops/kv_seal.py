"""Sealing: tokens copied to new pages in the order of their clusters, and a summary of each cluster.

``seal_order(ids, clusters)`` lists tokens cluster by cluster, in order of time inside each; a cluster is
then a run of slots. ``cluster_summaries`` reduces each run to its mean key per KV head, int8 with one
scale, and the radius, the largest distance of a key from that mean::

    means   int8    [num_kv_heads, head_dim, stride]    dim-major; stride = clusters rounded up to 16, rest 0
    scales  float32 [num_kv_heads, stride]              max |mean| / 127, rest 0
    radii   float32 [num_kv_heads, stride]              rounded up, rest 0

``cluster_moments`` is what estimates clusters that are not attended (cluster_estimate.py): mean values, kept
as the mean keys but token-major, and how far keys lie from their mean::

    value_means   int8    [num_kv_heads, stride, v_stride]   v_stride = head_dim rounded up to 16, rest 0
    value_scales  float32 [num_kv_heads, stride]
    spreads       float32 [num_kv_heads, stride]             mean square distance per dim, rest 0
    variance      float32 [num_kv_heads, head_dim]           the same of each dim, over all keys

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


class Moments(NamedTuple):
    """What estimates one layer's clusters; shapes above."""

    value_means: npt.NDArray[np.int8]
    value_scales: Floats
    spreads: Floats
    variance: Floats


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


def cluster_moments(
    keys: Floats, values: Floats, begin: Ids, *, num_kv_heads: int, backend: Backend = "auto"
) -> Moments:
    """Moments of runs of ``keys`` and ``values``, shaped as the keys of :func:`cluster_summaries`.

    Raises:
        ValueError: as there, or keys and values disagree.
    """
    if keys.shape != values.shape:
        raise ValueError("cluster_moments: keys and values disagree")
    if (native := native_ops(backend)) is not None:
        return Moments(*native.cluster_moments(keys, values, begin, num_kv_heads=num_kv_heads))
    return cluster_moments_reference(keys, values, begin, num_kv_heads=num_kv_heads)


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
        codes, scale = _mean_codes(run)
        stored = codes.astype(np.float32) * scale[:, None]
        distance = np.sqrt(np.square(run.astype(np.float64) - stored).sum(axis=2)).max(axis=0)
        means[:, :, c] = codes
        scales[:, c] = scale
        radii[:, c] = distance * RADIUS_SLACK
    return Summaries(means, scales, radii)


def cluster_moments_reference(keys: Floats, values: Floats, begin: Ids, *, num_kv_heads: int) -> Moments:
    """The specification; sums in float64. Distances are from the mean key as it is stored."""
    check_runs(keys, begin, num_kv_heads)
    clusters, head_dim = len(begin) - 1, keys.shape[1] // num_kv_heads
    stride, v_stride = (-(-n // LANES) * LANES for n in (clusters, head_dim))
    means = np.zeros((num_kv_heads, stride, v_stride), np.int8)
    scales, spreads = np.zeros((2, num_kv_heads, stride), np.float32)
    squares = np.zeros((num_kv_heads, head_dim))
    for c in range(clusters):
        run, valued = (
            rows[begin[c] : begin[c + 1]].reshape(-1, num_kv_heads, head_dim) for rows in (keys, values)
        )
        means[:, c, :head_dim], scales[:, c] = _mean_codes(valued)
        codes, scale = _mean_codes(run)
        apart = np.square(run.astype(np.float64) - codes * scale[:, None])
        spreads[:, c] = apart.mean(axis=(0, 2))
        squares += apart.sum(axis=0)
    return Moments(means, scales, spreads, (squares / max(len(keys), 1)).astype(np.float32))


def _mean_codes(run: Floats) -> tuple[Floats, Floats]:
    """Whole numbers [heads, head_dim] and scales [heads] of the mean of ``run`` [n, heads, head_dim]."""
    mean = run.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = np.abs(mean).max(axis=1) / np.float32(127)
    return np.rint(mean / np.where(scale > 0, scale, 1)[:, None]), scale
