"""VisemeNet for other runtimes: ``python -m edgevid.train.viseme_net.export OUT.onnx [--float]``.

An ONNX graph from the shipped weights: ``rows`` float32 [1, bands, n] of log-mel to ``params`` float32
[1, params, steps]. Quantised, every tensor between layers is int8 between QuantizeLinear and
DequantizeLinear, symmetric, weights per channel (S8S8, as onnxruntime and TensorRT take it). Activations have
scale 1: a layer's scales carry all of it. With ``--float`` the same layers compute on the same numbers in
float32, unrounded.
"""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.train.viseme_net.weights_file import VisemeFile, read

OPSET = 17


def shipped() -> bytes:
    """The weights file in the package."""
    return resources.files("edgevid.lipsync").joinpath("weights", "viseme_net.bin").read_bytes()


class _Graph:
    """Nodes and constants in the making."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: npt.ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output


def onnx_model(file: VisemeFile, *, quantized: bool = True) -> bytes:
    """The graph as a file's bytes."""
    from onnx import TensorProto, checker, helper

    graph = _Graph()
    value = graph.add("Sub", "rows", graph.constant(file.mel_mean[:, None]))
    value = graph.add("Mul", value, graph.constant(file.mel_scale[:, None]))
    if quantized:
        one, zero = graph.constant(np.float32(1)), graph.constant(np.int8(0), np.int8)
    for layer in file.layers:
        scales = layer.scales
        if quantized:
            value = graph.add("QuantizeLinear", value, one, zero)
            value = graph.add("DequantizeLinear", value, one, zero)
            scale = graph.constant(scales)
            no_shift = graph.constant(np.zeros(len(scales)), np.int8)
            codes = graph.constant(layer.weights, np.int8)
            weights = graph.add("DequantizeLinear", codes, scale, no_shift, axis=0)
            no_bias = graph.constant(np.zeros(len(scales)), np.int32)
            bias = graph.add("DequantizeLinear", graph.constant(layer.bias, np.int32), scale, no_bias, axis=0)
        else:
            weights = graph.constant(layer.weights * scales[:, None, None])
            bias = graph.constant(layer.bias * scales)
        value = graph.add("Conv", value, weights, bias, strides=[layer.stride], dilations=[layer.dilation])
        if layer.relu:
            value = graph.add("Relu", value)
    if quantized:
        value = graph.add("QuantizeLinear", value, one, zero)
        value = graph.add("DequantizeLinear", value, one, zero)
    value = graph.add("Mul", value, graph.constant(file.param_scale[:, None]))
    graph.add("Add", value, graph.constant(file.param_offset[:, None]), name="params")
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [1, len(file.mel_mean), "n"])
    params = helper.make_tensor_value_info("params", TensorProto.FLOAT, [1, len(file.param_scale), "steps"])
    body = helper.make_graph(graph.nodes, "viseme_net", [rows], [params], graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--float", action="store_true", help="float32 instead of int8")
    args = parser.parse_args()
    args.out.write_bytes(onnx_model(read(shipped()), quantized=not args.float))


if __name__ == "__main__":
    main()
