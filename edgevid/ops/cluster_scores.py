"""Scores of clusters: what a query's attention to a cluster's mean key would be.

``scores[r, c] = scale * scales[c] * sum_d q[r, d] * means[d, c]`` for the rows of one KV head's group;
``means`` and ``scales`` are one head of :class:`edgevid.ops.kv_seal.Summaries`. Columns past ``clusters``
hold -inf. Each row of ``q`` is first rounded to 8 bits with a scale of its own, ``max |q| / 127``, so that
products are summed in integers, the same on every machine; a row that is not finite scores NaN.

Keys that spread around their mean weigh more: the mean of ``exp`` lies above ``exp`` of the mean. ``spread``
raises scores by half their variance, the second cumulant, as if keys lay like a Gaussian, at most by
``MOST_SPREAD``: a few far keys must not stand for many. Which dims the spread lies in is taken to be the same
in all clusters of a head, so that a cluster needs one number::

    scores[r, c] += min(MOST_SPREAD, spreads[c] * sum_d (scale q[r, d])^2 w[d] / 2)

with ``w`` the variance divided by its mean, and ``q`` as it was before rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats
from edgevid.ops.kv_seal import LANES
from edgevid.ops.select_mass import Doubt

MOST_SPREAD = 1.0
_MOST = np.float32(127)
_SMALLEST = np.float32(1e-30)
"""A row whose largest magnitude is not above this counts as zero."""


class Spread(NamedTuple):
    """How keys lie around the means of their clusters, for one KV head: ``variance`` float32 [head_dim] and
    ``spreads`` float32 [stride] as in :class:`edgevid.ops.kv_seal.Moments`."""

    variance: Floats
    spreads: Floats


def cluster_scores(
    q: Floats,
    means: npt.NDArray[np.int8],
    scales: Floats,
    *,
    clusters: int,
    scale: float,
    spread: Spread | None = None,
    backend: Backend = "auto",
) -> Floats:
    """float32 [rows, stride] from ``q`` [rows, head_dim], ``means`` [head_dim, stride], ``scales`` [stride].

    Raises:
        ValueError: shapes disagree, the stride is no multiple of 16 or does not hold the clusters.
    """
    if (native := native_ops(backend)) is not None:
        out: Floats = native.cluster_scores(q, means, scales, clusters=clusters, scale=scale, spread=spread)
        return out
    return cluster_scores_reference(q, means, scales, clusters=clusters, scale=scale, spread=spread)


def check_table(
    q: Floats, means: npt.NDArray[np.int8], scales: Floats, clusters: int, spread: Spread | None
) -> None:
    """ValueError unless they keep the contract."""
    head_dim, stride = means.shape
    if q.shape[1] != head_dim or scales.shape != (stride,) or stride % LANES or not 0 <= clusters <= stride:
        raise ValueError("cluster_scores: shapes disagree")
    if spread is not None and (spread.variance.shape != (head_dim,) or spread.spreads.shape != (stride,)):
        raise ValueError("cluster_scores: shapes disagree")


def round_queries(q: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Codes int8 [rows, head_dim] within +-127 and the rows' scales float32 [rows], NaN for a row that is not
    finite."""
    largest = np.abs(q).max(axis=1, initial=0)
    finite = np.isfinite(largest)
    usable = finite & (largest > _SMALLEST)
    inverse = np.where(usable, _MOST / np.where(usable, largest, 1), 0).astype(np.float32)
    codes = np.rint(np.where(usable[:, None], q, 0) * inverse[:, None])
    scales = np.where(usable, largest / _MOST, np.where(finite, 0, np.nan))
    return codes.astype(np.int8), scales.astype(np.float32)


def cluster_scores_reference(
    q: Floats,
    means: npt.NDArray[np.int8],
    scales: Floats,
    *,
    clusters: int,
    scale: float,
    spread: Spread | None = None,
) -> Floats:
    """The specification, with sums in float64."""
    check_table(q, means, scales, clusters, spread)
    codes, row_scales = round_queries(q)
    scores = codes.astype(np.float64) @ means.astype(np.float64) * scales * (row_scales * scale)[:, None]
    if spread is not None:
        scores += np.minimum(_terms(q, spread.variance, scale)[:, None] * spread.spreads, MOST_SPREAD)
    scores[:, clusters:] = -np.inf
    return scores.astype(np.float32)


def doubt_of(q: Floats, spread: Spread, *, scale: float) -> Doubt:
    """The standard deviation of scores in clusters, for :func:`edgevid.ops.select_mass.select_mass`."""
    rows = np.sqrt(2 * _terms(q, spread.variance, scale))
    return Doubt(rows.astype(np.float32), np.sqrt(spread.spreads))


def _terms(q: Floats, variance: Floats, scale: float) -> npt.NDArray[np.float64]:
    mean = float(variance.mean(dtype=np.float64))
    weights = variance / mean if mean > 0 else np.zeros_like(variance)
    return np.asarray(np.square(scale * q.astype(np.float64)) @ weights / 2)
