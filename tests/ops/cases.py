"""Generated inputs for the op tests: sizes at the edges of vectors, blocks, tiles, pages; hostile numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edgevid.ops.dequantize import BLOCKS, Bytes, Floats, GgufType, row_bytes
from edgevid.ops.paged_attention import Extent

EPS = float(np.finfo(np.float32).eps)
ROWS = (0, 1, 2, 11, 12, 13, 25)
"""Numbers of rows around the kernels' register blocks (12 rows)."""
WIDTHS = (1, 2, 15, 16, 17, 31, 32, 33, 64, 576)
"""Columns around a vector of 16 lanes."""
POISON = (np.nan, np.inf, -np.inf)


def normal(seed: int, *shape: int) -> Floats:
    """Gaussian float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def weights(type_: GgufType, rows: int, cols: int, seed: int = 0) -> Bytes:
    """Valid block rows of any type: random codes, and scales of a size that makes weights near 1."""
    rng = np.random.default_rng(seed)
    dense = normal(seed, rows, cols)
    if type_ is GgufType.F32:
        return dense.view(np.uint8)
    if type_ is GgufType.F16:
        return dense.astype(np.float16).view(np.uint8)
    if type_ is GgufType.BF16:
        return (dense.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    _, size = BLOCKS[type_]
    blocks = rng.integers(0, 256, (rows * row_bytes(type_, cols) // size, size), dtype=np.uint8)
    for at, scale in _SCALES[type_].items():
        signs = rng.choice([-1, 1], len(blocks)) * rng.uniform(0.5, 1.5, len(blocks))
        blocks[:, at : at + 2] = (signs * scale).astype("<f2").view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, row_bytes(type_, cols))


_SCALES = {
    GgufType.Q4_0: {0: 0.15},
    GgufType.Q4_1: {0: 0.15, 2: 1.0},
    GgufType.Q8_0: {0: 0.01},
    GgufType.Q4_K: {0: 0.004, 2: 0.02},
    GgufType.Q6_K: {208: 0.0005},
}
"""Byte offset of each float16 scale in a block, and its size."""


class AttentionCase(NamedTuple):
    """m new rows after ``past`` tokens; tokens lie in pages as ``extents`` says."""

    past: int
    m: int
    page_size: int
    num_kv_heads: int
    group: int
    head_dim: int

    @property
    def tokens(self) -> int:
        return self.past + self.m

    @property
    def num_pages(self) -> int:
        return (self.tokens + 31) // 32 * 2 + 2

    def name(self) -> str:
        return "-".join(f"{key}{value}" for key, value in self._asdict().items())


def attention_cases() -> Iterator[AttentionCase]:
    """Token counts around pages, tiles (64) and partials (256); odd head sizes; groups; several rows."""
    for tokens in (1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 600):
        yield AttentionCase(tokens - 1, 1, 16 if tokens % 2 else 64, 2, 3, 64)
    for head_dim in (1, 2, 7, 15, 17, 65, 80, 96, 128):
        yield AttentionCase(70, 2, 32, 1, 2, head_dim)
    for m in (2, 7, 8, 9, 40, 65):
        yield AttentionCase(0, m, 64, 3, 3, 64)
        yield AttentionCase(250, m, 16, 1, 1, 64)
    yield AttentionCase(100, 3, 128, 1, 30, 16)


def scattered_extents(tokens: int, *, num_pages: int, page_size: int, seed: int = 0) -> list[Extent]:
    """All slots of all pages cut into runs of random length, shuffled; the first ``tokens`` of them."""
    rng = np.random.default_rng(seed)
    runs = []
    for page in range(num_pages):
        first = 0
        while first < page_size:
            count = int(min(rng.integers(1, page_size + 1), page_size - first))
            runs.append(Extent(page, first, count))
            first += count
    chosen = []
    for i in rng.permutation(len(runs)):
        page, first, count = runs[i]
        chosen.append(Extent(page, first, min(count, tokens)))
        tokens -= chosen[-1].count
        if tokens == 0:
            return chosen
    raise AssertionError("the case has too few pages")


def paged_extents(tokens: int, *, page_size: int) -> list[Extent]:
    """Full pages from the first on, as an append-only cache fills them."""
    return [Extent(at // page_size, 0, min(page_size, tokens - at)) for at in range(0, tokens, page_size)]
