"""A network of Wav2Lip's shapes with random weights: it has learnt nothing and draws noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

Shape = tuple[Any, ...]


def random_wav2lip(
    path: Path,
    *,
    mel: Shape = ("B", 1, 80, 16),
    face: Shape = ("B", 6, 96, 96),
    mouth: Shape = ("B", 3, 96, 96),
) -> Path:
    """Sigmoid of a 1x1 convolution of the face plus the mean of the mel; the weights come from a seed."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    drawn = np.random.default_rng(7).normal(size=(mouth[1], face[1], 1, 1)).astype(np.float32)
    axes = numpy_helper.from_array(np.array([1, 2, 3]), "axes")
    nodes = [
        helper.make_node("Conv", ["face", "weights"], ["seen"]),
        helper.make_node("ReduceMean", ["mel", "axes"], ["heard"], keepdims=1),
        helper.make_node("Add", ["seen", "heard"], ["both"]),
        helper.make_node("Sigmoid", ["both"], ["mouth"]),
    ]
    ports = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("mel", mel), ("face", face), ("mouth", mouth))
    }
    graph = helper.make_graph(
        nodes,
        "random",
        [ports["mel"], ports["face"]],
        [ports["mouth"]],
        [numpy_helper.from_array(drawn, "weights"), axes],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path
