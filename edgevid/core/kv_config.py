"""How much of the past a decoder keeps in its KV cache, and how much of that it attends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

KvDtype = Literal["f16", "int8"]
KV_DTYPES: tuple[KvDtype, ...] = get_args(KvDtype)


@dataclass(frozen=True, slots=True)
class RetrievalConfig:
    """Attend only clusters of past tokens that matter now (ReSV of V-Rex, arXiv 2512.12284).

    Tokens older than ``recent`` are sealed in segments and clustered by their keys; a step attends the sinks,
    what is not sealed, its own rows, and per layer and KV head the clusters that hold its attention mass.
    docs/DECISIONS/011 has the measurements behind the defaults.

    Attributes:
        mass: share of the attention mass that is attended or sure: what is left to estimates is in doubt by
            at most the rest, a cluster's mass counting by the standard deviation of its scores. Without
            ``estimate`` the share that is attended. 1 = all is attended.
        segment: tokens sealed at a time; a multiple of the page size.
        recent: newest tokens that are never sealed; between this and ``recent + segment`` are attended whole.
        hamming: a key joins a cluster when fewer of its code's 32 bits differ from the first key's.
        clusters: most clusters of one segment; then keys join the nearest.
        mean_clusters: most clusters of a segment on average, a multiple of 16: bounds the tables of a window.
            What segments leave over serves later ones, up to eight times as much. 0 = as ``clusters`` says.
        centred: code keys less the mean key of what was sealed before.
        rotated: code keys after the rotary embedding instead of before.
        pooled: select once on the mass summed over rows; else every row selects and the union is taken.
        sorted: take clusters one by one in order of density; else in buckets (eighths of an octave).
        max_tokens: most sealed tokens a KV head attends; 0 = no limit.
        max_pages: most pages of sealed tokens a layer attends, of all KV heads together: bounds the slots
            that ``KVConfig.ram_bytes`` has to pay for; 0 = no limit.
        estimate: clusters that are not attended count by their mean keys, spread and mean values; doubles the
            table of clusters.
        dense_share: above this share of sealed tokens a layer attends them all for a while: that is faster.
        min_sealed: below this many sealed tokens everything is attended.
        everything: choose all clusters, for comparisons: the result is that of dense attention, bit for bit.
        certify: bound the attention mass that was left out, per layer; costs as much as choosing.
        seed: of the hyperplanes.
    """

    mass: float = 0.97
    segment: int = 256
    recent: int = 128
    hamming: int = 5
    clusters: int = 128
    mean_clusters: int = 0
    centred: bool = True
    rotated: bool = False
    pooled: bool = True
    sorted: bool = False
    max_tokens: int = 0
    max_pages: int = 0
    estimate: bool = True
    dense_share: float = 0.6
    min_sealed: int = 1024
    everything: bool = False
    certify: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.mass <= 1:
            raise ValueError(f"mass is {self.mass}, must be a share between 0 and 1")
        if not 1 <= self.segment <= 65536:
            raise ValueError(f"segment is {self.segment}, must be in 1..65536")
        if not 0 <= self.hamming <= 33:
            raise ValueError(f"hamming is {self.hamming}, must be in 0..33")
        if self.clusters < 1:
            raise ValueError(f"clusters is {self.clusters}, must be at least 1")
        if self.mean_clusters < 0 or self.mean_clusters % 16:
            raise ValueError(f"mean_clusters is {self.mean_clusters}, must be a multiple of 16")
        if min(self.recent, self.max_tokens, self.max_pages, self.min_sealed, self.seed) < 0:
            raise ValueError("recent, max_tokens, max_pages, min_sealed and seed must not be negative")


@dataclass(frozen=True, slots=True)
class KVConfig:
    """Bounds of a paged KV cache.

    Attributes:
        page_size: tokens per page; the native decoder takes multiples of 16.
        max_tokens: tokens kept; None = the trained context. Past it the first ``sinks`` tokens and the
            newest ones are kept (attention sinks, StreamingLLM, arXiv 2309.17453).
        sinks: tokens at the start of the stream that are never dropped.
        retrieval: None = attend everything that is kept. The native decoder only.
        dtype: what keys and values are kept as. ``int8`` with scales takes 0.52 of the bytes of ``f16``
            (docs/DECISIONS/026). The native decoder and :mod:`edgevid.integrations.transformers` only.
        session_file: the sequence goes on from this file, and writes each sealed segment to it; made when it
            does not exist. One sequence at a time. The native decoder only.
        ram_bytes: RAM for the cache in all: pages of tokens not yet sealed, the index of clusters, and slots
            for sealed tokens, which are read from the session file when they are attended. None = all in
            pages.
        step_tokens: under ``ram_bytes``, rows that go through the model at a time: memory for scores grows
            with them.
    """

    page_size: int = 64
    max_tokens: int | None = None
    sinks: int = 64
    retrieval: RetrievalConfig | None = None
    dtype: KvDtype = "f16"
    session_file: str | Path | None = None
    ram_bytes: int | None = None
    step_tokens: int = 32

    def __post_init__(self) -> None:
        if self.page_size < 1:
            raise ValueError(f"page_size is {self.page_size}, must be at least 1")
        if self.step_tokens < 1:
            raise ValueError(f"step_tokens is {self.step_tokens}, must be at least 1")
        if self.sinks < 0:
            raise ValueError(f"sinks is {self.sinks}, must not be negative")
        if self.dtype not in KV_DTYPES:
            raise ValueError(f"dtype is {self.dtype}, must be {' or '.join(KV_DTYPES)}")
        if self.max_tokens is not None and self.max_tokens <= self.sinks:
            raise ValueError(f"max_tokens ({self.max_tokens}) must exceed sinks ({self.sinks})")
        if self.retrieval is not None and self.retrieval.segment % self.page_size:
            raise ValueError(
                f"a segment ({self.retrieval.segment}) must fill whole pages of {self.page_size} tokens"
            )
        if self.ram_bytes is not None:
            if self.ram_bytes < 1:
                raise ValueError(f"ram_bytes is {self.ram_bytes}, must be at least 1")
            if self.session_file is None:
                raise ValueError("ram_bytes needs session_file=, where sealed tokens go")
            if self.retrieval is None:
                raise ValueError("ram_bytes needs retrieval=, which seals tokens")
