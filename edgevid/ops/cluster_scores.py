"""Scores of clusters: what a query's attention to a cluster's mean key would be.

``scores[r, c] = scale * scales[c] * sum_d q[r, d] * means[d, c]`` for the rows of one KV head's group;
``means`` and ``scales`` are one head of :class:`edgevid.ops.kv_seal.Summaries`. Columns past ``clusters``
hold -inf.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats
from edgevid.ops.kv_seal import LANES


def cluster_scores(
    q: Floats,
    means: npt.NDArray[np.int8],
    scales: Floats,
    *,
    clusters: int,
    scale: float,
    backend: Backend = "auto",
) -> Floats:
    """float32 [rows, stride] from ``q`` [rows, head_dim], ``means`` [head_dim, stride], ``scales`` [stride].

    Raises:
        ValueError: shapes disagree, the stride is no multiple of 16 or does not hold the clusters.
    """
    if (native := native_ops(backend)) is not None:
        out: Floats = native.cluster_scores(q, means, scales, clusters=clusters, scale=scale)
        return out
    return cluster_scores_reference(q, means, scales, clusters=clusters, scale=scale)


def check_table(q: Floats, means: npt.NDArray[np.int8], scales: Floats, clusters: int) -> None:
    """ValueError unless they keep the contract."""
    head_dim, stride = means.shape
    if q.shape[1] != head_dim or scales.shape != (stride,) or stride % LANES or not 0 <= clusters <= stride:
        raise ValueError("cluster_scores: shapes disagree")


def cluster_scores_reference(
    q: Floats, means: npt.NDArray[np.int8], scales: Floats, *, clusters: int, scale: float
) -> Floats:
    """The specification, with sums in float64."""
    check_table(q, means, scales, clusters)
    scores = q.astype(np.float64) @ means.astype(np.float64) * scales * scale
    scores[:, clusters:] = -np.inf
    return scores.astype(np.float32)
