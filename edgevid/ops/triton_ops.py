"""The Triton kernels (``edgevid.kernels``) as a :class:`edgevid.ops.gpu_ops.Device`, on torch tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.kernels.device import device_name, interpreted
from edgevid.ops.cluster_scores import Spread
from edgevid.ops.conv1d_int8 import ConvLayer, Int8s
from edgevid.ops.dequantize import Floats
from edgevid.ops.gpu_ops import Ints, Record
from edgevid.ops.hash_codes import SCALE, Codes
from edgevid.ops.kv_pages import KvType, key_scales
from edgevid.ops.kv_seal import RADIUS_SLACK, Moments
from edgevid.ops.paged_attention import AttentionRest
from edgevid.ops.select_mass import Doubt, Masses, MassRule


class TritonDevice:
    """A CUDA device, or Triton's interpreter.

    Raises:
        MissingPartError: torch, triton or a device is missing.
    """

    def __init__(self) -> None:
        self.torch_name = device_name()
        self.name = _describe(self.torch_name)
        self.played = interpreted()
        self.record: Record | None = None

    def hash_codes(self, keys: Floats, centre: Floats, planes: Codes) -> Codes:
        from edgevid.kernels.hash_codes import hash_codes

        codes = self.launch(hash_codes, self.put(keys), self.put(centre), self.put(planes), scale=SCALE)
        return np.asarray(codes.cpu().numpy())

    def cluster_assign(
        self, codes: Codes, table: Codes, opened: int, threshold: int
    ) -> tuple[Ints, Codes, int]:
        from edgevid.kernels.cluster_assign import cluster_assign

        leaders, count = self.put(table[None]), self.put(np.array([opened], np.int32))
        ids = self.launch(cluster_assign, self.put(codes[None]), leaders, count, threshold=threshold)
        return ids.cpu().numpy()[0], leaders.cpu().numpy()[0], int(count[0])

    def cluster_summaries(
        self, keys: Floats, begin: Ints, num_kv_heads: int
    ) -> tuple[npt.NDArray[np.int8], Floats, Floats]:
        from edgevid.kernels.kv_seal import cluster_summaries

        means, scales, radii = self.launch(
            cluster_summaries, self.put(keys), self.put(begin), num_kv_heads=num_kv_heads, slack=RADIUS_SLACK
        )
        return means.cpu().numpy(), scales.cpu().numpy(), radii.cpu().numpy()

    def cluster_moments(self, keys: Floats, values: Floats, begin: Ints, num_kv_heads: int) -> Moments:
        from edgevid.kernels.cluster_moments import cluster_moments

        tensors = [self.put(array) for array in (keys, values, begin)]
        made = self.launch(cluster_moments, *tensors, num_kv_heads=num_kv_heads)
        return Moments(*(tensor.cpu().numpy() for tensor in made))

    def cluster_scores(
        self,
        q: Floats,
        means: npt.NDArray[np.int8],
        scales: Floats,
        spread: Spread | None,
        clusters: int,
        scale: float,
    ) -> Floats:
        from edgevid.kernels.cluster_scores import cluster_scores

        tensors = [self.put(array[None]) for array in (q, means, scales)]
        spreads = None if spread is None else tuple(self.put(array[None]) for array in spread)
        out = self.launch(cluster_scores, *tensors, spreads, clusters=clusters, scale=scale)
        return np.asarray(out.cpu().numpy()[0])

    def select_mass(
        self, masses: Masses, rule: MassRule, doubt: Doubt | None
    ) -> npt.NDArray[np.integer[Any]]:
        from edgevid.kernels.select_mass import select_mass

        tensors = [self.put(array[None]) for array in masses]
        doubts = None if doubt is None else tuple(self.put(array[None]) for array in doubt)
        marks = self.launch(select_mass, *tensors, doubts, **rule._asdict())
        return np.asarray(marks.cpu().numpy()[0])

    def cluster_estimate(
        self, densities: Floats, counts: Ints, marks: Int8s, means: Int8s, scales: Floats
    ) -> tuple[Floats, Floats]:
        from edgevid.kernels.cluster_estimate import cluster_estimate

        tensors = [self.put(array[None]) for array in (densities, counts, marks, means, scales)]
        total, values = self.launch(cluster_estimate, *tensors)
        return total.cpu().numpy()[0], values.cpu().numpy()[0]

    def conv1d_int8(self, x: Int8s, layer: ConvLayer) -> Int8s:
        from edgevid.kernels.conv1d_int8 import conv1d_int8

        tensors = [self.put(array) for array in (x, layer.weights, layer.bias, layer.scales)]
        options = {"stride": layer.stride, "dilation": layer.dilation, "relu": layer.relu}
        return np.asarray(self.launch(conv1d_int8, *tensors, **options).cpu().numpy())

    def pages(
        self, num_pages: int, page_size: int, num_kv_heads: int, head_dim: int, dtype: KvType
    ) -> TritonPages:
        return TritonPages(self, num_pages, page_size, num_kv_heads, head_dim, dtype)

    def put(self, array: npt.NDArray[Any]) -> Any:
        """A tensor on the device."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self.torch_name)

    def launch(self, launcher: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """The launcher's result; the launch is recorded."""
        if self.record is not None:
            self.record.append(partial(launcher, *arguments, **options))
        return launcher(*arguments, **options)

    def synchronize(self) -> None:
        import torch

        if self.torch_name == "cuda":
            torch.cuda.synchronize()


class TritonPages:
    """Pages of one layer in four tensors."""

    def __init__(
        self,
        device: TritonDevice,
        num_pages: int,
        page_size: int,
        num_kv_heads: int,
        head_dim: int,
        dtype: KvType,
    ) -> None:
        import torch

        from edgevid.kernels.pages import Pages

        self._put, self._launch = device.put, device.launch
        element = {"f16": torch.float16, "f32": torch.float32, "int8": torch.int8}[dtype]
        heads = (num_pages, num_kv_heads)
        lines = key_scales(head_dim) if dtype == "int8" else 0
        self._pages = Pages(
            torch.zeros((*heads, head_dim, page_size), dtype=element, device=device.torch_name),
            torch.zeros((*heads, page_size, head_dim), dtype=element, device=device.torch_name),
            torch.zeros((*heads, lines, page_size), dtype=torch.float16, device=device.torch_name),
            torch.zeros((*heads, page_size), dtype=torch.float16, device=device.torch_name),
        )

    def append(self, k: Floats, v: Floats, slots: Ints) -> None:
        from edgevid.kernels.kv_append import append

        self._launch(append, self._put(k), self._put(v), self._put(slots), self._pages)

    def attend(
        self,
        q: Floats,
        slots: Ints,
        scale: float,
        rest: AttentionRest | None = None,
        *,
        head: int | None = None,
    ) -> Floats:
        from edgevid.kernels.paged_attention import attend

        pages = self._pages if head is None else self._pages.of_head(head)
        beside = None if rest is None else tuple(map(self._put, rest))
        out = self._launch(attend, self._put(q), pages, self._put(slots), beside, scale=scale)
        return np.asarray(out.cpu().numpy())

    def mass(self, q: Floats, slots: Ints, scale: float) -> tuple[Floats, Floats]:
        from edgevid.kernels.paged_attention import mass

        largest, total = self._launch(mass, self._put(q), self._pages, self._put(slots), scale=scale)
        return largest.cpu().numpy(), total.cpu().numpy()

    def seal(self, sources: Ints, targets: Ints) -> None:
        from edgevid.kernels.kv_seal import seal

        self._launch(seal, self._pages, self._put(sources), self._put(targets))


def _describe(torch_name: str) -> str:
    import torch

    return torch.cuda.get_device_name() if torch_name == "cuda" else "Triton's interpreter"
