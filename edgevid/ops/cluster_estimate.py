"""What clusters that are not attended add to attention, each taken as its mean key and mean value.

A cluster of ``count`` tokens whose mean key scores ``s`` counts as so many tokens of that score with the
mean value: ``weight = count * exp(s - top)``. The result is one more partial result of a softmax
(:class:`edgevid.ops.paged_attention.AttentionRest`): the sum of the weights of a row, and of weights times
values. Were all keys and values of a cluster equal, nothing would be lost. Weights below ``LEAST_WEIGHT``
count as 0: a thousand of them do not show in half precision.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats
from edgevid.ops.kv_seal import LANES
from edgevid.ops.select_mass import Marks

LEAST_WEIGHT = 2.0**-22


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


def check_estimate(
    densities: Floats,
    counts: npt.NDArray[np.int32],
    marks: Marks,
    means: npt.NDArray[np.int8],
    scales: Floats,
) -> None:
    """ValueError unless they keep the contract."""
    stride, v_stride = means.shape
    if any(a.shape != (stride,) for a in (counts, marks, scales)) or densities.shape[1] != stride:
        raise ValueError("cluster_estimate: shapes disagree")
    if stride % LANES or v_stride % LANES:
        raise ValueError("cluster_estimate: shapes disagree")


def cluster_estimate_reference(
    densities: Floats,
    counts: npt.NDArray[np.int32],
    marks: Marks,
    means: npt.NDArray[np.int8],
    scales: Floats,
) -> tuple[Floats, Floats]:
    """The specification, with sums in float64."""
    check_estimate(densities, counts, marks, means, scales)
    left = ~marks & (counts > 0)
    weights = densities[:, left].astype(np.float64) * counts[left]
    weights[weights < LEAST_WEIGHT] = 0
    values = weights @ (means[left].astype(np.float64) * scales[left, None])
    return weights.sum(axis=1).astype(np.float32), values.astype(np.float32)
