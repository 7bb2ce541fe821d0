"""One layer of a stream: keys and values in pages, old ones sealed in clusters, and what a step attends.

Tokens are kept in the order of the native cache (``csrc/kv/sealing.h``)::

    sinks | segment 0 | segment 1 | ... | open: recent tokens and the step's rows

Sinks and open tokens are attended whole; of the segments, per KV head, the clusters that hold the step's
attention mass, and the others by their means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import LimitError, UsageError
from edgevid.core.kv_config import RetrievalConfig
from edgevid.integrations.transformers.clusters import Clusters
from edgevid.ops.dequantize import Floats
from edgevid.ops.kv_pages import KvType, stored_keys, stored_values
from edgevid.ops.paged_attention import AttentionRest, Extent, KvCache

PAUSE = 8
"""Steps for which a layer attends everything after its choice exceeded ``dense_share``."""


@dataclass(slots=True)
class LayerStats:
    """What one layer attended.

    Attributes:
        steps: with sealed tokens.
        dense: of those, the ones that attended all of them.
        retrieved: sum over steps of the attended share of sealed tokens, mean of KV heads.
    """

    steps: int = 0
    dense: int = 0
    retrieved: float = 0.0


class _Chosen(NamedTuple):
    """Of the sealed tokens: bool [num_kv_heads, sealed], by slot, and the rest, estimated."""

    slots: npt.NDArray[np.bool_]
    rest: AttentionRest | None


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """See :class:`edgevid.core.kv_config.KVConfig`."""

    page_size: int
    max_tokens: int
    sinks: int
    retrieval: RetrievalConfig
    dtype: KvType

    @property
    def sink_pages(self) -> int:
        return -(-self.sinks // self.page_size)

    @property
    def segment_pages(self) -> int:
        return self.retrieval.segment // self.page_size

    @property
    def pages(self) -> int:
        """Enough for ``max_tokens`` and to write one segment anew."""
        others = -(-(self.max_tokens - self.sinks) // self.page_size)
        return self.sink_pages + others + self.segment_pages


class StreamLayer:
    """Keys and values of one layer of one stream.

    Args:
        store: pages of the model's width; this layer uses ``pages`` of them.

    Attributes:
        seen: tokens appended so far.
        attended: of those, the ones whose step was attended as well.
        stats: since the beginning.
    """

    def __init__(self, store: KvCache, pages: range, clusters: Clusters, config: LayerConfig) -> None:
        self._store, self._clusters, self._config = store, clusters, config
        self.seen = self.attended = 0
        self.stats = LayerStats()
        self._sinks = list(pages[: config.sink_pages])
        self._free = list(pages[config.sink_pages :])
        self._sealed: list[int] = []
        self._open: list[int] = []
        self._open_keys: list[Floats] = []  # one row per open token, as stored
        self._open_values: list[Floats] = []
        self._pause = 0

    @property
    def sealed(self) -> int:
        """Tokens in segments."""
        return len(self._sealed) * self._config.page_size

    @property
    def kept(self) -> int:
        """Tokens in pages."""
        return min(self.seen, self._config.sinks) + self.sealed + len(self._open_keys)

    def append(self, k: Floats, v: Floats) -> None:
        """Add a step's rows, float32 [rows, num_kv_heads, head_dim] each. What has grown old is sealed first,
        and the oldest segments are forgotten when there is no room.

        Raises:
            LimitError: the rows do not fit beside what is never forgotten; nothing was added.
        """
        self._seal_old()
        self._make_room(len(k))
        first = min(len(k), max(self._config.sinks - self.seen, 0))
        slots = self._extents(self._sinks, min(self.seen, self._config.sinks), first)
        begin, size = len(self._open_keys), self._config.page_size
        while len(self._open) * size < begin + len(k) - first:
            self._open.append(self._free.pop())
        slots += self._extents(self._open, begin, len(k) - first)
        self._store.append(k, v, slots)
        dtype = self._config.dtype
        self._open_keys += list(stored_keys(k, dtype).reshape(len(k), -1)[first:])
        self._open_values += list(stored_values(v, dtype).reshape(len(k), -1)[first:])
        self.seen += len(k)

    def attend(self, q: Floats, *, scale: float) -> Floats:
        """Attention of the last rows, float32 [rows, num_q_heads, head_dim]."""
        chosen = self._choose(q, scale)
        if chosen is None:
            everything = [*self._sink_extents(), *self._whole(self._sealed), *self._open_extents()]
            out = self._store.attend(q, [everything], scale=scale)
        else:
            slots, rest = chosen
            pages = np.array(self._sealed)
            plans = [[*self._sink_extents(), *_runs(marks, pages), *self._open_extents()] for marks in slots]
            out = self._store.attend(q, plans, scale=scale, rest=rest)
        self.attended = self.seen
        return out

    def take_back(self, tokens: int) -> None:
        """Remove the newest tokens. UsageError when some of them are sealed, or before what was forgotten."""
        whole = self.sealed == 0 and self.kept == self.seen
        most = self.seen if whole else len(self._open_keys)
        if tokens > most:
            raise UsageError(
                f"{tokens} tokens cannot be taken back, only the newest {most}",
                fix="a larger RetrievalConfig.recent",
            )
        left = max(len(self._open_keys) - tokens, 0)
        del self._open_keys[left:], self._open_values[left:]
        used = -(-len(self._open_keys) // self._config.page_size)
        self._free += self._open[used:]
        del self._open[used:]
        self.seen -= tokens
        self.attended = min(self.attended, self.seen)

    def _seal_old(self) -> None:
        segment, pages = self._config.retrieval.segment, self._config.segment_pages
        while len(self._open_keys) >= segment + self._config.retrieval.recent:
            oldest = (np.stack(held[:segment]) for held in (self._open_keys, self._open_values))
            order = self._clusters.add(*oldest)
            old, new = self._open[:pages], [self._free.pop() for _ in range(pages)]
            self._store.seal(self._whole(old), order, self._whole(new))
            self._sealed += new
            self._free += old
            del self._open[:pages], self._open_keys[:segment], self._open_values[:segment]

    def _make_room(self, rows: int) -> None:
        if self.kept - self.sealed + rows > self._config.max_tokens:
            raise LimitError(
                f"{rows} rows do not fit a cache of {self._config.max_tokens} tokens",
                fix="a larger KVConfig.max_tokens, or fewer rows per step",
            )
        while self.kept + rows > self._config.max_tokens:
            self._clusters.drop_oldest()
            self._free += self._sealed[: self._config.segment_pages]
            del self._sealed[: self._config.segment_pages]

    def _choose(self, q: Floats, scale: float) -> _Chosen | None:
        """None for everything."""
        if self.sealed == 0:
            return None
        self.stats.steps += 1
        chosen = self._chosen_slots(q, scale)
        share = 1.0 if chosen is None else float(chosen.slots.mean())
        if share > self._config.retrieval.dense_share:
            self._pause = PAUSE if chosen is not None else self._pause
            chosen, share = None, 1.0
        self.stats.dense += chosen is None
        self.stats.retrieved += share
        return chosen

    def _chosen_slots(self, q: Floats, scale: float) -> _Chosen | None:
        if self._config.retrieval.everything or self.sealed < self._config.retrieval.min_sealed:
            return None
        if self._pause > 0:
            self._pause -= 1
            return None
        resident = [*self._sink_extents(), *self._open_extents()]
        marks, rest = self._clusters.choose(q, scale, *self._store.mass(q, resident, scale=scale))
        return _Chosen(np.repeat(marks, self._clusters.tokens, axis=1), rest)

    def _sink_extents(self) -> list[Extent]:
        return self._extents(self._sinks, 0, min(self.seen, self._config.sinks))

    def _open_extents(self) -> list[Extent]:
        return self._extents(self._open, 0, len(self._open_keys))

    def _whole(self, pages: Iterable[int]) -> list[Extent]:
        return [Extent(page, 0, self._config.page_size) for page in pages]

    def _extents(self, pages: list[int], first: int, count: int) -> list[Extent]:
        """``count`` tokens of consecutive pages, from the token ``first`` on."""
        size, end = self._config.page_size, first + count
        found = []
        while first < end:
            inside = first % size
            length = min(size - inside, end - first)
            found.append(Extent(pages[first // size], inside, length))
            first += length
        return found


def _runs(marks: npt.NDArray[np.bool_], pages: npt.NDArray[np.intp]) -> list[Extent]:
    """The marked slots of full pages, runs inside a page as one extent."""
    edged = np.pad(marks.reshape(len(pages), -1).astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(edged, axis=1)
    at, first = np.nonzero(steps == 1)
    _, end = np.nonzero(steps == -1)
    return [Extent(*run) for run in zip(pages[at].tolist(), first.tolist(), (end - first).tolist())]
