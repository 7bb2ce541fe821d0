"""One layer's keys and values of a real stream, made longer by repetition, in pages and in clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.bench.streaming_traces import Floats, Trace
from edgevid.core.kv_config import KVConfig, KvDtype, RetrievalConfig
from edgevid.ops.cluster_estimate import cluster_estimate
from edgevid.ops.cluster_scores import Spread, cluster_scores, doubt_of
from edgevid.ops.kv_seal import LANES, cluster_moments, cluster_summaries
from edgevid.ops.paged_attention import AttentionRest, Extent, KvCache
from edgevid.ops.select_mass import Doubt, select_mass

Ids = npt.NDArray[np.intp]
Extents = list[list[Extent]]

_PAGE = KVConfig().page_size


@dataclass(frozen=True, slots=True)
class Stretched:
    """Sinks, the sealed tokens in order of their clusters ``copies`` times, what is not sealed.

    Repeated keys keep the positions they were rotated to, as in a window that moves (docs/DECISIONS/006):
    what attention costs does not depend on them, and the share retrieved stays that of the stream itself.

    Attributes:
        k, v: [tokens, kv_heads, head_dim].
        bounds: where each cluster begins, and where the last ends.
    """

    k: Floats
    v: Floats
    bounds: Ids
    copies: int


def stretch(
    trace: Trace, segments: Sequence[tuple[list[int], list[int]]], *, sinks: int, tokens: int
) -> Stretched:
    """About ``tokens`` tokens from ``trace``, whose sealed part has the clusters ``segments``
    (``NativeSequence.clusters``)."""
    order, bounds, sealed = [], [np.zeros(1, np.intp)], 0
    for of_segment, begin in segments:
        order.append(sinks + sealed + np.asarray(of_segment))
        bounds.append(sealed + np.asarray(begin[1:]))
        sealed += len(of_segment)
    copies = max(1, round((tokens - len(trace.k) + sealed) / sealed))
    taken = np.concatenate(
        [np.arange(sinks), np.tile(np.concatenate(order), copies), np.arange(sinks + sealed, len(trace.k))]
    )
    ends = np.concatenate(bounds)[1:]
    every = np.concatenate([[0], *(i * sealed + ends for i in range(copies))])
    return Stretched(trace.k[taken], trace.v[taken], sinks + every, copies)


class Choice(NamedTuple):
    """What a step attends: bool [kv_heads, clusters], and what the others add, where that is estimated."""

    marks: npt.NDArray[np.bool_]
    rest: AttentionRest | None


class Plan(NamedTuple):
    """A choice as attention takes it, and the share of the sealed tokens that it attends."""

    extents: Extents
    rest: AttentionRest | None
    share: float


class PagedLayer:
    """A stretched layer in the cache of :mod:`edgevid.ops.paged_attention`, and its table of clusters."""

    def __init__(self, layer: Stretched, *, threads: int, dtype: KvDtype = "f16") -> None:
        self.tokens, self.kv_heads, self._dim = layer.k.shape
        pages = -(-self.tokens // _PAGE)
        self._cache = KvCache(
            num_pages=pages,
            page_size=_PAGE,
            num_kv_heads=self.kv_heads,
            head_dim=self._dim,
            dtype=dtype,
            threads=threads,
        )
        self.everything = Plan([list(_extents(0, self.tokens))], None, 1.0)
        self._cache.append(layer.k, layer.v, self.everything.extents[0])
        self._bounds = layer.bounds
        self._anyway = [
            *_extents(0, int(layer.bounds[0])),
            *_extents(int(layer.bounds[-1]), self.tokens),
        ]
        self.sealed = int(layer.bounds[-1] - layer.bounds[0])
        counts = np.diff(layer.bounds)
        self._clusters = len(counts)
        stride = -(-len(counts) // LANES) * LANES
        self._counts = np.zeros(stride, np.int32)
        self._counts[: len(counts)] = counts
        begin = (layer.bounds - layer.bounds[0]).astype(np.int32)
        k, v = (
            rows[layer.bounds[0] : layer.bounds[-1]].reshape(self.sealed, -1) for rows in (layer.k, layer.v)
        )
        self._summaries = cluster_summaries(k, begin, num_kv_heads=self.kv_heads)
        self._moments = cluster_moments(k, v, begin, num_kv_heads=self.kv_heads)
        self.table_bytes = sum(
            table.nbytes
            for table in (*self._summaries[:2], *self._moments[:3], self._counts)  # radii are not read
        )

    def choose(self, q: Floats, config: RetrievalConfig) -> Choice:
        """For a step's queries [rows, heads, head_dim]."""
        scale = self._dim**-0.5
        grouped = q.reshape(len(q), self.kv_heads, -1, self._dim)
        largest, total = self._cache.mass(q, self._anyway, scale=scale)
        marks, parts = [], []
        for head in range(self.kv_heads):
            rows = np.ascontiguousarray(grouped[:, head]).reshape(-1, self._dim)
            scores = self._scores(head, rows, scale, spread=config.estimate)
            resident = largest[head].reshape(-1), total[head].reshape(-1)
            chosen = select_mass(
                scores,
                self._counts,
                *resident,
                threshold=config.mass,
                pooled=config.pooled,
                doubt=self._doubt(head, rows, scale) if config.estimate else None,
            )
            marks.append(chosen)
            if not config.estimate:
                continue
            tops = np.maximum(scores.max(axis=1), resident[0])
            np.exp(np.subtract(scores, tops[:, None], out=scores), out=scores)
            values = self._moments.value_means[head], self._moments.value_scales[head]
            parts.append((tops, *cluster_estimate(scores, self._counts, chosen, *values)))
        rest = AttentionRest(*map(np.stack, zip(*parts, strict=True))) if parts else None
        return Choice(np.stack(marks)[:, : self._clusters], rest)

    def _scores(self, head: int, rows: Floats, scale: float, *, spread: bool) -> Floats:
        return cluster_scores(
            rows,
            self._summaries.means[head],
            self._summaries.scales[head],
            clusters=self._clusters,
            scale=scale,
            spread=self._spread(head) if spread else None,
        )

    def _spread(self, head: int) -> Spread:
        return Spread(self._moments.variance[head], self._moments.spreads[head])

    def _doubt(self, head: int, rows: Floats, scale: float) -> Doubt:
        return doubt_of(rows, self._spread(head), scale=scale)

    def plan(self, choice: Choice, config: RetrievalConfig) -> Plan:
        """Extents of a choice; everything when it is too much."""
        marks = choice.marks
        counts = self._counts[: self._clusters]
        share = float((marks * counts).sum() / (len(marks) * self.sealed))
        if share > config.dense_share:
            return self.everything
        first, *_ = self._anyway
        lists = []
        for of_head in marks:
            edges = np.flatnonzero(np.diff(np.concatenate([[0], of_head, [0]])))
            chosen = [e for a, b in self._bounds[edges].reshape(-1, 2) for e in _extents(int(a), int(b))]
            lists.append([first, *chosen, *self._anyway[1:]])
        return Plan(lists, choice.rest, share)

    def attend(self, q: Floats, plan: Plan) -> Floats:
        """[rows, heads, head_dim]."""
        return self._cache.attend(q, plan.extents, scale=self._dim**-0.5, rest=plan.rest)


def _extents(begin: int, end: int) -> Iterator[Extent]:
    """Tokens ``begin .. end - 1`` page by page."""
    while begin < end:
        page, first = divmod(begin, _PAGE)
        count = min(_PAGE - first, end - begin)
        yield Extent(page, first, count)
        begin += count
