"""The TensorFlow.js converter: each operator by its definition, the real graph by TensorFlow.js."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.convert.tfjs import convert
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore

Floats = npt.NDArray[np.float32]
RNG = np.random.default_rng(0)


class Graph:
    """A TensorFlow.js graph model under construction, one image [1, 6, 8, 3] in."""

    def __init__(self) -> None:
        shape = {"dim": [{"size": str(n)} for n in (1, 6, 8, 3)]}
        self.nodes: list[dict[str, Any]] = [
            {"name": "image", "op": "Placeholder", "attr": {"shape": {"shape": shape}}}
        ]
        self.specs: list[dict[str, Any]] = []
        self.data = b""

    def const(self, name: str, value: npt.NDArray[Any]) -> str:
        self.nodes.append({"name": name, "op": "Const"})
        spec: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
        if value.dtype == np.float16:
            spec |= {"dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}}
        self.specs.append(spec)
        self.data += value.tobytes()
        return name

    def node(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        self.nodes.append({"name": name, "op": op, "input": inputs, "attr": attributes})
        return name

    def save(self, folder: Path) -> tuple[Path, Path]:
        described = {"modelTopology": {"node": self.nodes}, "weightsManifest": [{"weights": self.specs}]}
        (folder / "graph.json").write_text(json.dumps(described))
        (folder / "graph.bin").write_bytes(self.data)
        return folder / "graph.json", folder / "graph.bin"


def conv_attributes(stride: int, padding: str, *fused: str) -> dict[str, Any]:
    return {
        "strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}},
        "dilations": {"list": {"i": ["1", "1", "1", "1"]}},
        "padding": {"s": base64.b64encode(padding.encode()).decode()},
        "fused_ops": {"list": {"s": [base64.b64encode(op.encode()).decode() for op in fused]}},
    }


def run(graph: Graph, output: str, image: Floats, folder: Path) -> Floats:
    model = folder / "model.onnx"
    model.write_bytes(convert(*graph.save(folder), "image", {output: "out"}))
    (out,) = onnx_session(model).run({"images": image})
    return np.asarray(out, np.float32)


def convolve(x: Floats, kernel: Floats, stride: int, padding: str, *, depthwise: bool = False) -> Floats:
    """TensorFlow's definition: NHWC, kernel HWIO (HWC1 when depthwise), SAME puts the odd pixel last."""
    kh, kw = kernel.shape[:2]
    if padding == "SAME":
        out = [-(-n // stride) for n in x.shape[1:3]]
        pads = [max((o - 1) * stride + k - n, 0) for o, k, n in zip(out, (kh, kw), x.shape[1:3])]
        x = np.pad(x, ((0, 0), *((p // 2, p - p // 2) for p in pads), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), (1, 2))[:, ::stride, ::stride]
    pattern = "nyxchw,hwc->nyxc" if depthwise else "nyxchw,hwco->nyxo"
    return np.asarray(np.einsum(pattern, windows, kernel[..., 0] if depthwise else kernel), np.float32)


IMAGE = RNG.normal(size=(1, 6, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_convolution(stride: int, padding: str, size: int, tmp_path: Path) -> None:
    kernel = RNG.normal(size=(size, size, 3, 4)).astype(np.float32)
    graph = Graph()
    graph.node("Conv2D", "y", ["image", graph.const("k", kernel)], **conv_attributes(stride, padding))
    expected = convolve(IMAGE, kernel, stride, padding)
    np.testing.assert_allclose(run(graph, "y", IMAGE, tmp_path), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("fused", "low", "high"), [((), -np.inf, np.inf), (("Relu",), 0.0, np.inf), (("Relu6",), 0.0, 6.0)]
)
def test_fused_convolution_with_half_weights(
    fused: tuple[str, ...], low: float, high: float, tmp_path: Path
) -> None:
    kernel, bias = RNG.normal(size=(3, 3, 3, 4)), RNG.normal(size=4) * 4
    graph = Graph()
    inputs = ["image", graph.const("k", kernel.astype(np.float16)), graph.const("b", bias.astype(np.float16))]
    graph.node("_FusedConv2D", "y", inputs, **conv_attributes(1, "SAME", "BiasAdd", *fused))
    plain = convolve(IMAGE, kernel.astype(np.float16).astype(np.float32), 1, "SAME") + bias.astype(np.float16)
    np.testing.assert_allclose(run(graph, "y", IMAGE, tmp_path), np.clip(plain, low, high), atol=1e-4)


def test_depthwise_convolution(tmp_path: Path) -> None:
    kernel = RNG.normal(size=(3, 3, 3, 1)).astype(np.float32)
    graph = Graph()
    graph.node(
        "DepthwiseConv2dNative", "y", ["image", graph.const("k", kernel)], **conv_attributes(2, "SAME")
    )
    expected = convolve(IMAGE, kernel, 2, "SAME", depthwise=True)
    np.testing.assert_allclose(run(graph, "y", IMAGE, tmp_path), expected, atol=1e-5)


def test_pointwise_operators(tmp_path: Path) -> None:
    """x * relu6(x + 3) / 6 is hard-swish; then a scale per channel, and all that is joined."""
    graph = Graph()
    scale = RNG.normal(size=3).astype(np.float32)
    three, sixth = (graph.const(n, np.float32(v)) for n, v in (("three", 3.0), ("sixth", 1 / 6)))
    graph.node("Relu6", "clipped", [graph.node("Add", "shifted", ["image", three])])
    graph.node("Mul", "swish", [graph.node("Mul", "scaled", ["image", sixth]), "clipped"])
    graph.node("Mul", "channels", ["swish", graph.const("scale", scale)])
    graph.node("Sub", "difference", ["channels", graph.node("Relu", "positive", ["image"])])
    axis = graph.const("axis", np.int32(3))
    graph.node("ConcatV2", "joined", ["difference", graph.node("Sigmoid", "s", ["image"]), axis])
    graph.node("Identity", "y", ["joined"])
    difference = IMAGE * np.clip(IMAGE + 3, 0, 6) / 6 * scale - np.maximum(IMAGE, 0)
    expected = np.concatenate([difference, 1 / (1 + np.exp(-IMAGE))], axis=3)
    np.testing.assert_allclose(run(graph, "y", IMAGE, tmp_path), expected, atol=1e-6)


def test_mean_keeps_its_place(tmp_path: Path) -> None:
    graph = Graph()
    graph.node("Mean", "y", ["image", graph.const("axes", np.array([1, 2], np.int32))], keep_dims={"b": True})
    expected = IMAGE.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(run(graph, "y", IMAGE, tmp_path), expected, atol=1e-6)


def test_resize_bilinear_as_tensorflow_1_did(tmp_path: Path) -> None:
    """Sampled at output index x input size / output size, without half-pixel centres."""
    graph = Graph()
    size = graph.const("size", np.array([12, 16], np.int32))
    graph.node(
        "ResizeBilinear", "y", ["image", size], align_corners={"b": False}, half_pixel_centers={"b": False}
    )
    rows = np.repeat(IMAGE, 2, axis=1)
    rows[:, 1:-1:2] = (IMAGE[:, :-1] + IMAGE[:, 1:]) / 2
    expected = np.repeat(rows, 2, axis=2)
    expected[:, :, 1:-1:2] = (rows[:, :, :-1] + rows[:, :, 1:]) / 2
    np.testing.assert_allclose(run(graph, "y", IMAGE, tmp_path), expected, atol=1e-6)


def small_graph() -> Graph:
    graph = Graph()
    kernel = graph.const("k", np.ones((1, 1, 3, 2), np.float32))
    graph.node("Conv2D", "y", ["image", kernel], **conv_attributes(1, "SAME"))
    return graph


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    files = small_graph().save(tmp_path)
    assert convert(*files, "image", {"y": "out"}) == convert(*files, "image", {"y": "out"})


def unknown_operator(graph: Graph) -> None:
    graph.nodes[-1]["op"] = "FusedBatchNormV9"


def short_weights(graph: Graph) -> None:
    graph.data = graph.data[:-1]


def long_weights(graph: Graph) -> None:
    graph.data += b"\0"


def endless_shape(graph: Graph) -> None:
    graph.specs[0]["shape"] = [1, 1, 3, 2**40]


def negative_shape(graph: Graph) -> None:
    graph.specs[0]["shape"] = [1, 1, -3, -2]


def a_circle(graph: Graph) -> None:
    graph.nodes[-1]["op"], graph.nodes[-1]["input"] = "Relu", ["y"]


def missing_input(graph: Graph) -> None:
    graph.nodes[-1]["input"][0] = "nowhere"


def strange_dtype(graph: Graph) -> None:
    graph.specs[0]["dtype"] = "object"


def strange_padding(graph: Graph) -> None:
    graph.nodes[-1]["attr"]["padding"]["s"] = "?"


@pytest.mark.parametrize(
    "harm",
    [
        *(unknown_operator, short_weights, long_weights, endless_shape, negative_shape),
        *(a_circle, missing_input, strange_dtype, strange_padding),
    ],
)
def test_what_does_not_fit_is_refused(harm: Any, tmp_path: Path) -> None:
    graph = small_graph()
    harm(graph)
    with pytest.raises(BadModelError):
        convert(*graph.save(tmp_path), "image", {"y": "out"})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"modelTopology": 3}', "\x00\xff"])
def test_what_is_no_graph_is_refused(text: str, tmp_path: Path) -> None:
    files = small_graph().save(tmp_path)
    files[0].write_text(text)
    with pytest.raises(BadModelError):
        convert(*files, "image", {"y": "out"})


@pytest.mark.packs
def test_centernet_computes_what_tensorflow_js_computes(store: ModelStore) -> None:
    """Recorded by fixtures/centernet_tfjs.js on an image made by a formula."""
    recorded = json.loads((Path(__file__).parent / "fixtures/centernet_tfjs.json").read_text())
    y, x, c = np.meshgrid(np.arange(512), np.arange(512), np.arange(3), indexing="ij")
    image = ((x * (c + 1) + y * (3 - c) + ((x >> 5) ^ (y >> 5)) * 37) % 256).astype(np.float32)[None]
    session = onnx_session(store.where("centernet-coco")["model.onnx"])
    heat, sides = session.run({"images": image}, ["keypoints", "wh"])
    for name, values, bound in (("keypoints", heat, 1e-5), ("wh", sides, 0.01)):
        kept = values.ravel()[:: recorded["steps"][name]]
        np.testing.assert_allclose(kept, recorded[name], atol=bound)
