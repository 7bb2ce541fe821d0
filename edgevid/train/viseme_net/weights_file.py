"""The weights file of VisemeNet as numbers, and back (docs/FORMATS.md, "VisemeNet weights").

This reader is for training and benches and believes what it reads; ``csrc/lipsync/viseme_weights.cc`` does
not.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgevid.lipsync.mouth_shape import LipBasis
from edgevid.lipsync.nouns import Floats
from edgevid.ops.backend import Backend
from edgevid.ops.conv1d_int8 import LIMIT, ConvLayer, Int8s, conv1d_int8

MAGIC, VERSION = b"EVVN", 1
_HEAD = struct.Struct("<4sIQ")
_SIZES = struct.Struct("<5I")
_LAYER = struct.Struct("<6I")
_MASK = (1 << 64) - 1
_PRIME = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class VisemeFile:
    """Attributes:
    mel_mean, mel_scale: float32 [bands]: code = (row - mean) * scale.
    layers: in order.
    param_scale, param_offset: float32 [params]: parameter = code * scale + offset.
    basis: of the last three parameters.
    targets: float32 [visemes, params].
    """

    mel_mean: Floats
    mel_scale: Floats
    layers: tuple[ConvLayer, ...]
    param_scale: Floats
    param_offset: Floats
    basis: LipBasis
    targets: Floats

    def codes(self, rows: Floats) -> Int8s:
        """float32 [rows, bands] as the first layer takes them."""
        codes = np.nan_to_num((rows - self.mel_mean) * self.mel_scale, nan=-LIMIT)
        return np.asarray(np.clip(np.rint(codes), -LIMIT, LIMIT), np.int8)

    def run(self, rows: Floats, *, backend: Backend = "numpy") -> Int8s:
        """The last layer's codes, int8 [steps, params]."""
        codes = self.codes(rows)
        for layer in self.layers:
            codes = conv1d_int8(codes, layer, backend=backend)
        return codes

    def params(self, codes: Int8s) -> Floats:
        """float32 [steps, params] of :meth:`run`'s codes."""
        return np.asarray(codes.astype(np.float32) * self.param_scale + self.param_offset, np.float32)


def write(file: VisemeFile) -> bytes:
    """The bytes."""
    points, visemes = len(file.basis.mean), len(file.targets)
    out = [_SIZES.pack(len(file.mel_mean), len(file.param_scale), points, visemes, len(file.layers))]
    out += [_floats(file.mel_mean), _floats(file.mel_scale)]
    for layer in file.layers:
        outputs, inputs, taps = layer.weights.shape
        out.append(_LAYER.pack(inputs, outputs, taps, layer.stride, layer.dilation, layer.relu))
        out += [_floats(layer.scales), layer.bias.astype("<i4").tobytes(), layer.weights.tobytes()]
    tables = (file.param_scale, file.param_offset, file.basis.mean, file.basis.directions, file.targets)
    body = b"".join(out + [_floats(table) for table in tables])
    return _HEAD.pack(MAGIC, VERSION, checksum(body)) + body


def read(data: bytes) -> VisemeFile:
    """What :func:`write` wrote."""
    at = _HEAD.size + _SIZES.size
    bands, params, points, visemes, layers = _SIZES.unpack_from(data, _HEAD.size)

    def take(dtype: str, *shape: int) -> Any:
        nonlocal at
        values = np.frombuffer(data, dtype, int(np.prod(shape)), at).reshape(shape)
        at += values.nbytes
        return values

    mean, scale = take("<f4", bands), take("<f4", bands)
    found = []
    for _ in range(layers):
        inputs, outputs, taps, stride, dilation, relu = _LAYER.unpack_from(data, at)
        at += _LAYER.size
        scales, bias = take("<f4", outputs), take("<i4", outputs)
        found.append(ConvLayer(take("i1", outputs, inputs, taps), bias, scales, stride, dilation, bool(relu)))
    param_scale, param_offset = take("<f4", params), take("<f4", params)
    basis = LipBasis(take("<f4", points, 2), take("<f4", params, points, 2))
    return VisemeFile(
        mean, scale, tuple(found), param_scale, param_offset, basis, take("<f4", visemes, params)
    )


def checksum(data: bytes) -> int:
    """As ``csrc/io/checksum.h``."""
    words = np.frombuffer(data + bytes(-len(data) % 8), "<u8")
    lanes = [1, 2, 3, 4]
    for i, word in enumerate(words.tolist()):
        lanes[i % 4] = _mix(lanes[i % 4], word)
    h = len(data)
    for lane in lanes:
        h = _mix(h, lane)
    return h


def _mix(h: int, word: int) -> int:
    h = (h ^ word) * _PRIME & _MASK
    return (h << 29 | h >> 35) & _MASK


def _floats(values: Floats) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()
