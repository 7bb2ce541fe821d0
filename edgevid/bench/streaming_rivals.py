"""E1: what is lost when only some of the past is attended, by retrieval and by its rivals.

All methods see the same past of one layer and KV head, ordered in units: ReSV its clusters, ReKV frames of 10
tokens by their mean key, Quest pages of 16 by the bound from their smallest and largest keys, the oracle
single tokens by their true attention mass, the window the newest, random any. Scores become densities and are
pooled over a step's rows the same way for all (:mod:`edgevid.ops.select_mass`), and units are taken, densest
first, until the budget is used. Sinks, recent tokens and the step's own rows are always attended.

``ESTIMATED`` is ReSV as shipped: clusters that are not attended count by their mean keys, spread and mean
values, and are taken by what is in doubt about them (docs/DECISIONS/027), in float64 where the cache has 8
bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.bench.streaming_traces import Trace
from edgevid.ops.cluster_scores import MOST_SPREAD

Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.intp]

ESTIMATED = "estimated"
METHODS = ("ReSV", ESTIMATED, "ReKV", "Quest", "window", "random", "oracle")
_FRAME, _PAGE = 10, 16
_FLOAT16 = 2


class Estimate(NamedTuple):
    """What units add that are not attended: attention weights [rows, units] as in the dense softmax, and the
    units' mean values [units, head_dim]."""

    weights: Doubles
    values: Doubles


class Units(NamedTuple):
    """How a method cuts the past.

    Attributes:
        of_token: the unit of each token.
        density: pooled attention per token of each unit.
        table_bytes: what is read to score them, and to estimate them.
        estimate: None where what is not attended is left out.
    """

    of_token: Ids
    density: Doubles
    table_bytes: int
    estimate: Estimate | None = None


class Loss(NamedTuple):
    """Of one choice: |output - dense output| / |dense output|, and the mass left out (mean of rows)."""

    output: float
    mass: float


class Head:
    """One KV head of a trace: the step's queries against all tokens; ``[first, end)`` are the past."""

    def __init__(self, trace: Trace, head: int, *, first: int, end: int) -> None:
        rows, heads, dim = trace.q.shape
        group = heads // trace.k.shape[1]
        self.q = trace.q[:, head * group : (head + 1) * group].reshape(-1, dim) * dim**-0.5
        self.keys = trace.k[first:end, head]
        self._values = trace.v[:, head]
        self._past = slice(first, end)
        tokens = len(trace.k)
        scores = self.q.astype(np.float64) @ trace.k[:, head].T
        last_seen = tokens - rows + np.repeat(np.arange(rows), group)
        scores[np.arange(tokens) > last_seen[:, None]] = -np.inf
        highest = scores.max(axis=1, keepdims=True)
        weights = np.exp(scores - highest)
        total = weights.sum(axis=1, keepdims=True)
        self._weights = weights / total
        self._log_total = highest + np.log(total)
        self._dense = self._weights @ self._values
        resident = np.delete(scores, np.arange(first, end), axis=1)
        self._top = resident.max(axis=1)
        self._sum = np.exp(resident - self._top[:, None]).sum(axis=1)

    def units(self, method: str, clusters: Ids, seed: int) -> Units:
        """The past as ``method`` sees it; ``clusters`` are ReSV's, of each token."""
        tokens, dim = self.keys.shape
        each = np.arange(tokens)
        if method == "window":
            return Units(each, each.astype(np.float64), 0)
        if method == "random":
            return Units(each, np.random.default_rng(seed).random((tokens,)), 0)
        if method == "oracle":
            mass: Doubles = self._weights[:, self._past].sum(axis=0)
            return Units(each, mass, 0)
        if method == "Quest":
            return self._quest(each // _PAGE)
        if method == ESTIMATED:
            return self._estimated(clusters)
        of_token = clusters if method == "ReSV" else each // _FRAME
        counts = np.bincount(of_token)
        means = _means(self.keys, of_token, counts)
        # ReSV keeps a byte per dimension, a scale, and where the run lies; ReKV half floats.
        unit_bytes = dim + 8 if method == "ReSV" else dim * _FLOAT16
        return Units(of_token, self._pool(self.q @ means.T, counts), unit_bytes * len(counts))

    def loss(self, units: Units, tokens: float) -> Loss:
        """Of attending the densest units that hold at most ``tokens`` of the past."""
        counts = np.bincount(units.of_token)
        order = np.argsort(-units.density, kind="stable")
        taken = np.zeros(len(counts), np.bool_)
        taken[order[np.cumsum(counts[order]) <= tokens]] = True
        kept = self._weights.copy()
        kept[:, self._past] *= taken[units.of_token]
        attended = kept.sum(axis=1, keepdims=True)
        output, total = kept @ self._values, attended
        if units.estimate is not None:
            left = units.estimate.weights * ~taken
            output, total = output + left @ units.estimate.values, attended + left.sum(axis=1, keepdims=True)
        apart = output / total - self._dense
        return Loss(float(np.linalg.norm(apart) / np.linalg.norm(self._dense)), float(1 - attended.mean()))

    def _estimated(self, of_token: Ids) -> Units:
        counts = np.bincount(of_token)
        means = _means(self.keys, of_token, counts)
        squares = (self.keys - means[of_token]).astype(np.float64) ** 2
        spreads = np.bincount(of_token, squares.mean(axis=1)) / counts
        variance = squares.mean(axis=0)
        profile = variance / variance.mean() if variance.any() else variance
        terms = (self.q.astype(np.float64) ** 2 @ profile / 2)[:, None] * spreads
        scores = self.q @ means.T + np.minimum(terms, MOST_SPREAD)
        weights = counts * np.exp(scores - self._log_total)
        doubt = np.minimum(np.sqrt(2 * terms), 1)
        # Two means of a byte a dimension with their scales, the spread, and where the run lies.
        table = (2 * self.keys.shape[1] + 16) * len(counts)
        past = _means(self._values[self._past], of_token, counts)
        return Units(of_token, self._pool(scores, counts, doubt), table, Estimate(weights, past))

    def _quest(self, of_token: Ids) -> Units:
        starts = np.arange(0, len(of_token), _PAGE)
        low, high = (f.reduceat(self.keys, starts, axis=0) for f in (np.minimum, np.maximum))
        bounds = np.maximum(self.q[:, None] * low, self.q[:, None] * high).sum(axis=2)
        table = 2 * len(starts) * self.keys.shape[1] * _FLOAT16
        return Units(of_token, self._pool(bounds, np.bincount(of_token)), table)

    def _pool(self, scores: Any, counts: Ids, doubt: Doubles | float = 1.0) -> Doubles:
        top = np.maximum(scores.max(axis=1), self._top)[:, None]
        density = np.exp(scores - top)
        total = self._sum[:, None] * np.exp(self._top[:, None] - top) + (density * counts).sum(
            1, keepdims=True
        )
        return np.asarray((density * doubt / total).sum(axis=0))


def _means(vectors: npt.NDArray[np.float32], of_token: Ids, counts: Ids) -> Doubles:
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, of_token, vectors)
    return sums / counts[:, None]


def losses(
    trace: Trace, clusters: Ids, *, first: int, budgets: Sequence[float], by_bytes: bool, seed: int
) -> dict[tuple[str, float], list[Loss]]:
    """Losses per method and budget, one of each KV head of a layer.

    Args:
        clusters: ReSV's cluster of each token of the past, which begins at token ``first``.
        budgets: shares of the past, in tokens or in the bytes of its keys and values.
        by_bytes: what a method reads to score its units is paid from the budget.
    """
    found: dict[tuple[str, float], list[Loss]] = {}
    for index in range(trace.k.shape[1]):
        head = Head(trace, index, first=first, end=first + len(clusters))
        token_bytes = 2 * trace.k.shape[2] * _FLOAT16
        for method in METHODS:
            units = head.units(method, clusters, seed + index)
            paid = units.table_bytes / token_bytes if by_bytes else 0.0
            for budget in budgets:
                left = budget * len(clusters) - paid
                # A table that costs more than there is was not read: nothing is taken by it, or estimated.
                loss = head.loss(units if left >= 0 else units._replace(estimate=None), left)
                found.setdefault((method, budget), []).append(loss)
    return found
