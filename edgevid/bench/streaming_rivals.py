"""E1: what is lost when only some of the past is attended, by retrieval and by its rivals.

All methods see the same past of one layer and KV head, ordered in units: ReSV its clusters, ReKV frames of 10
tokens by their mean key, Quest pages of 16 by the bound from their smallest and largest keys, the oracle
single tokens by their true attention mass, the window the newest, random any. Scores become densities and are
pooled over a step's rows the same way for all (:mod:`edgevid.ops.select_mass`), and units are taken, densest
first, until the budget is used. Sinks, recent tokens and the step's own rows are always attended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.bench.streaming_traces import Trace

Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.intp]

METHODS = ("ReSV", "ReKV", "Quest", "window", "random", "oracle")
_FRAME, _PAGE = 10, 16
_FLOAT16 = 2


class Units(NamedTuple):
    """How a method cuts the past.

    Attributes:
        of_token: the unit of each token.
        density: pooled attention per token of each unit.
        table_bytes: what is read to score them.
    """

    of_token: Ids
    density: Doubles
    table_bytes: int


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
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        self._weights = weights / weights.sum(axis=1, keepdims=True)
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
        of_token = clusters if method == "ReSV" else each // _FRAME
        counts = np.bincount(of_token)
        means = np.zeros((len(counts), dim))
        np.add.at(means, of_token, self.keys)
        means /= counts[:, None]
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
        total = kept.sum(axis=1, keepdims=True)
        apart = kept @ self._values / total - self._dense
        return Loss(float(np.linalg.norm(apart) / np.linalg.norm(self._dense)), float(1 - total.mean()))

    def _quest(self, of_token: Ids) -> Units:
        starts = np.arange(0, len(of_token), _PAGE)
        low, high = (f.reduceat(self.keys, starts, axis=0) for f in (np.minimum, np.maximum))
        bounds = np.maximum(self.q[:, None] * low, self.q[:, None] * high).sum(axis=2)
        table = 2 * len(starts) * self.keys.shape[1] * _FLOAT16
        return Units(of_token, self._pool(bounds, np.bincount(of_token)), table)

    def _pool(self, scores: Any, counts: Ids) -> Doubles:
        top = np.maximum(scores.max(axis=1), self._top)[:, None]
        density = np.exp(scores - top)
        total = self._sum[:, None] * np.exp(self._top[:, None] - top) + (density * counts).sum(
            1, keepdims=True
        )
        return np.asarray((density / total).sum(axis=0))


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
                loss = head.loss(units, budget * len(clusters) - paid)
                found.setdefault((method, budget), []).append(loss)
    return found
