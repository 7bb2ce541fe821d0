"""Grouped-query attention over keys and values in pages.

A cache holds the keys and values of one layer, float16, float32 or int8 with scales
(:mod:`edgevid.ops.kv_pages`), head-major inside a page; keys dim-major::

    keys          [num_pages, num_kv_heads, head_dim, page_size]
    values        [num_pages, num_kv_heads, page_size, head_dim]
    key_scales    [num_pages, num_kv_heads, ceil(head_dim / 32), page_size]     of int8
    value_scales  [num_pages, num_kv_heads, page_size]                          likewise

An ``Extent(page, first, count)`` names ``count`` tokens in consecutive slots. Attention takes lists of
extents, one for all KV heads or one for each: the tokens in order, the m query rows' own tokens last. Row i
sees all but the last ``m - 1 - i`` of them; ``out[i, h] = sum_t softmax_t(scale <q[i, h], k[t]>) v[t]``,
query head h reading KV head ``h // (num_q_heads / num_kv_heads)``. Tokens a row does not see never touch
it; a NaN it sees gives NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats
from edgevid.ops.kv_pages import SCALE_DIMS, KvType, dequantize, element_type, key_scales, quantize
from edgevid.ops.kv_seal import LANES


class Extent(NamedTuple):
    """``count`` tokens in slots ``first .. first + count - 1`` of page ``page``."""

    page: int
    first: int
    count: int  # type: ignore[assignment]  # hides tuple.count


class AttentionRest(NamedTuple):
    """What tokens that no list names add to each row, as a partial result of its softmax; float32.

    Attributes:
        max: [num_kv_heads, m * group], what the others are relative to.
        sum: [num_kv_heads, m * group], of ``exp(score - max)``; 0: nothing.
        values: [num_kv_heads, m * group, v_stride], of values times that; v_stride is head_dim rounded up to
            16.
    """

    max: Floats
    sum: Floats
    values: Floats


def check_rest(rest: AttentionRest, q: Floats, num_kv_heads: int) -> None:
    """ValueError unless it is of these queries."""
    m, heads, head_dim = q.shape
    rows, v_stride = (num_kv_heads, m * heads // num_kv_heads), -(-head_dim // LANES) * LANES
    if [part.shape for part in rest] != [rows, rows, (*rows, v_stride)]:
        raise ValueError("attention: shapes disagree")


def slots_of(extents: Sequence[Extent], *, num_pages: int, page_size: int) -> npt.NDArray[np.int32]:
    """``page * page_size + slot`` of every token; ValueError when an extent leaves its page."""
    for page, first, count in extents:
        inside = first >= 0 and count >= 0 and first + count <= page_size
        if not inside or not 0 <= page < num_pages:
            raise ValueError("an extent leaves its KV page")
    runs = [np.arange(count) + page * page_size + first for page, first, count in extents]
    return np.concatenate([np.empty(0, np.int32), *runs]).astype(np.int32)


def group_of(q: Floats, num_kv_heads: int) -> int:
    """Query heads per KV head; ValueError when they do not divide."""
    if q.shape[1] % num_kv_heads:
        raise ValueError("query heads do not divide over KV heads")
    return int(q.shape[1]) // num_kv_heads


def check_page_size(page_size: int) -> None:
    """ValueError unless it is a positive multiple of 16."""
    if page_size <= 0 or page_size % 16:
        raise ValueError("a KV page holds a positive multiple of 16 tokens")


def check_order(order: npt.NDArray[np.int32], sources: int, targets: int) -> None:
    """ValueError unless ``order`` is a permutation that seals ``sources`` tokens to as many targets."""
    if not sources == targets == len(order) or (np.sort(order) != np.arange(len(order))).any():
        raise ValueError("kv_seal: the order is no permutation of the tokens")


class KvCache:
    """Pages of one layer; all are allocated at once. The numpy backend is the specification.

    Args:
        page_size: tokens per page, a multiple of 16.
        dtype: what numbers are kept as.

    Raises:
        ValueError: an extent leaves its page, shapes disagree, or there is no such ``dtype``.
    """

    def __init__(
        self,
        *,
        num_pages: int,
        page_size: int,
        num_kv_heads: int,
        head_dim: int,
        dtype: KvType = "f16",
        threads: int = 1,
        backend: Backend = "auto",
    ) -> None:
        native = native_ops(backend)
        shape: dict[str, Any] = {
            "num_pages": num_pages,
            "page_size": page_size,
            "num_kv_heads": num_kv_heads,
            "head_dim": head_dim,
            "dtype": dtype,
        }
        self._cache: Any = NumpyCache(**shape) if native is None else native.KvCache(**shape, threads=threads)

    def append(self, k: Floats, v: Floats, slots: Sequence[Extent]) -> None:
        """Write rows float32 [m, num_kv_heads, head_dim] to ``slots``, in order."""
        self._cache.append(k, v, list(slots))

    def attend(
        self,
        q: Floats,
        extents: Sequence[Sequence[Extent]],
        *,
        scale: float,
        rest: AttentionRest | None = None,
    ) -> Floats:
        """float32 [m, num_q_heads, head_dim] from queries of the same shape."""
        options = {} if rest is None else {"rest": rest}
        out: Floats = self._cache.attend(q, [list(e) for e in extents], scale, **options)
        return out

    def mass(self, q: Floats, extents: Sequence[Extent], *, scale: float) -> tuple[Floats, Floats]:
        """``(max, sum)``, float32 [num_kv_heads, m, group] each: of the scores a row sees, the largest and
        the sum of ``exp(score - max)``; attention without values, one list of extents for all heads."""
        largest, total = self._cache.mass(q, list(extents), scale)
        return largest, total

    def seal(self, source: Sequence[Extent], order: npt.NDArray[np.int32], target: Sequence[Extent]) -> None:
        """Copy tokens bit for bit: slot j of ``target`` gets the token in slot ``order[j]`` of ``source``.

        The two name ``len(order)`` tokens on different pages; ``order`` is a permutation.
        """
        self._cache.seal(list(source), order, list(target))


class NumpyCache:
    """The specification of :class:`KvCache`, with sums in float64."""

    def __init__(
        self, *, num_pages: int, page_size: int, num_kv_heads: int, head_dim: int, dtype: KvType
    ) -> None:
        check_page_size(page_size)
        element, heads = element_type(dtype), (num_pages, num_kv_heads)
        self.keys: npt.NDArray[Any] = np.zeros((*heads, head_dim, page_size), element)
        self.values: npt.NDArray[Any] = np.zeros((*heads, page_size, head_dim), element)
        self.scaled = dtype == "int8"
        self.key_scales = np.zeros((*heads, key_scales(head_dim) * self.scaled, page_size), np.float16)
        self.value_scales = np.zeros((*heads, page_size, int(self.scaled)), np.float16)

    def append(self, k: Floats, v: Floats, slots: list[Extent]) -> None:
        pages, inside = self._locate(slots)
        if not len(pages) == len(k) == len(v):
            raise ValueError("slots and rows differ in number")
        stored_k: npt.NDArray[Any] = k
        stored_v: npt.NDArray[Any] = v
        if self.scaled:
            stored_k, self.key_scales[pages, :, :, inside] = quantize(k, SCALE_DIMS)
            stored_v, self.value_scales[pages, :, inside] = quantize(v, v.shape[-1])
        with np.errstate(over="ignore"):
            self.keys[pages, :, :, inside] = stored_k
            self.values[pages, :, inside, :] = stored_v

    def stored(self, tokens: list[Extent]) -> tuple[Floats, Floats]:
        """``(keys, values)`` float32 [tokens, num_kv_heads, head_dim], as kept."""
        pages, inside = self._locate(tokens)
        k, v = self.keys[pages, :, :, inside], self.values[pages, :, inside]
        if not self.scaled:
            return k.astype(np.float32), v.astype(np.float32)
        return (
            dequantize(k, self.key_scales[pages, :, :, inside], SCALE_DIMS),
            dequantize(v, self.value_scales[pages, :, inside], v.shape[-1]),
        )

    def attend(
        self, q: Floats, extents: list[list[Extent]], scale: float, rest: AttentionRest | None = None
    ) -> Floats:
        heads = self.keys.shape[1]
        group = group_of(q, heads)
        if rest is not None:
            check_rest(rest, q, heads)
        out = np.empty_like(q)
        for h in range(heads):
            k, v = self.stored(extents[h if len(extents) > 1 else 0])
            mine = slice(h * group, (h + 1) * group)
            beside = None if rest is None else AttentionRest(*(part[h] for part in rest))
            out[:, mine] = attend_reference(q[:, mine], k[:, h], v[:, h], scale=scale, rest=beside)
        return out

    def mass(self, q: Floats, extents: list[Extent], scale: float) -> tuple[Floats, Floats]:
        heads = self.keys.shape[1]
        k, _ = self.stored(extents)
        grouped = q.reshape(len(q), heads, -1, q.shape[2]).astype(np.float64)
        scores = scale * np.einsum("mhgd,thd->hmgt", grouped, k)
        late = np.arange(len(k)) > len(k) - len(q) + np.arange(len(q))[:, None]
        scores[np.broadcast_to(late[None, :, None], scores.shape)] = -np.inf
        largest = scores.max(axis=-1)
        total = np.exp(scores - largest[..., None]).sum(axis=-1)
        return largest.astype(np.float32), total.astype(np.float32)

    def seal(self, source: list[Extent], order: npt.NDArray[np.int32], target: list[Extent]) -> None:
        (from_page, from_slot), (to_page, to_slot) = self._locate(source), self._locate(target)
        check_order(order, len(from_page), len(to_page))
        from_page, from_slot = from_page[order], from_slot[order]
        for lines in (self.keys, self.key_scales):
            lines[to_page, :, :, to_slot] = lines[from_page, :, :, from_slot]
        for rows in (self.values, self.value_scales):
            rows[to_page, :, to_slot] = rows[from_page, :, from_slot]

    def _locate(self, extents: list[Extent]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        num_pages, _, _, page_size = self.keys.shape
        return np.divmod(slots_of(extents, num_pages=num_pages, page_size=page_size), np.int32(page_size))


def attend_reference(
    q: Floats,
    k: npt.NDArray[Any],
    v: npt.NDArray[Any],
    *,
    scale: float,
    rest: AttentionRest | None = None,
) -> Floats:
    """One KV head: ``q`` [m, group, head_dim] over ``k``, ``v`` [tokens, head_dim]; the last row sees all."""
    m, tokens = len(q), len(k)
    if m > tokens:
        raise ValueError("there are fewer tokens than rows")
    out = np.empty_like(q)
    with np.errstate(invalid="ignore", over="ignore"):
        for i in range(m):
            seen = tokens - m + 1 + i
            scores = scale * (q[i].astype(np.float64) @ k[:seen].T.astype(np.float64))
            top = scores.max(axis=-1, keepdims=True)
            weights = np.exp(scores - top)
            total, values = weights.sum(axis=-1, keepdims=True), weights @ v[:seen].astype(np.float64)
            if rest is not None:
                mine = slice(i * q.shape[1], (i + 1) * q.shape[1])
                factor = np.exp(np.where(rest.sum[mine] > 0, rest.max[mine] - top[:, 0], -np.inf))[:, None]
                total = total + factor * rest.sum[mine, None]
                values = values + factor * rest.values[mine, : q.shape[2]]
            out[i] = values / total
    return out
