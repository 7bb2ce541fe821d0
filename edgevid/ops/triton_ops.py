"""The Triton kernels behind the functions of ``edgevid._native.ops``: numpy in, numpy out.

Arguments are checked by the rules of the references; a kernel sees only what is right. Arrays are copied to
the device and back: this is the door for tests and for trying a device. An engine keeps tensors there and
calls ``edgevid.kernels`` itself.
"""

from __future__ import annotations

from typing import Any, Never

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import UsageError
from edgevid.kernels.device import device_name
from edgevid.ops.dequantize import Floats
from edgevid.ops.hash_codes import BITS, SCALE, Codes, hyperplanes
from edgevid.ops.kv_seal import RADIUS_SLACK
from edgevid.ops.paged_attention import Extent


class TritonOps:
    """One method per op; ops without a kernel say so.

    Raises:
        MissingPartError: torch, triton or a device is missing.
    """

    def __init__(self) -> None:
        self._device = device_name()

    def __getattr__(self, name: str) -> Never:
        raise UsageError(f"{name} has no Triton kernel", fix="use backend='native' or 'numpy'")

    def _put(self, array: npt.NDArray[Any], dtype: npt.DTypeLike) -> Any:
        import torch

        return torch.from_numpy(np.array(array, dtype, order="C")).to(self._device)

    def hash_codes(self, keys: Floats, centre: Floats, *, seed: int, layer: int, threads: int = 1) -> Codes:
        """As :func:`edgevid.ops.hash_codes.hash_codes`."""
        from edgevid.kernels.hash_codes import hash_codes

        if keys.ndim != 2 or centre.shape != keys.shape[1:]:
            raise ValueError("hash_codes: keys are [n, dims], the centre [dims]")
        planes = self._put(hyperplanes(seed, layer, keys.shape[1]), np.uint32)
        codes = hash_codes(self._put(keys, np.float32), self._put(centre, np.float32), planes, scale=SCALE)
        return np.asarray(codes.cpu().numpy())

    def cluster_assign(
        self, codes: Codes, leaders: Codes, *, threshold: int, capacity: int
    ) -> tuple[npt.NDArray[np.int32], Codes]:
        """As :func:`edgevid.ops.cluster_assign.cluster_assign`."""
        from edgevid.kernels.cluster_assign import cluster_assign

        if not 0 <= threshold <= BITS + 1 or capacity < 1 or len(leaders) > capacity:
            raise ValueError("cluster_assign: threshold is 0..33, capacity at least 1 and the open clusters")
        table = np.zeros((1, capacity), np.uint32)
        table[0, : len(leaders)] = leaders
        opened = self._put(np.array([len(leaders)]), np.int32)
        device_table = self._put(table, np.uint32)
        ids = cluster_assign(self._put(codes[None], np.uint32), device_table, opened, threshold=threshold)
        return ids.cpu().numpy()[0], device_table.cpu().numpy()[0, : int(opened[0])]

    def cluster_summaries(
        self, keys: Floats, begin: npt.NDArray[np.int32], *, num_kv_heads: int
    ) -> tuple[npt.NDArray[np.int8], Floats, Floats]:
        """As :func:`edgevid.ops.kv_seal.cluster_summaries`."""
        from edgevid.kernels.kv_seal import cluster_summaries

        covered = len(begin) > 0 and begin[0] == 0 and begin[-1] == len(keys) and (np.diff(begin) > 0).all()
        if not covered or keys.shape[1] % num_kv_heads:
            raise ValueError("cluster_summaries: the runs do not cover the keys")
        means, scales, radii = cluster_summaries(
            self._put(keys, np.float32),
            self._put(begin, np.int32),
            num_kv_heads=num_kv_heads,
            slack=RADIUS_SLACK,
        )
        return means.cpu().numpy(), scales.cpu().numpy(), radii.cpu().numpy()

    def cluster_scores(
        self, q: Floats, means: npt.NDArray[np.int8], scales: Floats, *, clusters: int, scale: float
    ) -> Floats:
        """As :func:`edgevid.ops.cluster_scores.cluster_scores`."""
        from edgevid.kernels.cluster_scores import cluster_scores

        head_dim, stride = means.shape
        if q.shape[1] != head_dim or scales.shape != (stride,) or stride % 16 or not 0 <= clusters <= stride:
            raise ValueError("cluster_scores: shapes disagree")
        scores = cluster_scores(
            self._put(q[None], np.float32),
            self._put(means[None], np.int8),
            self._put(scales[None], np.float32),
            clusters=clusters,
            scale=scale,
        )
        return np.asarray(scores.cpu().numpy()[0])

    def select_mass(
        self,
        scores: Floats,
        counts: npt.NDArray[np.int32],
        resident_max: Floats,
        resident_sum: Floats,
        *,
        threshold: float,
        pooled: bool,
        exact: bool,
        max_tokens: int,
    ) -> npt.NDArray[np.bool_]:
        """As :func:`edgevid.ops.select_mass.select_mass`."""
        from edgevid.kernels.select_mass import select_mass

        rows, clusters = scores.shape
        if counts.shape != (clusters,) or not resident_max.shape == resident_sum.shape == (rows,):
            raise ValueError("select_mass: shapes disagree")
        if not 0 <= threshold <= 1:
            raise ValueError("select_mass: the threshold is a share")
        marks = select_mass(
            self._put(scores[None], np.float32),
            self._put(counts[None], np.int32),
            self._put(resident_max[None], np.float32),
            self._put(resident_sum[None], np.float32),
            threshold=threshold,
            pooled=pooled,
            exact=exact,
            max_tokens=max_tokens,
        )
        return np.asarray(marks.cpu().numpy()[0].astype(np.bool_))

    def KvCache(self, **options: Any) -> TritonCache:
        """As :class:`edgevid.ops.paged_attention.KvCache`; ``threads`` means nothing here."""
        return TritonCache(self._device, **options)


class TritonCache:
    """Pages of one layer on the device; what :class:`edgevid.ops.paged_attention.KvCache` calls."""

    def __init__(
        self,
        device: str,
        *,
        num_pages: int,
        page_size: int,
        num_kv_heads: int,
        head_dim: int,
        f32: bool,
        threads: int,
    ) -> None:
        import torch

        if page_size <= 0 or page_size % 16:
            raise ValueError("a KV page holds a positive multiple of 16 tokens")
        dtype = torch.float32 if f32 else torch.float16
        options: dict[str, Any] = {"dtype": dtype, "device": device}
        self.keys = torch.zeros((num_pages, num_kv_heads, head_dim, page_size), **options)
        self.values = torch.zeros((num_pages, num_kv_heads, page_size, head_dim), **options)

    def append(self, k: Floats, v: Floats, slots: list[Extent]) -> None:
        from edgevid.kernels.kv_append import append

        listed = self._slots(slots)
        if not len(listed) == len(k) == len(v):
            raise ValueError("slots and rows differ in number")
        append(self._put(k), self._put(v), self._put(listed), self.keys, self.values)

    def attend(self, q: Floats, extents: list[list[Extent]], scale: float) -> Floats:
        from edgevid.kernels.paged_attention import attend

        lists = [self._slots(e) for e in extents]
        self._check_rows(q, min(map(len, lists)))
        if len({len(listed) for listed in lists}) == 1:
            out = attend(self._put(q), self.keys, self.values, self._put(np.stack(lists)), scale=scale)
            return np.asarray(out.cpu().numpy())
        return self._attend_each(q, lists, scale)

    def _attend_each(self, q: Floats, lists: list[npt.NDArray[np.int32]], scale: float) -> Floats:
        """KV heads with lists of different lengths, one after the other."""
        from edgevid.kernels.paged_attention import attend

        group = q.shape[1] // len(lists)
        out = np.empty_like(q)
        for h, listed in enumerate(lists):
            mine = slice(h * group, (h + 1) * group)
            keys, values = self.keys[:, h : h + 1], self.values[:, h : h + 1]
            part = attend(self._put(q[:, mine]), keys, values, self._put(listed[None]), scale=scale)
            out[:, mine] = part.cpu().numpy()
        return out

    def mass(self, q: Floats, extents: list[Extent], scale: float) -> tuple[Floats, Floats]:
        from edgevid.kernels.paged_attention import mass

        listed = self._slots(extents)
        self._check_rows(q, len(listed))
        largest, total = mass(self._put(q), self.keys, self._put(listed[None]), scale=scale)
        return largest.cpu().numpy(), total.cpu().numpy()

    def seal(self, source: list[Extent], order: npt.NDArray[np.int32], target: list[Extent]) -> None:
        from edgevid.kernels.kv_seal import seal

        sources, targets = self._slots(source), self._slots(target)
        if not len(sources) == len(targets) == len(order) or (np.sort(order) != np.arange(len(order))).any():
            raise ValueError("kv_seal: the order is no permutation of the tokens")
        seal(self.keys, self.values, self._put(sources[order]), self._put(targets))

    def _check_rows(self, q: Floats, tokens: int) -> None:
        if q.shape[1] % self.keys.shape[1]:
            raise ValueError("query heads do not divide over KV heads")
        if len(q) > tokens:
            raise ValueError("there are fewer tokens than rows")

    def _slots(self, extents: list[Extent]) -> npt.NDArray[np.int32]:
        """Extents written out, ``page * page_size + slot`` of every token."""
        num_pages, _, _, page_size = self.keys.shape
        for page, first, count in extents:
            if not 0 <= page < num_pages or first < 0 or count < 0 or first + count > page_size:
                raise ValueError("an extent leaves its KV page")
        runs = [np.arange(count, dtype=np.int32) + page * page_size + first for page, first, count in extents]
        return np.concatenate([np.empty(0, np.int32), *runs])

    def _put(self, array: npt.NDArray[Any]) -> Any:
        import torch

        return torch.from_numpy(np.array(array, order="C")).to(self.keys.device)
