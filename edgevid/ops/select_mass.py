"""Which clusters a KV head attends: the fewest that bring a step's attention mass to a share ``threshold``.

Inputs are the scores of the group's rows for all clusters, the clusters' token counts, and what the rows
attend anyway (sinks, recent, current tokens) as the maximum and the exp-sum of its scores. Per row,
relative to the largest score, a cluster's density is ``x = exp(score)`` and its mass ``x * count``; the
row's total is the resident mass plus all of these. (The paper sums raw scores, which are signed: a share of
such a sum is ill-defined.)

* ``pooled``: every row's masses are divided by its total and added up; one selection serves all rows.
* otherwise each row selects for itself and the union is taken.
* with ``doubt``, for clusters that are estimated when they are not selected (cluster_estimate.py): densities
  count ``min(1, rows[r] * clusters[c])`` times, the standard deviation of the cluster's scores, for so much
  can an estimate be off: where all tokens of a cluster score the same its estimate is exact, however much
  mass it holds. Selected until what is left in doubt is at most ``1 - threshold`` of the total.

A selection walks clusters from the highest density down until resident and selected mass exceed ``threshold``
times the total. ``exact`` sorts them (lowest index first among equals). The default walks buckets instead, of
an eighth of an octave of density, and takes the whole bucket in which the threshold is crossed: no sort, at
most one bucket too many, an early exit. ``max_tokens`` then keeps the highest pooled densities whose counts
fit. Clusters of no token are never taken; a row whose total is not finite takes all others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats

Marks = npt.NDArray[np.bool_]
BUCKETS = 256
"""32 octaves of density below the highest; whatever lies lower shares the last bucket."""


class Masses(NamedTuple):
    """What a selection weighs; see :func:`select_mass`."""

    scores: Floats
    counts: npt.NDArray[np.int32]
    resident_max: Floats
    resident_sum: Floats


class Doubt(NamedTuple):
    """float32 [rows] and [clusters]; see the module."""

    rows: Floats
    clusters: Floats


class MassRule(NamedTuple):
    """How it selects; see :func:`select_mass`."""

    threshold: float
    pooled: bool = True
    exact: bool = False
    max_tokens: int = 0


def select_mass(
    scores: Floats,
    counts: npt.NDArray[np.int32],
    resident_max: Floats,
    resident_sum: Floats,
    *,
    threshold: float,
    pooled: bool = True,
    exact: bool = False,
    max_tokens: int = 0,
    doubt: Doubt | None = None,
    backend: Backend = "auto",
) -> Marks:
    """bool [clusters]: the selected ones.

    Args:
        scores: float32 [rows, clusters].
        counts: tokens of each cluster.
        resident_max: float32 [rows], -inf where nothing is resident.
        resident_sum: float32 [rows], sum of ``exp(score - resident_max)``.
        threshold: share of the mass, 0..1; 1 takes everything.
        max_tokens: most tokens selected; 0 = no limit.

    Raises:
        ValueError: shapes disagree or the threshold is out of range.
    """
    masses = Masses(scores, counts, resident_max, resident_sum)
    rule = MassRule(threshold, pooled, exact, max_tokens)
    if (native := native_ops(backend)) is not None:
        options = rule._asdict() if doubt is None else {**rule._asdict(), "doubt": doubt}
        out: Marks = native.select_mass(*masses, **options)
        return out
    return select_mass_reference(masses, rule, doubt)


def check_selection(masses: Masses, rule: MassRule, doubt: Doubt | None = None) -> None:
    """ValueError unless they keep the contract."""
    rows, clusters = masses.scores.shape
    resident = masses.resident_max.shape, masses.resident_sum.shape
    if masses.counts.shape != (clusters,) or resident != ((rows,), (rows,)):
        raise ValueError("select_mass: shapes disagree")
    if doubt is not None and (doubt.rows.shape, doubt.clusters.shape) != ((rows,), (clusters,)):
        raise ValueError("select_mass: shapes disagree")
    if not 0 <= rule.threshold <= 1:
        raise ValueError("select_mass: the threshold is a share")


def select_mass_reference(masses: Masses, rule: MassRule, doubt: Doubt | None = None) -> Marks:
    """The specification; densities in float32, sums in float64."""
    check_selection(masses, rule, doubt)
    scores, counts, resident_max, resident_sum = masses
    threshold, pooled, exact, max_tokens = rule
    rows, clusters = scores.shape
    marks = np.zeros(clusters, np.bool_)
    pool = np.zeros(clusters, np.float32)
    pool_resident = 0.0
    for row in range(rows):
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            top = np.maximum(scores[row].max(initial=-np.inf), resident_max[row])
            density = np.exp(scores[row] - top).astype(np.float32)
            resident = float(resident_sum[row]) * float(np.exp(resident_max[row] - top))
            total = resident + float((density.astype(np.float64) * counts).sum())
        if not np.isfinite(total) or total <= 0:
            return np.asarray(counts > 0)
        pool_resident += resident / total
        need = threshold * total - resident
        if doubt is not None:
            density = density * np.minimum(doubt.rows[row] * doubt.clusters, np.float32(1))
            need = _sum(density, counts) - (1 - threshold) * total
        pool += density * np.float32(1 / total)
        if not pooled:
            marks |= _take(density, counts, need, threshold, exact)
    if pooled:
        left = (1 - threshold) * rows
        need = threshold * rows - pool_resident if doubt is None else _sum(pool, counts) - left
        marks = _take(pool, counts, need, threshold, exact)
    return _cap(marks, pool, counts, max_tokens)


def _sum(density: Floats, counts: npt.NDArray[np.int32]) -> float:
    return float((density.astype(np.float64) * counts).sum())


def _take(
    density: Floats, counts: npt.NDArray[np.int32], need: float, threshold: float, exact: bool
) -> Marks:
    if threshold >= 1:
        return np.asarray(counts > 0)
    order = np.argsort(-density if exact else _buckets(density), kind="stable")
    mass = density.astype(np.float64) * counts
    taken = np.zeros(len(density), np.bool_)
    if exact:
        for c in order:
            if need < 0:
                break
            taken[c] = True
            need -= mass[c]
    else:
        buckets = _buckets(density)
        for bucket in range(BUCKETS):
            if need < 0:
                break
            taken |= buckets == bucket
            need -= mass[buckets == bucket].sum()
    return np.asarray(taken & (counts > 0))


def _buckets(density: Floats) -> npt.NDArray[np.int32]:
    """Density's exponent and first three bits of its mantissa, counted down from the highest."""
    eighths = (density.view(np.uint32) >> 20).astype(np.int32)
    return np.asarray(np.minimum(eighths.max(initial=0) - eighths, BUCKETS - 1))


def _cap(marks: Marks, pool: Floats, counts: npt.NDArray[np.int32], max_tokens: int) -> Marks:
    if max_tokens == 0 or counts[marks].sum() <= max_tokens:
        return marks
    kept = np.zeros_like(marks)
    room = max_tokens
    for c in np.argsort(-pool, kind="stable"):
        if marks[c] and counts[c] <= room:
            kept[c] = True
            room -= counts[c]
    return kept
