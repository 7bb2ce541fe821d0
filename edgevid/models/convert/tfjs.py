"""TensorFlow.js graph models (frozen graph as JSON + weights) -> ONNX, without TensorFlow.

Covers the operators of convolutional detectors; another operator is refused by name. NHWC becomes NCHW
inside; the given outputs are transposed back, so shapes at the boundary stay TensorFlow's. Weights keep the
float16 they are stored in and are cast when the session is made. The same input always gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError
from edgevid.models.convert.graph import GraphWriter

_ELEMENTWISE = {"Mul": "Mul", "Add": "Add", "Sub": "Sub", "Relu": "Relu", "Sigmoid": "Sigmoid"}


def centernet(inputs: Mapping[str, Path], output: Path) -> None:
    """The converter of the pack centernet-coco: heat map ``keypoints`` [1, 128, 128, 80] and box sides ``wh``
    [1, 128, 128, 4], from ``images`` [1, 512, 512, 3] with values 0-255."""
    outputs = {"tower_0/keypoints": "keypoints", "tower_0/wh": "wh"}
    model = convert(inputs["centernet.json"], inputs["centernet.bin"], "tower_0/images", outputs)
    output.write_bytes(model)


def convert(graph_json: Path, weights_bin: Path, image: str, outputs: Mapping[str, str]) -> bytes:
    """Convert the part of the graph that ``outputs`` (graph name -> ONNX name) need, from placeholder
    ``image``.

    Raises:
        BadModelError: the files do not belong together, or an operator is not covered.
    """
    try:
        described = json.loads(graph_json.read_bytes())
        nodes = {node["name"]: node for node in described["modelTopology"]["node"]}
        weights = _read_weights(described["weightsManifest"], weights_bin.read_bytes())
        return _Converter(nodes, weights, image).run(outputs)
    except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise BadModelError(
            f"{graph_json.name} is not a TensorFlow.js graph this converter reads: {error!r}"
        ) from error


def _read_weights(manifest: Sequence[Mapping[str, Any]], data: bytes) -> dict[str, npt.NDArray[Any]]:
    weights: dict[str, npt.NDArray[Any]] = {}
    offset = 0
    for group in manifest:
        for spec in group["weights"]:
            kind = spec.get("quantization", {}).get("dtype", spec["dtype"])
            if kind not in ("float16", "float32", "int32"):
                raise BadModelError(f"weight {spec['name']} is stored as {kind}, which is not covered")
            stored = np.dtype(kind).newbyteorder("<")
            count = math.prod(spec["shape"])
            if count < 0 or offset + count * stored.itemsize > len(data):
                raise BadModelError("the weights file is shorter than the graph says")
            values = np.frombuffer(data, stored, count, offset)
            weights[spec["name"]] = values.reshape(spec["shape"])
            offset += count * stored.itemsize
    if offset != len(data):
        raise BadModelError(f"the weights file has {len(data)} bytes, the graph needs {offset}")
    return weights


class _Converter:
    """Walks from the outputs to the image; every tensor of rank 4 is NCHW."""

    def __init__(self, nodes: Mapping[str, Any], weights: Mapping[str, npt.NDArray[Any]], image: str) -> None:
        self._nodes = nodes
        self._weights = weights
        self._image = image
        self._graph = GraphWriter("tfjs")
        self._made: dict[str, str] = {}

    def run(self, outputs: Mapping[str, str]) -> bytes:
        shape = [int(dim["size"]) for dim in self._nodes[self._image]["attr"]["shape"]["shape"]["dim"]]
        images = self._graph.input("images", np.float32, list(shape))
        self._made[self._image] = self._graph.node("Transpose", [images], "planes", perm=[0, 3, 1, 2])
        for name, label in outputs.items():
            self._graph.node("Transpose", [self._value(name)], label, perm=[0, 2, 3, 1])
            self._graph.output(label, np.float32, [shape[0], f"{label}_h", f"{label}_w", f"{label}_c"])
        return self._graph.to_bytes()

    def _value(self, name: str) -> str:
        """Name of the ONNX value for a graph node, made on first use."""
        if name not in self._made:
            node = self._nodes[name]
            if node["op"] == "Const":
                self._made[name] = self._constant(name)
            else:
                self._made[name] = self._operator(node)
        return self._made[name]

    def _constant(self, name: str) -> str:
        """A scalar or a vector over channels, shaped to broadcast over NCHW."""
        value = self._weights[name]
        return self._weight(name, value.reshape(-1, 1, 1) if value.ndim == 1 else value)

    def _weight(self, name: str, value: npt.NDArray[Any]) -> str:
        if value.dtype != np.float16:
            return self._graph.weight(name, value.astype(np.float32))
        self._graph.weight(f"{name}:f16", np.ascontiguousarray(value))
        return self._graph.node("Cast", [f"{name}:f16"], name, to=1)

    def _operator(self, node: Mapping[str, Any]) -> str:
        op, name, inputs = node["op"], node["name"], node.get("input", [])
        if op in ("_FusedConv2D", "Conv2D", "FusedDepthwiseConv2dNative", "DepthwiseConv2dNative"):
            return self._convolution(node)
        if op in _ELEMENTWISE:
            return self._graph.node(_ELEMENTWISE[op], [self._value(i) for i in inputs], name)
        if op == "Identity":
            return self._value(inputs[0])
        if op == "Relu6":
            return self._relu6(self._value(inputs[0]), name)
        if op == "Mean" and sorted(self._weights[inputs[1]].tolist()) == [1, 2]:
            return self._graph.node("ReduceMean", [self._value(inputs[0])], name, axes=[2, 3], keepdims=1)
        if op == "ConcatV2" and int(self._weights[inputs[-1]]) in (3, -1):
            return self._graph.node("Concat", [self._value(i) for i in inputs[:-1]], name, axis=1)
        if op == "ResizeBilinear":
            return self._resize(node)
        raise BadModelError(f"operator {op} ({name}) is not covered by the converter")

    def _convolution(self, node: Mapping[str, Any]) -> str:
        attributes, name = node["attr"], node["name"]
        x, kernel, *rest = node["input"]
        weight = self._weights[kernel]
        depthwise = "Depthwise" in node["op"]
        if depthwise and weight.shape[3] != 1:
            raise BadModelError(f"depthwise multiplier {weight.shape[3]} ({name}) is not covered")
        planes = weight.transpose(2, 3, 0, 1) if depthwise else weight.transpose(3, 2, 0, 1)
        inputs = [self._value(x), self._weight(kernel, planes)]
        fused = [_text(value) for value in attributes.get("fused_ops", {}).get("list", {}).get("s", [])]
        if "BiasAdd" in fused:
            inputs.append(self._weight(f"{name}:bias", self._weights[rest[0]]))
        activation = [op for op in fused if op != "BiasAdd"]
        y = self._graph.node(
            "Conv",
            inputs,
            f"{name}:conv" if activation else name,
            kernel_shape=list(weight.shape[:2]),
            strides=[int(s) for s in attributes["strides"]["list"]["i"][1:3]],
            dilations=[int(d) for d in attributes["dilations"]["list"]["i"][1:3]],
            auto_pad={"SAME": "SAME_UPPER", "VALID": "VALID"}[_text(attributes["padding"]["s"])],
            group=weight.shape[2] if depthwise else 1,
        )
        if not activation:
            return y
        if activation == ["Relu6"]:
            return self._relu6(y, name)
        if activation == ["Relu"]:
            return self._graph.node("Relu", [y], name)
        raise BadModelError(f"activation {activation} ({name}) is not covered")

    def _relu6(self, x: str, name: str) -> str:
        low = self._graph.weight(f"{name}:0", 0.0, np.float32)
        high = self._graph.weight(f"{name}:6", 6.0, np.float32)
        return self._graph.node("Clip", [x, low, high], name)

    def _resize(self, node: Mapping[str, Any]) -> str:
        attributes = node["attr"]
        if attributes["align_corners"]["b"] or attributes["half_pixel_centers"]["b"]:
            raise BadModelError(f"resize mode of {node['name']} is not covered")
        x, target = node["input"]
        height, width = (int(v) for v in self._weights[target])
        shape = self._graph.node("Shape", [self._value(x)], f"{node['name']}:shape", end=2)
        size = self._graph.weight(f"{node['name']}:hw", np.array([height, width], np.int64))
        sizes = self._graph.node("Concat", [shape, size], f"{node['name']}:sizes", axis=0)
        return self._graph.node(
            "Resize",
            [self._value(x), "", "", sizes],
            node["name"],
            mode="linear",
            coordinate_transformation_mode="asymmetric",
        )


def _text(value: str) -> str:
    return base64.b64decode(value).decode()
