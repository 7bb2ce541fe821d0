"""TensorFlow Lite models -> ONNX, without TensorFlow.

Covers the operators of float convolutional networks; another operator is refused by its number. NHWC becomes
NCHW inside, tensors of other ranks and the outputs keep TensorFlow's order. Weights stay as stored (float16
is cast when the session is made). The same input always gives the same bytes. Field and operator numbers:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError
from edgevid.models.convert.flatbuffer import Table, root
from edgevid.models.convert.graph import GraphWriter

_ADD, _CONCATENATION, _CONV, _DEPTHWISE, _DEQUANTIZE = 0, 2, 3, 4, 6
_MAX_POOL, _RELU, _RESHAPE, _PAD, _PRELU = 17, 19, 22, 34, 54
_PADDING: Final = ("SAME_UPPER", "VALID")
_NO_ACTIVATION, _RELU_ACTIVATION = 0, 1
_MAX_RANK, _MAX_INPUTS = 8, 64
_MAX_COPIES = 4
"""Bytes of weights written for each byte of the file: tensors may share a buffer, but not all of them."""
_DTYPES: Final[Mapping[int, type[np.generic]]] = {0: np.float32, 1: np.float16, 2: np.int32}


def blazeface(inputs: Mapping[str, Path], output: Path) -> None:
    """The converter of the pack blazeface: ``boxes`` [1, 896, 16] and ``scores`` [1, 896, 1] (before the
    sigmoid) from ``images`` [1, 128, 128, 3] with values -1 to 1."""
    output.write_bytes(convert(inputs["blazeface.tflite"], ("boxes", "scores")))


def face_mesh(inputs: Mapping[str, Path], output: Path) -> None:
    """The converter of the pack face-mesh: ``points`` [1, 1, 1, 1404] (468 of x, y, z in input pixels) and
    ``presence`` [1, 1, 1, 1] (before the sigmoid) from ``images`` [1, 192, 192, 3] with values 0 to 1."""
    output.write_bytes(convert(inputs["face_mesh.tflite"], ("points", "presence")))


def convert(model: Path, outputs: Sequence[str]) -> bytes:
    """The ONNX file of a model with one input, named ``images``; its outputs get the given names.

    Raises:
        BadModelError: not a TensorFlow Lite file, or an operator is not covered.
    """
    data = model.read_bytes()
    try:
        return _Converter(root(data, b"TFL3"), most_bytes=_MAX_COPIES * len(data)).run(outputs)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise BadModelError(
            f"{model.name} is not a TensorFlow Lite model this converter reads: {error!r}"
        ) from error


class _Tensor:
    """A tensor of the model: its name here, shape in TensorFlow's order, and value where it is constant."""

    def __init__(self, index: int, table: Table, buffers: Sequence[Table]) -> None:
        self.name = f"t{index}"
        sides = table.array(0, np.int32)
        if sides.size > _MAX_RANK:
            raise ValueError(f"{self.name} has {sides.size} dimensions")
        self.shape = tuple(int(side) for side in sides)
        if any(side < 0 for side in self.shape):
            raise ValueError(f"{self.name} has a negative side: {list(self.shape)}")
        self.value: npt.NDArray[Any] | None = None
        data = buffers[table.scalar(2, "I")].array(0, np.uint8)
        if data.size:
            kind = np.dtype(_DTYPES[table.scalar(1, "B")]).newbyteorder("<")
            self.value = data.view(kind).reshape(self.shape)

    def constant(self) -> npt.NDArray[Any]:
        if self.value is None:
            raise ValueError(f"{self.name} is not a constant")
        return self.value


class _Converter:
    """Writes the operators in their order, at most ``most_bytes`` of weights; a value of rank 4 is NCHW."""

    def __init__(self, model: Table, *, most_bytes: int) -> None:
        (subgraph,) = model.tables(2)
        buffers = model.tables(4)
        # The old field holds numbers up to 127, the new one any; files of either age use the larger.
        self._codes = [max(code.scalar(0, "b"), code.scalar(3, "i")) for code in model.tables(1)]
        self._tensors = [_Tensor(i, table, buffers) for i, table in enumerate(subgraph.tables(0))]
        self._subgraph = subgraph
        self._graph = GraphWriter("tflite")
        self._bytes_left = most_bytes
        self._made: set[str] = set()

    def run(self, outputs: Sequence[str]) -> bytes:
        (image,) = self._named(self._subgraph.array(1, np.int32))
        self._made.add(image.name)
        self._graph.input("images", np.float32, list(image.shape))
        self._graph.node("Transpose", ["images"], image.name, perm=[0, 3, 1, 2])
        for operator in self._subgraph.tables(3):
            inputs = self._named(operator.array(1, np.int32))
            (result,) = self._named(operator.array(2, np.int32))
            if result.name in self._made:
                raise ValueError(f"{result.name} is made twice")
            self._made.add(result.name)
            self._operator(self._codes[operator.scalar(0, "I")], operator, inputs, result)
        for tensor, label in zip(self._named(self._subgraph.array(2, np.int32)), outputs, strict=True):
            self._in_tensorflow_order(tensor, label)
            self._graph.output(label, np.float32, list(tensor.shape))
        return self._graph.to_bytes()

    def _named(self, indices: npt.NDArray[np.int32]) -> list[_Tensor]:
        if indices.size > _MAX_INPUTS:
            raise ValueError(f"an operator has {indices.size} inputs")
        if any(not 0 <= index < len(self._tensors) for index in indices):
            raise ValueError(f"there is no tensor {indices.min() if indices.min() < 0 else indices.max()}")
        return [self._tensors[index] for index in indices]

    def _operator(self, code: int, operator: Table, inputs: list[_Tensor], result: _Tensor) -> None:
        names = [tensor.name for tensor in inputs]
        if code == _DEQUANTIZE:
            result.value = inputs[0].constant()
        elif code in (_CONV, _DEPTHWISE):
            self._convolution(code == _DEPTHWISE, operator.table(4), inputs, result)
        elif code == _MAX_POOL:
            self._max_pool(operator.table(4), names, result)
        elif code == _ADD and operator.table(4).scalar(0, "B") == _NO_ACTIVATION:
            self._graph.node("Add", names, result.name)
        elif code == _RELU:
            self._graph.node("Relu", names, result.name)
        elif code == _PRELU:
            slope = self._weight(inputs[1], inputs[1].constant().reshape(-1, 1, 1))
            self._graph.node("PRelu", [names[0], slope], result.name)
        elif code == _PAD:
            sides = inputs[1].constant()[[0, 3, 1, 2]].T.reshape(-1)
            pads = self._graph.weight(f"{result.name}:pads", sides, np.int64)
            self._graph.node("Pad", [names[0], pads], result.name)
        elif code == _RESHAPE:
            shape = self._graph.weight(f"{result.name}:shape", result.shape, np.int64)
            self._graph.node(
                "Reshape", [self._in_tensorflow_order(inputs[0], f"{result.name}:in"), shape], result.name
            )
        elif code == _CONCATENATION and len(result.shape) < 4:
            self._graph.node("Concat", names, result.name, axis=operator.table(4).scalar(0, "i"))
        else:
            raise ValueError(f"operator {code} ({result.name}) is not covered by the converter")

    def _convolution(self, depthwise: bool, options: Table, inputs: list[_Tensor], result: _Tensor) -> None:
        x, kernel, bias = inputs
        multiplier, activation = (options.scalar(3, "i"), options.scalar(4, "B"))
        if not depthwise:
            multiplier, activation = 1, options.scalar(3, "B")
        if multiplier != 1 or activation not in (_NO_ACTIVATION, _RELU_ACTIVATION):
            raise ValueError(f"convolution {result.name} has a multiplier or activation that is not covered")
        weight = kernel.constant().transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        dilations = (6, 5) if depthwise else (5, 4)
        inner = f"{result.name}:conv" if activation else result.name
        self._graph.node(
            "Conv",
            [x.name, self._weight(kernel, weight), self._weight(bias, bias.constant())],
            inner,
            kernel_shape=list(weight.shape[2:]),
            strides=[options.scalar(2, "i"), options.scalar(1, "i")],
            dilations=[options.scalar(field, "i", 1) for field in dilations],
            auto_pad=_PADDING[options.scalar(0, "B")],
            group=weight.shape[0] if depthwise else 1,
        )
        if activation:
            self._graph.node("Relu", [inner], result.name)

    def _max_pool(self, options: Table, names: list[str], result: _Tensor) -> None:
        window = [options.scalar(4, "i"), options.scalar(3, "i")]
        if min(window) < 1:
            raise ValueError(f"the window of {result.name} is {window}")
        self._graph.node(
            "MaxPool",
            names,
            result.name,
            kernel_shape=window,
            strides=[options.scalar(2, "i"), options.scalar(1, "i")],
            auto_pad=_PADDING[options.scalar(0, "B")],
        )

    def _weight(self, tensor: _Tensor, value: npt.NDArray[Any]) -> str:
        self._bytes_left -= value.nbytes
        if self._bytes_left < 0:
            raise ValueError("it names more weights than it holds")
        if value.dtype == np.float32:
            return self._graph.weight(tensor.name, value)
        stored = self._graph.weight(f"{tensor.name}:f16", value)
        return self._graph.node("Cast", [stored], tensor.name, to=1)

    def _in_tensorflow_order(self, tensor: _Tensor, name: str) -> str:
        if len(tensor.shape) != 4:
            return self._graph.node("Identity", [tensor.name], name)
        return self._graph.node("Transpose", [tensor.name], name, perm=[0, 2, 3, 1])
