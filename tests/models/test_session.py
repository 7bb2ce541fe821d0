"""onnxruntime behind the Session interface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgevid.core.errors import BadModelError, MissingPartError
from edgevid.models.hashing import sha256_of
from edgevid.models.session import onnx_session


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = x @ w, z = sum(y): x float32 [n, 64], w fixed."""
    weight = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            helper.make_node("ReduceSum", ["y"], ["z"], keepdims=0),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32]),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, []),
        ],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    path = tmp_path_factory.mktemp("session") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_it_computes_and_says_what_it_takes(model: Path) -> None:
    session = onnx_session(model, threads=2, name="double")
    x = np.random.default_rng(1).standard_normal((5, 64)).astype(np.float32)
    weight = onnx.numpy_helper.to_array(onnx.load(model).graph.initializer[0])
    y, z = session.run({"x": x})
    np.testing.assert_allclose(y, x @ weight, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(z, (x @ weight).sum(), rtol=1e-3)
    (only_z,) = session.run({"x": x}, ["z"])
    assert only_z == z
    info = session.info
    assert (info.name, info.backend, info.threads) == ("double", "onnxruntime", 2)
    assert info.inputs[0].shape == ("n", 64) and info.inputs[0].dtype == np.float32
    assert [port.name for port in info.outputs] == ["y", "z"]


def test_a_network_of_texts_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["words"], ["y"])],
        "g",
        [helper.make_tensor_value_info("words", TensorProto.STRING, [1])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, [1])],
    )
    path = tmp_path / "texts.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    with pytest.raises(BadModelError, match=r"words is a tensor\(string\)"):
        onnx_session(path)


def test_runs_are_equal_to_the_bit(model: Path) -> None:
    x = np.random.default_rng(2).standard_normal((100, 64)).astype(np.float32)
    results = {onnx_session(model, threads=2).run({"x": x})[0].tobytes() for _ in range(3)}
    assert len(results) == 1


@pytest.mark.parametrize(
    "feed",
    [
        {},
        {"y": np.zeros((1, 64), np.float32)},
        {"x": np.zeros((1, 64), np.float64)},
        {"x": np.zeros((1, 63), np.float32)},
        {"x": np.zeros(64, np.float32)},
        {"x": np.zeros((1, 64), np.float32), "more": np.zeros(1, np.float32)},
    ],
)
def test_wrong_inputs_are_a_value_error_of_one_line(model: Path, feed: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"^model\.onnx: [^\n]+$"):
        onnx_session(model).run(feed)


def test_wrong_outputs_too(model: Path) -> None:
    with pytest.raises(ValueError, match="none"):
        onnx_session(model).run({"x": np.zeros((1, 64), np.float32)}, ["none"])


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "flipped"])
def test_what_is_no_model_is_refused_in_one_line(model: Path, tmp_path: Path, kind: str) -> None:
    good = model.read_bytes()
    flipped = bytes(b ^ 0xFF for b in good[:200]) + good[200:]
    bad = {"empty": b"", "text": b"hello", "cut": good[: len(good) // 2], "flipped": flipped}[kind]
    path = tmp_path / "bad.onnx"
    path.write_bytes(bad)
    with pytest.raises(BadModelError, match="cannot load") as caught:
        onnx_session(path)
    assert str(path) in caught.value.message and "\n" not in caught.value.message


def test_every_cut_of_a_model_is_refused(model: Path, tmp_path: Path) -> None:
    good = model.read_bytes()
    path = tmp_path / "bad.onnx"
    for size in range(0, len(good), len(good) // 60):
        path.write_bytes(good[:size])
        with pytest.raises(BadModelError):
            onnx_session(path)


def test_missing_file_wrong_hash_no_threads(model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadModelError, match="no such file"):
        onnx_session(tmp_path / "none.onnx")
    with pytest.raises(BadModelError, match=f"sha256 is {sha256_of(model)}, expected 00"):
        onnx_session(model, sha256="0" * 64)
    onnx_session(model, sha256=sha256_of(model))
    with pytest.raises(ValueError, match="threads is 0"):
        onnx_session(model, threads=0)


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_that_is_not_there_names_the_part(model: Path, device) -> None:
    import onnxruntime

    if len(onnxruntime.get_available_providers()) > 2:
        pytest.skip("this onnxruntime has GPU providers")
    with pytest.raises(MissingPartError, match=f"cannot compute on {device}") as caught:
        onnx_session(model, device=device)
    assert caught.value.fix
