"""What clusters that are not attended add to attention, each taken as its mean key and mean value.

A cluster of ``count`` tokens whose mean key scores ``s`` counts as so many tokens of that score with the
mean value: ``weight = count * exp(s - top)``. The result is one more partial result of a softmax
(:class:`edgevid.ops.paged_attention.AttentionRest`): the sum of the weights of a row, and of weights times
values. Were all keys and values of a cluster equal, nothing would be lost.

Keys that spread around their mean weigh more: the mean of ``exp`` lies above ``exp`` of the mean.
``add_spread`` raises scores by half their variance, the second cumulant, as if keys lay like a Gaussian, at
most by ``MOST_SPREAD``: a few far keys must not stand for many. Which dims the spread lies in is taken to be
the same in all clusters of a head, so that a cluster needs one number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats
from edgevid.ops.kv_seal import LANES
from edgevid.ops.select_mass import Doubt, Marks

MOST_SPREAD = 1.0


def add_spread(
    scores: Floats, q: Floats, variance: Floats, spreads: Floats, *, scale: float, backend: Backend = "auto"
) -> Floats:
    """``scores[r, c] + min(MOST_SPREAD, spreads[c] * sum_d (scale q[r, d])^2 w[d] / 2)``, float32.

    Args:
        scores: float32 [rows, stride], of :func:`edgevid.ops.cluster_scores.cluster_scores`.
        q: float32 [rows, head_dim].
        variance: float32 [head_dim]; ``w`` is that divided by its mean.
        spreads: float32 [stride], as ``variance`` of :class:`edgevid.ops.kv_seal.Moments`, one head.

    Raises:
        ValueError: shapes disagree.
    """
    if (native := native_ops(backend)) is not None:
        out: Floats = native.add_spread(scores, q, variance, spreads, scale=scale)
        return out
    return add_spread_reference(scores, q, variance, spreads, scale=scale)


def add_spread_reference(
    scores: Floats, q: Floats, variance: Floats, spreads: Floats, *, scale: float
) -> Floats:
    """The specification, with sums in float64."""
    if q.shape != (len(scores), *variance.shape) or spreads.shape != scores.shape[1:]:
        raise ValueError("add_spread: shapes disagree")
    raised = np.minimum(_terms(q, variance, scale)[:, None] * spreads, MOST_SPREAD)
    return (scores + raised).astype(np.float32)


def doubt_of(q: Floats, variance: Floats, spreads: Floats, *, scale: float) -> Doubt:
    """The standard deviation of scores in clusters, as :func:`add_spread` has it, for
    :func:`edgevid.ops.select_mass.select_mass`."""
    rows = np.sqrt(2 * _terms(q, variance, scale))
    return Doubt(rows.astype(np.float32), np.sqrt(spreads))


def _terms(q: Floats, variance: Floats, scale: float) -> npt.NDArray[np.float64]:
    mean = float(variance.mean(dtype=np.float64))
    weights = variance / mean if mean > 0 else np.zeros_like(variance)
    return np.asarray(np.square(scale * q.astype(np.float64)) @ weights / 2)


def cluster_estimate(
    densities: Floats,
    counts: npt.NDArray[np.int32],
    marks: Marks,
    means: npt.NDArray[np.int8],
    scales: Floats,
    *,
    backend: Backend = "auto",
) -> tuple[Floats, Floats]:
    """``(sum, values)``, float32 [rows] and [rows, v_stride], of the clusters without a mark.

    Args:
        densities: float32 [rows, stride], ``exp(score - top)`` of each row.
        counts: tokens of each cluster [stride]; 0 past the last.
        marks: bool [stride], the clusters that are attended.
        means: int8 [stride, v_stride], ``value_means`` of one head of :class:`edgevid.ops.kv_seal.Moments`.
        scales: float32 [stride], likewise.

    Raises:
        ValueError: shapes disagree, or stride and v_stride are no multiples of 16.
    """
    if (native := native_ops(backend)) is not None:
        total, values = native.cluster_estimate(densities, counts, marks, means, scales)
        return total, values
    return cluster_estimate_reference(densities, counts, marks, means, scales)


def cluster_estimate_reference(
    densities: Floats,
    counts: npt.NDArray[np.int32],
    marks: Marks,
    means: npt.NDArray[np.int8],
    scales: Floats,
) -> tuple[Floats, Floats]:
    """The specification, with sums in float64."""
    stride, v_stride = means.shape
    if any(a.shape != (stride,) for a in (counts, marks, scales)) or densities.shape[1] != stride:
        raise ValueError("cluster_estimate: shapes disagree")
    if stride % LANES or v_stride % LANES:
        raise ValueError("cluster_estimate: shapes disagree")
    left = ~marks & (counts > 0)
    weights = densities[:, left].astype(np.float64) * counts[left]
    values = weights @ (means[left].astype(np.float64) * scales[left, None])
    return weights.sum(axis=1).astype(np.float32), values.astype(np.float32)
