"""What ``python -m edgevid.bench.gpu`` runs: every GPU kernel at a model's size, against its reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.kernels.build import Shape, ceil_div
from edgevid.ops import cluster_assign, cluster_estimate, cluster_scores, hash_codes, kv_seal, select_mass
from edgevid.ops.dequantize import Floats
from edgevid.ops.gpu_ops import GpuOps
from edgevid.ops.kv_pages import KvType, key_scales
from edgevid.ops.kv_seal import LANES
from edgevid.ops.paged_attention import AttentionRest, Extent, NumpyCache

ATTENTION_BOUND = 1e-4
SCORE_BOUND = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(Shape):
    """A model, ``tokens`` in its cache in ``clusters`` of 32, and ``rows`` of a frame."""

    tokens: int = 8192
    rows: int = 10

    @property
    def clusters(self) -> int:
        return max(1, self.tokens // 32)


@dataclass(frozen=True, slots=True)
class Case:
    """One kernel on one input.

    Attributes:
        what: op and size.
        bytes_moved: what the kernel reads and writes at least; 0 = not worth stating.
        error: runs it and returns its largest difference from the reference.
        bound: what that may be.
    """

    what: str
    bytes_moved: int
    error: Callable[[GpuOps], float]
    bound: float


def cases(sizes: Sizes) -> Iterator[Case]:
    """All kernels; inputs come from fixed seeds."""
    yield from _attention(sizes, "f16")
    yield from _attention(sizes, "int8")
    yield from _clusters(sizes)
    yield from _estimates(sizes)


def _attention(s: Sizes, dtype: KvType) -> Iterator[Case]:
    row_bytes = 2 * 4 * s.num_kv_heads * s.head_dim  # of a token as it is appended
    token_bytes = row_bytes // 2
    if dtype == "int8":
        token_bytes = s.num_kv_heads * (2 * s.head_dim + 2 * (key_scales(s.head_dim) + 1))
    for rows in (1, s.rows):
        filled = _Filled(s, rows, dtype)
        what = f"{dtype}, {rows} rows over {s.tokens} tokens"
        moved = token_bytes * s.tokens
        yield Case(f"paged_attention, {what}", moved, filled.attend_error, ATTENTION_BOUND)
        yield Case(f"attention mass, {what}", moved // 2, filled.mass_error, ATTENTION_BOUND)
        yield Case(f"paged_attention with a rest, {what}", moved, filled.rest_error, ATTENTION_BOUND)
    what, written = f"{dtype}, {s.tokens} tokens", (row_bytes + token_bytes) * s.tokens
    yield Case(f"kv_append, {what}", written, filled.append_error, ATTENTION_BOUND)
    yield Case(f"kv_seal, {what}", 2 * token_bytes * s.tokens, filled.seal_error, ATTENTION_BOUND)


class _Filled:
    """A cache of random tokens, and queries that attend all of them."""

    def __init__(self, s: Sizes, rows: int, dtype: KvType) -> None:
        self._q = _normal(1, rows, s.num_kv_heads * s.group, s.head_dim)
        self._k, self._v = (_normal(seed, s.tokens, s.num_kv_heads, s.head_dim) for seed in (2, 3))
        pages = ceil_div(s.tokens, s.page_size)
        self._shape: dict[str, Any] = {
            "num_pages": 2 * pages,
            "page_size": s.page_size,
            "num_kv_heads": s.num_kv_heads,
            "head_dim": s.head_dim,
            "dtype": dtype,
        }
        held = [min(s.page_size, s.tokens - page * s.page_size) for page in range(pages)]
        self._extents = [Extent(page, 0, count) for page, count in enumerate(held)]
        self._sealed = [Extent(page + pages, first, count) for page, first, count in self._extents]
        self._order = np.random.default_rng(4).permutation(s.tokens).astype(np.int32)
        self._scale = s.head_dim**-0.5

    def _cache(self, ops: GpuOps | None) -> Any:
        cache = NumpyCache(**self._shape) if ops is None else ops.KvCache(**self._shape)
        cache.append(self._k, self._v, self._extents)
        return cache

    def attend_error(self, ops: GpuOps) -> float:
        got, want = (self._cache(o).attend(self._q, [self._extents], self._scale) for o in (ops, None))
        return _apart(got, want)

    def rest_error(self, ops: GpuOps) -> float:
        rows = self._shape["num_kv_heads"], self._q.shape[0] * self._q.shape[1] // self._shape["num_kv_heads"]
        values = _normal(20, *rows, ceil_div(self._q.shape[2], LANES) * LANES)
        rest = AttentionRest(_normal(21, *rows), np.abs(_normal(22, *rows)), values)
        got, want = (self._cache(o).attend(self._q, [self._extents], self._scale, rest) for o in (ops, None))
        return _apart(got, want)

    def mass_error(self, ops: GpuOps) -> float:
        got, want = (self._cache(o).mass(self._q, self._extents, self._scale) for o in (ops, None))
        return max(_apart(got[0], want[0]), _apart(got[1] / want[1], np.ones_like(want[1])))

    def append_error(self, ops: GpuOps) -> float:
        """Appends last, so that it is what gets timed; the tokens are there already."""
        cache = self._cache(ops)
        got = cache.attend(self._q, [self._extents], self._scale)
        cache.append(self._k, self._v, self._extents)
        return _apart(got, self._cache(None).attend(self._q, [self._extents], self._scale))

    def seal_error(self, ops: GpuOps) -> float:
        """The order of tokens means nothing to the one row that sees them all."""
        cache = self._cache(ops)
        want = cache.attend(self._q[-1:], [self._extents], self._scale)
        cache.seal(self._extents, self._order, self._sealed)
        got = cache.attend(self._q[-1:], [self._sealed], self._scale)
        cache.seal(self._extents, self._order, self._sealed)
        return _apart(got, want)


def _clusters(s: Sizes) -> Iterator[Case]:
    dims, rows, n = s.num_kv_heads * s.head_dim, s.rows * s.group, s.clusters
    keys, centre = _normal(5, s.tokens, dims), _normal(6, dims)
    rng = np.random.default_rng(7)
    ids = np.concatenate([np.arange(n), rng.integers(0, n, s.tokens - n)]).astype(np.int32)
    order, begin = kv_seal.seal_order(ids, n)
    summaries = kv_seal.cluster_summaries(keys[order], begin, num_kv_heads=s.num_kv_heads, backend="numpy")
    codes = hash_codes.hash_codes(keys, centre, seed=1, layer=0, backend="numpy")
    q = _normal(8, rows, s.head_dim)
    selection = (
        _normal(9, rows, n) * np.float32(3),
        np.diff(begin).astype(np.int32),
        _normal(10, rows),
        np.ones(rows, np.float32),
    )

    def hashes(ops: GpuOps) -> float:
        return _differing(ops.hash_codes(keys, centre, seed=1, layer=0), codes)

    def assigns(ops: GpuOps) -> float:
        rule: dict[str, Any] = {"threshold": 9, "capacity": s.capacity}
        want, _ = cluster_assign.cluster_assign(codes, **rule, backend="numpy")
        return _differing(ops.cluster_assign(codes, np.empty(0, np.uint32), **rule)[0], want)

    def summarises(ops: GpuOps) -> float:
        means, scales, radii = ops.cluster_summaries(keys[order], begin, num_kv_heads=s.num_kv_heads)
        steps = _apart(means.astype(np.int32), summaries.means.astype(np.int32)) * 1e-2
        return max(steps, _apart(scales, summaries.scales), _apart(radii, summaries.radii) * 0.1)

    def measures(ops: GpuOps) -> float:
        tokens = keys[order], keys[order] * np.float32(0.5), begin
        got = ops.cluster_moments(*tokens, num_kv_heads=s.num_kv_heads)
        want = kv_seal.cluster_moments(*tokens, num_kv_heads=s.num_kv_heads, backend="numpy")
        steps = _apart(got.value_means.astype(np.int32), want.value_means.astype(np.int32)) * 1e-2
        return max(steps, *map(_apart, got[1:], want[1:]))

    def scores(ops: GpuOps) -> float:
        table = (q, summaries.means[0], summaries.scales[0])
        rule: dict[str, Any] = {"clusters": n, "scale": s.head_dim**-0.5}
        want = cluster_scores.cluster_scores(*table, **rule, backend="numpy")
        return _apart(ops.cluster_scores(*table, **rule)[:, :n], want[:, :n])

    def selects(ops: GpuOps) -> float:
        rule: dict[str, Any] = {"threshold": 0.9, "pooled": True, "exact": False, "max_tokens": 0}
        want = select_mass.select_mass(*selection, **rule, backend="numpy")
        return _differing(ops.select_mass(*selection, **rule), want)

    yield Case(f"hash_codes, {s.tokens} keys of {dims}", keys.nbytes, hashes, 0)
    yield Case(f"cluster_assign, {s.tokens} codes", 0, assigns, 0)
    yield Case(f"cluster_summaries, {n} clusters", 2 * keys.nbytes, summarises, 1e-2)
    yield Case(f"cluster_moments, {n} clusters", 3 * keys.nbytes, measures, 1e-2)
    yield Case(f"cluster_scores, {rows} rows, {n} clusters", 0, scores, SCORE_BOUND)
    yield Case(f"select_mass, {rows} rows, {n} clusters", 0, selects, 0)


def _estimates(s: Sizes) -> Iterator[Case]:
    """What estimates add to the choice of clusters, on a table of random numbers."""
    rows, n = s.rows * s.group, ceil_div(s.clusters, LANES) * LANES
    rng = np.random.default_rng(11)
    means = rng.integers(-127, 128, (s.head_dim, n), dtype=np.int8)
    table: Floats = np.abs(_normal(12, n) * np.float32(0.01))
    q, counts = _normal(13, rows, s.head_dim), rng.integers(1, 64, n, np.int32)
    spread = cluster_scores.Spread(np.abs(_normal(14, s.head_dim)), np.abs(_normal(15, n)))
    scale = s.head_dim**-0.5

    def scores(ops: GpuOps) -> float:
        rule: dict[str, Any] = {"clusters": n, "scale": scale, "spread": spread}
        want = cluster_scores.cluster_scores(q, means, table, **rule, backend="numpy")
        return _apart(ops.cluster_scores(q, means, table, **rule), want)

    def selects(ops: GpuOps) -> float:
        masses = _normal(17, rows, n) * np.float32(3), counts, _normal(18, rows), np.ones(rows, np.float32)
        doubt = cluster_scores.doubt_of(q, spread, scale=scale)
        rule: dict[str, Any] = {"threshold": 0.97, "pooled": True, "exact": False, "max_tokens": 0}
        want = select_mass.select_mass(*masses, **rule, doubt=doubt, backend="numpy")
        return _differing(ops.select_mass(*masses, **rule, doubt=doubt), want)

    def estimates(ops: GpuOps) -> float:
        values = rng.integers(-127, 128, (n, s.v_stride), dtype=np.int8)
        densities: Floats = np.exp(_normal(16, rows, n) - 8)
        given = densities, counts, rng.random(n) < 0.2, values, table
        want = cluster_estimate.cluster_estimate(*given, backend="numpy")
        return max(map(_apart, ops.cluster_estimate(*given), want))

    size = f"{rows} rows, {n} clusters"
    yield Case(f"cluster_scores with spread, {size}", 0, scores, SCORE_BOUND)
    yield Case(f"select_mass in doubt, {size}", 0, selects, max(1, n // 100))
    yield Case(f"cluster_estimate, {size}", 0, estimates, ATTENTION_BOUND)


def _normal(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _apart(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """NaN counts as infinitely far."""
    return float(np.nan_to_num(np.abs(a - b), nan=np.inf).max(initial=0.0))


def _differing(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    return float((a != b).sum())
