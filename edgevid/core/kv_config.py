"""How much of the past a decoder keeps in its KV cache."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KVConfig:
    """Bounds of a paged KV cache.

    Attributes:
        page_size: tokens per page; the native decoder takes multiples of 16.
        max_tokens: tokens kept; None = the trained context. Past it the first ``sinks`` tokens and the
            newest ones are kept (attention sinks, StreamingLLM, arXiv 2309.17453).
        sinks: tokens at the start of the stream that are never dropped.
    """

    page_size: int = 64
    max_tokens: int | None = None
    sinks: int = 64

    def __post_init__(self) -> None:
        if self.page_size < 1:
            raise ValueError(f"page_size is {self.page_size}, must be at least 1")
        if self.sinks < 0:
            raise ValueError(f"sinks is {self.sinks}, must not be negative")
        if self.max_tokens is not None and self.max_tokens <= self.sinks:
            raise ValueError(f"max_tokens ({self.max_tokens}) must exceed sinks ({self.sinks})")
