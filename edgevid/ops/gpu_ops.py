"""What ``edgevid._native.ops`` offers, on a GPU: arguments checked here, kernels run by a :class:`Device`.

Arrays are copied to the device and back: this is the door for tests and for trying a device. An engine keeps
its data there and calls ``edgevid.kernels`` or ``csrc/cuda/ev_cuda.h`` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never, Protocol

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import UsageError
from edgevid.ops.cluster_assign import check_joining
from edgevid.ops.cluster_estimate import check_estimate
from edgevid.ops.cluster_scores import Spread, check_table
from edgevid.ops.conv1d_int8 import ConvLayer, Int8s, check_layer
from edgevid.ops.dequantize import Floats
from edgevid.ops.hash_codes import Codes, check_keys, hyperplanes
from edgevid.ops.kv_pages import KvType, element_type
from edgevid.ops.kv_seal import Moments, check_runs
from edgevid.ops.paged_attention import (
    AttentionRest,
    Extent,
    check_order,
    check_page_size,
    check_rest,
    group_of,
    slots_of,
)
from edgevid.ops.select_mass import Doubt, Masses, MassRule, check_selection

Ints = npt.NDArray[np.int32]
Record = list[Callable[[], object]]
"""Launches that can be done again, on the same arguments on the device."""


class Pages(Protocol):
    """Pages of one layer on a device; tokens as slots, ``page * page_size + slot``."""

    def append(self, k: Floats, v: Floats, slots: Ints) -> None: ...

    def attend(
        self,
        q: Floats,
        slots: Ints,
        scale: float,
        rest: AttentionRest | None = None,
        *,
        head: int | None = None,
    ) -> Floats:
        """``slots`` [1 or kv_heads, tokens]; with ``head``, only that KV head's queries and rest."""
        ...

    def mass(self, q: Floats, slots: Ints, scale: float) -> tuple[Floats, Floats]: ...

    def seal(self, sources: Ints, targets: Ints) -> None: ...


class Device(Protocol):
    """Kernels with numpy arrays of the right type in and out; shapes as in ``edgevid/ops/<op>.py``.

    Attributes:
        name: of the device.
        played: whether the host plays the device.
        record: when set, every launch is added to it (for timing).
    """

    name: str
    played: bool
    record: Record | None

    def synchronize(self) -> None:
        """Wait for all queued work."""
        ...

    def hash_codes(self, keys: Floats, centre: Floats, planes: Codes) -> Codes: ...

    def cluster_assign(
        self, codes: Codes, table: Codes, opened: int, threshold: int
    ) -> tuple[Ints, Codes, int]:
        """``table`` [capacity] holds ``opened`` leaders; it comes back with those of now."""
        ...

    def cluster_summaries(
        self, keys: Floats, begin: Ints, num_kv_heads: int
    ) -> tuple[npt.NDArray[np.int8], Floats, Floats]: ...

    def cluster_moments(self, keys: Floats, values: Floats, begin: Ints, num_kv_heads: int) -> Moments: ...

    def cluster_scores(
        self,
        q: Floats,
        means: npt.NDArray[np.int8],
        scales: Floats,
        spread: Spread | None,
        clusters: int,
        scale: float,
    ) -> Floats: ...

    def select_mass(
        self, masses: Masses, rule: MassRule, doubt: Doubt | None
    ) -> npt.NDArray[np.integer[Any]]: ...

    def cluster_estimate(
        self, densities: Floats, counts: Ints, marks: Int8s, means: Int8s, scales: Floats
    ) -> tuple[Floats, Floats]: ...

    def conv1d_int8(self, x: Int8s, layer: ConvLayer) -> Int8s: ...

    def pages(
        self, num_pages: int, page_size: int, num_kv_heads: int, head_dim: int, dtype: KvType
    ) -> Pages: ...


class GpuOps:
    """One method per op, as in ``edgevid._native.ops``; ops without a kernel say so."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Never:
        raise UsageError(f"{name} has no GPU kernel", fix="use backend='native' or 'numpy'")

    def hash_codes(self, keys: Floats, centre: Floats, *, seed: int, layer: int, threads: int = 1) -> Codes:
        """As :func:`edgevid.ops.hash_codes.hash_codes`."""
        check_keys(keys, centre)
        return self._device.hash_codes(_f32(keys), _f32(centre), hyperplanes(seed, layer, keys.shape[1]))

    def conv1d_int8(
        self,
        x: Int8s,
        weights: Int8s,
        bias: Ints,
        scales: Floats,
        *,
        stride: int = 1,
        dilation: int = 1,
        relu: bool = False,
        threads: int = 1,
    ) -> Int8s:
        """As ``edgevid._native.ops.conv1d_int8``."""
        layer = ConvLayer(weights, _i32(bias), _f32(scales), stride, dilation, relu)
        check_layer(layer)
        return self._device.conv1d_int8(x, layer)

    def cluster_assign(
        self, codes: Codes, leaders: Codes, *, threshold: int, capacity: int
    ) -> tuple[Ints, Codes]:
        """As :func:`edgevid.ops.cluster_assign.cluster_assign`."""
        check_joining(leaders, threshold=threshold, capacity=capacity)
        table = np.zeros(capacity, np.uint32)
        table[: len(leaders)] = leaders
        codes = np.array(codes, np.uint32, order="C")
        ids, table, opened = self._device.cluster_assign(codes, table, len(leaders), threshold)
        return ids, table[:opened]

    def cluster_summaries(
        self, keys: Floats, begin: Ints, *, num_kv_heads: int
    ) -> tuple[npt.NDArray[np.int8], Floats, Floats]:
        """As :func:`edgevid.ops.kv_seal.cluster_summaries`."""
        check_runs(keys, begin, num_kv_heads)
        return self._device.cluster_summaries(_f32(keys), _i32(begin), num_kv_heads)

    def cluster_moments(self, keys: Floats, values: Floats, begin: Ints, *, num_kv_heads: int) -> Moments:
        """As :func:`edgevid.ops.kv_seal.cluster_moments`."""
        check_runs(keys, begin, num_kv_heads)
        return self._device.cluster_moments(_f32(keys), _f32(values), _i32(begin), num_kv_heads)

    def cluster_scores(
        self,
        q: Floats,
        means: npt.NDArray[np.int8],
        scales: Floats,
        *,
        clusters: int,
        scale: float,
        spread: Spread | None = None,
    ) -> Floats:
        """As :func:`edgevid.ops.cluster_scores.cluster_scores`."""
        check_table(q, means, scales, clusters, spread)
        if spread is not None:
            spread = Spread(_f32(spread.variance), _f32(spread.spreads))
        table = np.array(means, np.int8, order="C"), _f32(scales)
        return self._device.cluster_scores(_f32(q), *table, spread, clusters, scale)

    def select_mass(
        self, *masses: npt.NDArray[Any], doubt: Doubt | None = None, **rule: Any
    ) -> npt.NDArray[np.bool_]:
        """As :func:`edgevid.ops.select_mass.select_mass`."""
        given, how = Masses(*masses), MassRule(**rule)
        check_selection(given, how, doubt)
        resident = _f32(given.resident_max), _f32(given.resident_sum)
        held = Masses(_f32(given.scores), _i32(given.counts), *resident)
        if doubt is not None:
            doubt = Doubt(_f32(doubt.rows), _f32(doubt.clusters))
        return np.asarray(self._device.select_mass(held, how, doubt) != 0)

    def cluster_estimate(
        self,
        densities: Floats,
        counts: Ints,
        marks: npt.NDArray[np.bool_],
        means: Int8s,
        scales: Floats,
    ) -> tuple[Floats, Floats]:
        """As :func:`edgevid.ops.cluster_estimate.cluster_estimate`."""
        check_estimate(densities, counts, marks, means, scales)
        attended = np.array(marks, np.int8)
        table = np.array(means, np.int8, order="C"), _f32(scales)
        return self._device.cluster_estimate(_f32(densities), _i32(counts), attended, *table)

    def KvCache(
        self,
        *,
        num_pages: int,
        page_size: int,
        num_kv_heads: int,
        head_dim: int,
        dtype: KvType = "f16",
        threads: int = 1,
    ) -> GpuCache:
        """As :class:`edgevid.ops.paged_attention.KvCache`; ``threads`` means nothing here."""
        check_page_size(page_size)
        element_type(dtype)
        pages = self._device.pages(num_pages, page_size, num_kv_heads, head_dim, dtype)
        return GpuCache(pages, num_pages=num_pages, page_size=page_size, num_kv_heads=num_kv_heads)


class GpuCache:
    """What :class:`edgevid.ops.paged_attention.KvCache` calls: extents checked and written out as slots."""

    def __init__(self, pages: Pages, *, num_pages: int, page_size: int, num_kv_heads: int) -> None:
        self._pages = pages
        self._num_pages, self._page_size, self._heads = num_pages, page_size, num_kv_heads

    def append(self, k: Floats, v: Floats, slots: list[Extent]) -> None:
        listed = self._slots(slots)
        if not len(listed) == len(k) == len(v):
            raise ValueError("slots and rows differ in number")
        self._pages.append(_f32(k), _f32(v), listed)

    def attend(
        self, q: Floats, extents: list[list[Extent]], scale: float, rest: AttentionRest | None = None
    ) -> Floats:
        if len(extents) not in (1, self._heads):
            raise ValueError("there is one list of extents for all KV heads or one for each")
        lists = [self._slots(e) for e in extents]
        group = self._group(q, min(map(len, lists)))
        if rest is not None:
            rest = AttentionRest(*map(_f32, rest))
            check_rest(rest, q, self._heads)
        if len({len(listed) for listed in lists}) == 1:
            return self._pages.attend(_f32(q), np.stack(lists), scale, rest)
        out = np.empty_like(q)
        for h, listed in enumerate(lists):
            mine = slice(h * group, (h + 1) * group)
            beside = None if rest is None else AttentionRest(*(part[h : h + 1] for part in rest))
            out[:, mine] = self._pages.attend(_f32(q[:, mine]), listed[None], scale, beside, head=h)
        return out

    def mass(self, q: Floats, extents: list[Extent], scale: float) -> tuple[Floats, Floats]:
        listed = self._slots(extents)
        self._group(q, len(listed))
        return self._pages.mass(_f32(q), listed[None], scale)

    def seal(self, source: list[Extent], order: Ints, target: list[Extent]) -> None:
        sources, targets = self._slots(source), self._slots(target)
        check_order(order, len(sources), len(targets))
        self._pages.seal(sources[order], targets)

    def _group(self, q: Floats, tokens: int) -> int:
        """Query heads per KV head, of queries that fit the tokens."""
        if len(q) > tokens:
            raise ValueError("there are fewer tokens than rows")
        return group_of(q, self._heads)

    def _slots(self, extents: list[Extent]) -> Ints:
        return slots_of(extents, num_pages=self._num_pages, page_size=self._page_size)


def _f32(array: npt.NDArray[Any]) -> Floats:
    return np.array(array, np.float32, order="C")


def _i32(array: npt.NDArray[Any]) -> Ints:
    return np.array(array, np.int32, order="C")
