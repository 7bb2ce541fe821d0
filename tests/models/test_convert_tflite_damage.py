"""A TensorFlow Lite file with bytes changed or cut off: it is refused in one line, or it still converts."""

from __future__ import annotations

import contextlib
import resource
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgevid.core.errors import BadModelError
from edgevid.models.convert.join import join
from edgevid.models.convert.tflite import convert

Fields = dict[int, Any]


def flatbuffer(root: Fields, identifier: bytes = b"TFL3") -> bytes:
    """A FlatBuffer of tables: field -> (struct form, integer), an array, a table, or a list of tables."""
    out = bytearray(b"\0\0\0\0" + identifier)
    struct.pack_into("<I", out, 0, _table(out, root))
    return bytes(out)


def _table(out: bytearray, fields: Fields) -> int:
    out += bytes(-len(out) % 4)
    vtable, slots = len(out), max(fields, default=-1) + 1
    at = vtable + 4 + 2 * slots + (2 * slots) % 4
    size = 4 + 4 * len(fields)
    out += bytes(at - vtable + size)
    struct.pack_into("<HH", out, vtable, 4 + 2 * slots, size)
    struct.pack_into("<i", out, at, at - vtable)
    for place, (field, value) in enumerate(fields.items()):
        inside = 4 + 4 * place
        struct.pack_into("<H", out, vtable + 4 + 2 * field, inside)
        if isinstance(value, tuple):
            struct.pack_into("<" + value[0], out, at + inside, value[1])
        else:
            target = _table(out, value) if isinstance(value, dict) else _vector(out, value)
            struct.pack_into("<I", out, at + inside, target - at - inside)
    return at


def _vector(out: bytearray, value: npt.NDArray[Any] | list[Fields]) -> int:
    out += bytes(-len(out) % 4)
    start = len(out)
    out += struct.pack("<I", len(value))
    if isinstance(value, np.ndarray):
        out += value.tobytes()
        return start
    out += bytes(4 * len(value))
    for index, fields in enumerate(value):
        place = start + 4 + 4 * index
        struct.pack_into("<I", out, place, _table(out, fields) - place)
    return start


def _ints(*values: int) -> npt.NDArray[np.int32]:
    return np.array(values, "<i4")


def _tensor(shape: tuple[int, ...], buffer: int = 0, kind: int = 0) -> Fields:
    return {0: _ints(*shape), 1: ("B", kind), 2: ("I", buffer)}


def _operator(code: int, inputs: tuple[int, ...], output: int, options: Fields | None = None) -> Fields:
    return {0: ("I", code), 1: _ints(*inputs), 2: _ints(output), **({4: options} if options else {})}


_KERNEL = np.arange(4 * 3 * 3 * 3, dtype="<f2").reshape(4, 3, 3, 3) / 100
_STRIDES = {0: ("B", 0), 1: ("i", 1), 2: ("i", 1)}


def model() -> Fields:
    """A convolution with ReLU whose kernel is float16, a pooling, and a reshape; 6x6x3 -> 36 numbers."""
    tensors = [
        _tensor((1, 6, 6, 3)), _tensor((4, 3, 3, 3), 1, 1), _tensor((4, 3, 3, 3)), _tensor((4,), 2),
        _tensor((1, 6, 6, 4)), _tensor((1, 3, 3, 4)), _tensor((1, 36)),
    ]  # fmt: skip
    operators = [
        _operator(0, (1,), 2),
        _operator(1, (0, 2, 3), 4, {**_STRIDES, 3: ("B", 1)}),
        _operator(2, (4,), 5, {0: ("B", 0), 1: ("i", 2), 2: ("i", 2), 3: ("i", 2), 4: ("i", 2)}),
        _operator(3, (5,), 6),
    ]
    buffers = [{}, {0: np.frombuffer(_KERNEL.tobytes(), np.uint8)}, {0: np.zeros(16, np.uint8)}]
    codes = [{0: ("b", code)} for code in (6, 3, 17, 22)]
    subgraph = {0: tensors, 1: _ints(0), 2: _ints(6), 3: operators}
    return {0: ("I", 3), 1: codes, 2: [subgraph], 4: buffers}


GOOD = flatbuffer(model())


def convert_bytes(data: bytes, folder: Path) -> bytes:
    path = folder / "small.tflite"
    path.write_bytes(data)
    return convert(path, ["result"])


def test_the_model_is_good_before_the_damage(tmp_path: Path) -> None:
    written = convert_bytes(GOOD, tmp_path)
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"images": np.ones((1, 6, 6, 3), np.float32)})
    middle = np.maximum(_KERNEL.astype(np.float32).sum(axis=(1, 2, 3)), 0)
    assert result.shape == (1, 36)
    np.testing.assert_allclose(result.reshape(3, 3, 4)[1, 1], middle, rtol=1e-3)


def test_every_cut_is_refused(tmp_path: Path) -> None:
    for size in range(len(GOOD) - 20):
        with pytest.raises(BadModelError, match=r"small\.tflite"):
            convert_bytes(GOOD[:size], tmp_path)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(damage=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@example(damage=[(0, 255)])
@example(damage=[(3, 127)])
def test_damage_is_refused_or_harmless(tmp_path: Path, damage: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for place, value in damage:
        data[place] = value
    with contextlib.suppress(BadModelError):
        convert_bytes(bytes(data), tmp_path)


def test_every_bit_of_the_file_may_flip(tmp_path: Path) -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    for place in range(len(GOOD)):
        data = bytearray(GOOD)
        data[place] ^= 1 << place % 8
        with contextlib.suppress(BadModelError):
            convert_bytes(bytes(data), tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 64 * 1024
    assert time.monotonic() - began < 60


def _changed(field: str, index: int, change: Fields) -> bytes:
    whole = model()
    part = whole[2][0][0 if field == "tensors" else 3][index]
    for key, value in change.items():
        part[key] = {**part[key], **value} if isinstance(value, dict) else value
    return flatbuffer(whole)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a TFL3 file"),
        (b"TFL3" * 40, "outside the file|not a TFL3"),
        (flatbuffer(model(), b"TFL2"), "not a TFL3 file"),
        (_changed("operators", 1, {4: {1: ("i", 0)}}), "stride"),
        (_changed("operators", 1, {4: {2: ("i", -1)}}), "stride"),
        (_changed("operators", 1, {4: {4: ("i", 0)}}), "dilation"),
        (_changed("operators", 1, {4: {0: ("B", 7)}}), "not a TensorFlow Lite model"),
        (_changed("operators", 2, {4: {3: ("i", 0)}}), "window"),
        (_changed("operators", 2, {4: {1: ("i", 0)}}), "stride"),
        (_changed("operators", 1, {1: _ints(0, 2, -1)}), "tensor -1"),
        (_changed("operators", 1, {2: _ints(0)}), "made twice"),
        (_changed("operators", 2, {1: _ints(*[4] * 1000)}), "1000 inputs"),
        (_changed("operators", 3, {0: ("I", 99)}), "not a TensorFlow Lite model"),
        (_changed("tensors", 4, {0: _ints(*[1] * 5000)}), "5000 dimensions"),
        (_changed("tensors", 4, {0: _ints(1, -6, 6, 4)}), "negative|-6"),
        (_changed("tensors", 1, {0: _ints(4, 3, 3, 1 << 30)}), "reshape"),
        (_changed("tensors", 1, {2: ("I", 99)}), "not a TensorFlow Lite model"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(BadModelError, match=message) as raised:
        convert_bytes(data, tmp_path)
    assert len(str(raised.value).splitlines()) == 1


def test_one_buffer_named_a_thousand_times_is_not_copied_a_thousand_times(tmp_path: Path) -> None:
    whole = model()
    whole[4].append({0: np.zeros(2 << 20, np.uint8)})
    tensors, operators = whole[2][0][0], []
    for _ in range(1000):
        kernel, result = len(tensors), len(tensors) + 1
        tensors += [_tensor((4, 1 << 9, 1 << 9, 1), 3, 1), _tensor((1, 6, 6, 4))]
        operators.append(_operator(1, (0, kernel, 3), result, dict(_STRIDES)))
    whole[2][0][3] = operators
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadModelError, match="more weights"):
        convert_bytes(flatbuffer(whole), tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 256 * 1024


def test_parts_are_joined_in_the_order_of_their_names(tmp_path: Path) -> None:
    parts = {}
    for name, data in (("b", b"second"), ("a", b"first "), ("c", b"")):
        parts[name] = tmp_path / name
        parts[name].write_bytes(data)
    join(parts, tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == b"first second"
    parts["d"] = tmp_path / "missing"
    with pytest.raises(OSError):
        join(parts, tmp_path / "whole")
