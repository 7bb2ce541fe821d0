"""One layer's keys and values of a real stream, made longer by repetition, in pages and in clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.bench.streaming_traces import Floats, Trace
from edgevid.core.kv_config import KVConfig, KvDtype, RetrievalConfig
from edgevid.ops.cluster_scores import cluster_scores
from edgevid.ops.kv_seal import LANES
from edgevid.ops.paged_attention import Extent, KvCache
from edgevid.ops.select_mass import select_mass

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
        self.everything: Extents = [list(_extents(0, self.tokens))]
        self._cache.append(layer.k, layer.v, self.everything[0])
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
        sealed = layer.k[: layer.bounds[-1]]
        means = np.add.reduceat(sealed, layer.bounds[:-1], axis=0) / counts[:, None, None]
        scales = np.maximum(np.abs(means).max(axis=2), 1e-12) / 127  # [clusters, kv_heads]
        self._means = np.zeros((self.kv_heads, self._dim, stride), np.int8)
        self._means[:, :, : len(counts)] = np.rint(means / scales[..., None]).transpose(1, 2, 0)
        self._scales = np.zeros((self.kv_heads, stride), np.float32)
        self._scales[:, : len(counts)] = scales.T
        self.table_bytes = self._means.nbytes + self._scales.nbytes + self._counts.nbytes

    def choose(self, q: Floats, config: RetrievalConfig) -> npt.NDArray[np.bool_]:
        """Marks [kv_heads, clusters] for a step's queries [rows, heads, head_dim]."""
        scale = self._dim**-0.5
        grouped = q.reshape(len(q), self.kv_heads, -1, self._dim)
        largest, total = self._cache.mass(q, self._anyway, scale=scale)
        marks = []
        for head in range(self.kv_heads):
            rows = np.ascontiguousarray(grouped[:, head]).reshape(-1, self._dim)
            table = self._means[head], self._scales[head]
            scores = cluster_scores(rows, *table, clusters=self._clusters, scale=scale)
            resident = largest[head].reshape(-1), total[head].reshape(-1)
            marks.append(
                select_mass(scores, self._counts, *resident, threshold=config.mass, pooled=config.pooled)
            )
        return np.stack(marks)[:, : self._clusters]

    def extents(self, marks: npt.NDArray[np.bool_], config: RetrievalConfig) -> tuple[Extents, float]:
        """What a step attends that chose ``marks``, and its share of the sealed tokens."""
        counts = self._counts[: self._clusters]
        share = float((marks * counts).sum() / (len(marks) * self.sealed))
        if share > config.dense_share:
            return self.everything, 1.0
        first, *_ = self._anyway
        lists = []
        for of_head in marks:
            edges = np.flatnonzero(np.diff(np.concatenate([[0], of_head, [0]])))
            chosen = [e for a, b in self._bounds[edges].reshape(-1, 2) for e in _extents(int(a), int(b))]
            lists.append([first, *chosen, *self._anyway[1:]])
        return lists, share

    def attend(self, q: Floats, extents: Extents) -> Floats:
        """[rows, heads, head_dim]."""
        return self._cache.attend(q, extents, scale=self._dim**-0.5)


def _extents(begin: int, end: int) -> Iterator[Extent]:
    """Tokens ``begin .. end - 1`` page by page."""
    while begin < end:
        page, first = divmod(begin, _PAGE)
        count = min(_PAGE - first, end - begin)
        yield Extent(page, first, count)
        begin += count
