"""One value of a TensorFlow.js graph replaced by another: it is refused as such, or it still converts."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevid.core.errors import BadModelError
from edgevid.models.convert.tfjs import convert


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CONV: dict[str, Any] = {
    "strides": {"list": {"i": ["1", "1", "1", "1"]}},
    "dilations": {"list": {"i": ["1", "1", "1", "1"]}},
    "padding": {"s": b64("SAME")},
    "fused_ops": {"list": {"s": [b64("BiasAdd"), b64("Relu")]}},
}
HALF = {"dtype": "float16", "original_dtype": "float32"}
IMAGE = {"shape": {"shape": {"dim": [{"size": size} for size in ("1", "6", "6", "3")]}}}
GRAPH: dict[str, Any] = {
    "modelTopology": {
        "node": [
            {"name": "image", "op": "Placeholder", "attr": IMAGE},
            {"name": "w", "op": "Const"},
            {"name": "b", "op": "Const"},
            {"name": "axis", "op": "Const"},
            {"name": "c", "op": "_FusedConv2D", "input": ["image", "w", "b"], "attr": CONV},
            {"name": "s", "op": "Sigmoid", "input": ["c"]},
            {"name": "y", "op": "ConcatV2", "input": ["c", "s", "axis"]},
        ]
    },
    "weightsManifest": [
        {
            "weights": [
                {"name": "w", "shape": [3, 3, 3, 4], "dtype": "float32", "quantization": HALF},
                {"name": "b", "shape": [4], "dtype": "float32"},
                {"name": "axis", "shape": [], "dtype": "int32"},
            ]
        }
    ],
}
WEIGHTS = np.ones(108, "<f2").tobytes() + np.ones(4, "<f4").tobytes() + np.int32(3).tobytes()


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside."""
    keys = range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
    return [at, *(deeper for key in keys for deeper in places(value[key], (*at, key)))]


def replaced(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    graph = copy.deepcopy(GRAPH)
    holder: Any = graph
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    return graph


def convert_graph(graph: Any, folder: Path) -> bytes:
    (folder / "g.json").write_text(json.dumps(graph))
    (folder / "g.bin").write_bytes(WEIGHTS)
    return convert(folder / "g.json", folder / "g.bin", "image", {"y": "result"})


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=4),
    st.sampled_from(["image", "y", "w", "c", "SAME", [], {}, [-1], [2**40, 2**40], ["1", "0", "0", "1"]]),
)  # fmt: skip


def test_the_graph_is_good_before_the_damage(tmp_path: Path) -> None:
    assert convert_graph(GRAPH, tmp_path) == convert_graph(GRAPH, tmp_path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.sampled_from(places(GRAPH)[1:]), value=JUNK)
def test_damage_is_refused_or_harmless(tmp_path: Path, place: tuple[Any, ...], value: Any) -> None:
    with contextlib.suppress(BadModelError):
        convert_graph(replaced(place, value), tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("modelTopology", "node", 5, "op"), "MaxPool", r"operator MaxPool \(s\) is not covered"),
        (("modelTopology", "node", 5, "op"), "Mean", "not a TensorFlow.js graph"),
        (("modelTopology", "node", 4, "attr", "fused_ops", "list", "s", 1), b64("Elu"), "activation"),
        (("modelTopology", "node", 4, "attr", "padding", "s"), b64("EXPLICIT"), "not a TensorFlow.js graph"),
        (("modelTopology", "node", 4, "op"), "DepthwiseConv2dNative", "depthwise multiplier 4"),
        (("weightsManifest", 0, "weights", 0, "quantization", "dtype"), "uint8", "stored as uint8"),
        (("weightsManifest", 0, "weights", 1, "dtype"), "a", "not covered"),
        (("weightsManifest", 0, "weights", 1, "shape"), [4, 2**70], "shorter"),
        (("weightsManifest", 0, "weights", 1, "shape"), [3], "has 236 bytes, the graph needs 232"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, place: tuple[Any, ...], value: Any, message: str) -> None:
    with pytest.raises(BadModelError, match=message):
        convert_graph(replaced(place, value), tmp_path)
