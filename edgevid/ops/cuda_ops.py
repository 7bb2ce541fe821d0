"""The CUDA kernels (``csrc/cuda``) as a :class:`edgevid.ops.gpu_ops.Device`, through their C functions.

``$EDGEVID_CUDA_LIBRARY`` names the library: compiled by nvcc for a device, or for the host (tests). Neither
torch nor a CUDA package for Python is needed.
"""

from __future__ import annotations

import ctypes as c
import os
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import EdgevidError, MissingPartError, UsageError
from edgevid.ops.cluster_scores import Spread
from edgevid.ops.conv1d_int8 import ConvLayer, Int8s
from edgevid.ops.cuda_structs import (
    EvCudaAttention,
    EvCudaEstimate,
    EvCudaMoments,
    EvCudaPages,
    EvCudaScores,
    EvCudaSelection,
)
from edgevid.ops.dequantize import Floats
from edgevid.ops.gpu_ops import Ints, Record
from edgevid.ops.hash_codes import Codes
from edgevid.ops.kv_pages import KvType, element_type, key_scales
from edgevid.ops.kv_seal import LANES, Moments
from edgevid.ops.paged_attention import AttentionRest
from edgevid.ops.select_mass import Doubt, Masses, MassRule

VARIABLE = "EDGEVID_CUDA_LIBRARY"
_TYPES: dict[KvType, int] = {"f16": 0, "f32": 1, "int8": 2}  # of EvCudaPages
_BYTES = (2, 4, 1)
_Array = npt.NDArray[Any]


class CudaDevice:
    """The device of the library.

    Raises:
        MissingPartError: no library is named, or it finds no device.
    """

    def __init__(self) -> None:
        self.library = _load(os.environ.get(VARIABLE, ""))
        name = c.create_string_buffer(256)
        if status := self.library.ev_cuda_device_name(name, len(name)):
            raise MissingPartError(f"there is no CUDA device (error {status})", fix="see docs/GPU.md")
        self.name = name.value.decode()
        self.played = bool(self.library.ev_cuda_is_host())
        self.record: Record | None = None

    def hash_codes(self, keys: Floats, centre: Floats, planes: Codes) -> Codes:
        n, dims = keys.shape
        codes = self.empty((n,), np.uint32)
        self.launch("hash_codes", self.put(keys), self.put(centre), self.put(planes), codes, n, dims, None)
        return codes.read()

    def cluster_assign(
        self, codes: Codes, table: Codes, opened: int, threshold: int
    ) -> tuple[Ints, Codes, int]:
        n, capacity = len(codes), len(table)
        leaders, count = self.put(table), self.put(np.array([opened], np.int32))
        ids = self.empty((n,), np.int32)
        self.launch("cluster_assign", self.put(codes), leaders, count, ids, 1, n, capacity, threshold, None)
        return ids.read(), leaders.read(), int(count.read()[0])

    def cluster_summaries(
        self, keys: Floats, begin: Ints, num_kv_heads: int
    ) -> tuple[npt.NDArray[np.int8], Floats, Floats]:
        clusters, head_dim = len(begin) - 1, keys.shape[1] // num_kv_heads
        stride = -(-clusters // LANES) * LANES
        means = self.put(np.zeros((num_kv_heads, head_dim, stride), np.int8))
        scales, radii = (self.put(np.zeros((num_kv_heads, stride), np.float32)) for _ in range(2))
        sizes = (clusters, stride, num_kv_heads, head_dim)
        self.launch("cluster_summaries", self.put(keys), self.put(begin), *sizes, means, scales, radii, None)
        return means.read(), scales.read(), radii.read()

    def cluster_moments(self, keys: Floats, values: Floats, begin: Ints, num_kv_heads: int) -> Moments:
        clusters, head_dim = len(begin) - 1, keys.shape[1] // num_kv_heads
        stride, v_stride = (-(-n // LANES) * LANES for n in (clusters, head_dim))
        given = [self.put(array) for array in (keys, values, begin)]
        made = [self.put(np.zeros((num_kv_heads, stride, v_stride), np.int8))]
        made += [self.put(np.zeros((num_kv_heads, stride), np.float32)) for _ in range(2)]
        made.append(self.empty((num_kv_heads, head_dim), np.float32))
        held = (*given, *made, self.empty((num_kv_heads, clusters, head_dim), np.float32))
        sizes = (clusters, stride, num_kv_heads, head_dim, v_stride)
        moments = EvCudaMoments(*(buffer.pointer for buffer in held), *sizes)
        self.launch("cluster_moments", c.byref(moments), None, keep=held)
        return Moments(*(buffer.read() for buffer in made))

    def cluster_scores(
        self,
        q: Floats,
        means: npt.NDArray[np.int8],
        scales: Floats,
        spread: Spread | None,
        clusters: int,
        scale: float,
    ) -> Floats:
        (rows, head_dim), stride = q.shape, means.shape[1]
        held = [self.put(array) for array in (q, means, scales, *(spread or ()))]
        out = self.empty((rows, stride), np.float32)
        pointers = [buffer.pointer for buffer in held] + [None] * (5 - len(held))
        scores = EvCudaScores(*pointers, out.pointer, 1, rows, head_dim, clusters, stride, scale)
        self.launch("cluster_scores", c.byref(scores), None, keep=(*held, out))
        return out.read()

    def select_mass(
        self, masses: Masses, rule: MassRule, doubt: Doubt | None
    ) -> npt.NDArray[np.integer[Any]]:
        rows, clusters = masses.scores.shape
        marks = self.empty((clusters,), np.uint8)
        workspace = self.empty((self.library.ev_cuda_selection_bytes(1, rows, clusters),), np.uint8)
        held = [self.put(array) for array in (*masses, *(doubt or ()))]
        pointers = [buffer.pointer for buffer in held] + [None] * (6 - len(held)) + [marks.pointer]
        sizes = (1, rows, clusters, rule.max_tokens, rule.threshold, rule.pooled, rule.exact)
        selection = EvCudaSelection(*pointers, *sizes, workspace.pointer)
        self.launch("select_mass", c.byref(selection), None, keep=(*held, marks, workspace))
        return marks.read()

    def cluster_estimate(
        self, densities: Floats, counts: Ints, marks: Int8s, means: Int8s, scales: Floats
    ) -> tuple[Floats, Floats]:
        (rows, stride), v_stride = densities.shape, means.shape[1]
        held = [self.put(array) for array in (densities, counts, marks, means, scales)]
        total, values = self.empty((rows,), np.float32), self.empty((rows, v_stride), np.float32)
        pointers = [buffer.pointer for buffer in (*held, total, values)]
        estimate = EvCudaEstimate(*pointers, 1, rows, stride, v_stride)
        self.launch("cluster_estimate", c.byref(estimate), None, keep=(*held, total, values))
        return total.read(), values.read()

    def conv1d_int8(self, x: Int8s, layer: ConvLayer) -> Int8s:
        raise UsageError("conv1d_int8 has no CUDA kernel", fix="use backend='triton', 'native' or 'numpy'")

    def pages(
        self, num_pages: int, page_size: int, num_kv_heads: int, head_dim: int, dtype: KvType
    ) -> CudaPages:
        return CudaPages(self, num_pages, page_size, num_kv_heads, head_dim, dtype)

    def launch(self, op: str, *arguments: Any, keep: Sequence[Buffer] = ()) -> None:
        """:meth:`call` of a kernel, recorded; ``keep`` are buffers that its structs point to."""
        self.call(op, *arguments)
        if self.record is not None:
            self.record.append(partial(self._again, op, arguments, keep))

    def _again(self, op: str, arguments: Sequence[Any], keep: Sequence[Buffer]) -> None:
        """A recorded launch; holding ``keep`` is all that is done with it."""
        self.call(op, *arguments)

    def call(self, op: str, *arguments: Any) -> None:
        """``ev_cuda_<op>``; EdgevidError when it returns an error."""
        plain = [a.pointer if isinstance(a, Buffer) else a for a in arguments]
        if status := getattr(self.library, f"ev_cuda_{op}")(*plain):
            raise EdgevidError(f"CUDA error {status} in {op}")

    def synchronize(self) -> None:
        """Wait for all queued work."""
        self.empty((1,), np.uint8).read()

    def put(self, array: _Array) -> Buffer:
        """A copy on the device."""
        buffer = self.empty(array.shape, array.dtype)
        source = np.ascontiguousarray(array)
        self.call("copy_in", buffer, source.ctypes.data_as(c.c_void_p), c.c_int64(source.nbytes))
        return buffer

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Buffer:
        """Memory on the device with undefined contents."""
        return Buffer(self, shape, np.dtype(dtype))


class Buffer:
    """Memory of the device, freed with this object."""

    def __init__(self, device: CudaDevice, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._device, self._shape, self._dtype = device, shape, dtype
        self.pointer = c.c_void_p()
        size = int(np.prod(shape)) * dtype.itemsize
        device.call("alloc", c.byref(self.pointer), c.c_int64(max(size, 1)))

    def read(self) -> _Array:
        """A copy on the host; waits for the work queued before."""
        out = np.empty(self._shape, self._dtype)
        self._device.call("copy_out", out.ctypes.data_as(c.c_void_p), self, c.c_int64(out.nbytes))
        return out

    def __del__(self) -> None:
        if self.pointer:
            self._device.library.ev_cuda_free(self.pointer)


class CudaPages:
    """Pages of one layer in four allocations."""

    def __init__(
        self,
        device: CudaDevice,
        num_pages: int,
        page_size: int,
        num_kv_heads: int,
        head_dim: int,
        dtype: KvType,
    ) -> None:
        self._device = device
        v_stride, lines = -(-head_dim // LANES) * LANES, key_scales(head_dim)
        slots = num_kv_heads * page_size
        element = element_type(dtype)
        held = [device.put(np.zeros(num_pages * slots * width, element)) for width in (head_dim, v_stride)]
        held += [device.put(np.zeros(num_pages * slots * width, np.float16)) for width in (lines, 1)]
        strides = [slots * width for width in (head_dim, v_stride, lines, 1)]
        sizes = (page_size, num_kv_heads, head_dim, v_stride, lines, _TYPES[dtype])
        self._pages = EvCudaPages(*(buffer.pointer for buffer in held), *strides, *sizes)
        self._held = tuple(held)

    def append(self, k: Floats, v: Floats, slots: Ints) -> None:
        put = self._device.put
        arguments = (c.byref(self._pages), put(k), put(v), put(slots), len(slots), None)
        self._device.launch("kv_append", *arguments, keep=self._held)

    def attend(
        self,
        q: Floats,
        slots: Ints,
        scale: float,
        rest: AttentionRest | None = None,
        *,
        head: int | None = None,
    ) -> Floats:
        pages = self._pages if head is None else self._one_head(head)
        out = self._device.empty(q.shape, np.float32)
        parts = {} if rest is None else rest._asdict()
        beside = {f"rest_{name}": self._device.put(part) for name, part in parts.items()}
        self._attention(pages, q, slots, scale, out=out, **beside)
        return out.read()

    def mass(self, q: Floats, slots: Ints, scale: float) -> tuple[Floats, Floats]:
        heads = self._pages.num_kv_heads
        shape = (heads, len(q), q.shape[1] // heads)
        largest, total = (self._device.empty(shape, np.float32) for _ in range(2))
        self._attention(self._pages, q, slots, scale, max=largest, sum=total)
        return largest.read(), total.read()

    def seal(self, sources: Ints, targets: Ints) -> None:
        put = self._device.put
        arguments = (c.byref(self._pages), put(sources), put(targets), len(sources), None)
        self._device.launch("kv_seal", *arguments, keep=self._held)

    def _attention(self, pages: EvCudaPages, q: Floats, slots: Ints, scale: float, **others: Buffer) -> None:
        held = {"q": self._device.put(q), "slots": self._device.put(slots), **others}
        a = EvCudaAttention(
            lists=len(slots),
            tokens=slots.shape[1],
            m=len(q),
            group=q.shape[1] // pages.num_kv_heads,
            scale=scale,
        )
        for name, buffer in held.items():
            setattr(a, name, buffer.pointer)
        floats = self._device.library.ev_cuda_attention_floats(c.byref(pages), c.byref(a))
        workspace = self._device.empty((floats,), np.float32)
        a.workspace = workspace.pointer
        keep = (*self._held, workspace, *held.values())
        self._device.launch("paged_attention", c.byref(pages), c.byref(a), None, keep=keep)

    def _one_head(self, head: int) -> EvCudaPages:
        """The same pages, seen as having this KV head only."""
        p = EvCudaPages.from_buffer_copy(self._pages)
        slots = head * p.page_size
        p.keys += slots * p.head_dim * _BYTES[p.type]
        p.values += slots * p.v_stride * _BYTES[p.type]
        p.key_scales += slots * p.key_scale_lines * _BYTES[_TYPES["f16"]]
        p.value_scales += slots * _BYTES[_TYPES["f16"]]
        p.num_kv_heads = 1
        return p


@cache
def _load(path: str) -> Any:
    if not path:
        raise MissingPartError(
            f"no CUDA library: {VARIABLE} is not set",
            fix=f"cmake -S csrc/cuda -B build/cuda && cmake --build build/cuda && "
            f"export {VARIABLE}=$PWD/build/cuda/libedgevid_cuda.so",
        )
    try:
        library = c.CDLL(path)
    except OSError as error:
        raise MissingPartError(f"{VARIABLE}: {error}", fix="see docs/GPU.md") from error
    for name in ("attention_floats", "selection_bytes"):
        getattr(library, f"ev_cuda_{name}").restype = c.c_int64
    return library
