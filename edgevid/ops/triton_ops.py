"""The Triton kernels (``edgevid.kernels``) as a :class:`edgevid.ops.gpu_ops.Device`, on torch tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.kernels.device import device_name
from edgevid.ops.dequantize import Floats
from edgevid.ops.gpu_ops import Ints
from edgevid.ops.hash_codes import SCALE, Codes
from edgevid.ops.kv_seal import RADIUS_SLACK


class TritonDevice:
    """A CUDA device, or Triton's interpreter.

    Raises:
        MissingPartError: torch, triton or a device is missing.
    """

    def __init__(self) -> None:
        self.name = device_name()

    def hash_codes(self, keys: Floats, centre: Floats, planes: Codes) -> Codes:
        from edgevid.kernels.hash_codes import hash_codes

        codes = hash_codes(self.put(keys), self.put(centre), self.put(planes), scale=SCALE)
        return np.asarray(codes.cpu().numpy())

    def cluster_assign(
        self, codes: Codes, table: Codes, opened: int, threshold: int
    ) -> tuple[Ints, Codes, int]:
        from edgevid.kernels.cluster_assign import cluster_assign

        leaders, count = self.put(table[None]), self.put(np.array([opened], np.int32))
        ids = cluster_assign(self.put(codes[None]), leaders, count, threshold=threshold)
        return ids.cpu().numpy()[0], leaders.cpu().numpy()[0], int(count[0])

    def cluster_summaries(
        self, keys: Floats, begin: Ints, num_kv_heads: int
    ) -> tuple[npt.NDArray[np.int8], Floats, Floats]:
        from edgevid.kernels.kv_seal import cluster_summaries

        means, scales, radii = cluster_summaries(
            self.put(keys), self.put(begin), num_kv_heads=num_kv_heads, slack=RADIUS_SLACK
        )
        return means.cpu().numpy(), scales.cpu().numpy(), radii.cpu().numpy()

    def cluster_scores(
        self, q: Floats, means: npt.NDArray[np.int8], scales: Floats, clusters: int, scale: float
    ) -> Floats:
        from edgevid.kernels.cluster_scores import cluster_scores

        tensors = (self.put(q[None]), self.put(means[None]), self.put(scales[None]))
        return np.asarray(cluster_scores(*tensors, clusters=clusters, scale=scale).cpu().numpy()[0])

    def select_mass(
        self,
        scores: Floats,
        counts: Ints,
        resident_max: Floats,
        resident_sum: Floats,
        threshold: float,
        pooled: bool,
        exact: bool,
        max_tokens: int,
    ) -> npt.NDArray[np.integer[Any]]:
        from edgevid.kernels.select_mass import select_mass

        tensors = [self.put(array[None]) for array in (scores, counts, resident_max, resident_sum)]
        marks = select_mass(*tensors, threshold=threshold, pooled=pooled, exact=exact, max_tokens=max_tokens)
        return np.asarray(marks.cpu().numpy()[0])

    def pages(
        self, num_pages: int, page_size: int, num_kv_heads: int, head_dim: int, f32: bool
    ) -> TritonPages:
        return TritonPages(self, num_pages, page_size, num_kv_heads, head_dim, f32)

    def put(self, array: npt.NDArray[Any]) -> Any:
        """A tensor on the device."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self.name)


class TritonPages:
    """Pages of one layer in two tensors."""

    def __init__(
        self,
        device: TritonDevice,
        num_pages: int,
        page_size: int,
        num_kv_heads: int,
        head_dim: int,
        f32: bool,
    ) -> None:
        import torch

        self._put = device.put
        options: dict[str, Any] = {
            "dtype": torch.float32 if f32 else torch.float16,
            "device": device.name,
        }
        self.keys = torch.zeros((num_pages, num_kv_heads, head_dim, page_size), **options)
        self.values = torch.zeros((num_pages, num_kv_heads, page_size, head_dim), **options)

    def append(self, k: Floats, v: Floats, slots: Ints) -> None:
        from edgevid.kernels.kv_append import append

        append(self._put(k), self._put(v), self._put(slots), self.keys, self.values)

    def attend(self, q: Floats, slots: Ints, scale: float, *, head: int | None = None) -> Floats:
        from edgevid.kernels.paged_attention import attend

        heads = slice(None) if head is None else slice(head, head + 1)
        pages = (self.keys[:, heads], self.values[:, heads])
        return np.asarray(attend(self._put(q), *pages, self._put(slots), scale=scale).cpu().numpy())

    def mass(self, q: Floats, slots: Ints, scale: float) -> tuple[Floats, Floats]:
        from edgevid.kernels.paged_attention import mass

        largest, total = mass(self._put(q), self.keys, self._put(slots), scale=scale)
        return largest.cpu().numpy(), total.cpu().numpy()

    def seal(self, sources: Ints, targets: Ints) -> None:
        from edgevid.kernels.kv_seal import seal

        seal(self.keys, self.values, self._put(sources), self._put(targets))
