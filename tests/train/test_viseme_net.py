"""VisemeNet's training in small: export equal within one step, a net that learns and survives int8."""

from __future__ import annotations

import numpy as np
import pytest

from edgevid.lipsync.mouth_features import AHEAD_ROWS
from edgevid.lipsync.nouns import Floats
from edgevid.train.viseme_net.export import onnx_model, shipped
from edgevid.train.viseme_net.weights_file import VisemeFile, read
from tests.lipsync.small_viseme_net import small_net


def run_onnx(model: bytes, rows: Floats) -> Floats:
    """[steps, params] by onnxruntime."""
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    (params,) = session.run(None, {"rows": np.ascontiguousarray(rows.T[None])})
    return np.asarray(params[0].T)


@pytest.mark.parametrize("file", [small_net(), read(shipped())], ids=["small", "shipped"])
def test_the_qdq_export_is_equal_within_one_step(file: VisemeFile) -> None:
    pytest.importorskip("onnx")
    noise = np.random.default_rng(0).normal(0, 30, (300, len(file.mel_mean)))
    rows = (noise / file.mel_scale + file.mel_mean).astype(np.float32)
    want = file.run(rows).astype(np.float32)
    got = (run_onnx(onnx_model(file), rows) - file.param_offset) / file.param_scale
    assert np.abs(got - want).max() <= 1.01
    assert (np.abs(got - want) < 0.01).mean() > 0.98
    exact = run_onnx(onnx_model(file, quantized=False), rows)
    exact = (exact - file.param_offset) / file.param_scale
    inside = np.abs(want) < 127
    assert np.corrcoef(exact[inside], want[inside])[0, 1] > 0.95


def test_a_net_learns_and_keeps_what_it_learnt_in_int8() -> None:
    torch = pytest.importorskip("torch")
    from edgevid.train.viseme_net.material import Example
    from edgevid.train.viseme_net.network import ROWS_BEFORE, VisemeNet
    from edgevid.train.viseme_net.quantize import quantize
    from edgevid.train.viseme_net.train import Crops, learn, norms_of

    rng = np.random.default_rng(0)

    def example() -> Example:
        """A mouth that opens with the level, which wanders."""
        steps = 200
        turns = rng.uniform(-6, 2, steps // 10 + 1)
        level = np.interp(np.arange(2 * steps), np.arange(0, 2 * steps + 20, 20), turns)
        rows = np.full((ROWS_BEFORE + AHEAD_ROWS + 2 * (steps - 1), 64), -6.9, np.float32)
        heard = np.resize(level, len(rows) - ROWS_BEFORE)
        rows[ROWS_BEFORE:] = heard[:, None]
        curve = np.repeat((level[::2, None] + 6) / 40, 6, axis=1)
        return Example(rows + rng.normal(0, 0.2, rows.shape).astype(np.float32), curve.astype(np.float32))

    examples = [example() for _ in range(12)]
    norms = norms_of(examples)
    crops = Crops(examples[:10], norms, rng)
    net = learn(crops, crops, steps=120, batch=8)
    assert isinstance(net, VisemeNet)
    tables = {
        "basis_mean": np.zeros((40, 2), np.float32),
        "basis_directions": np.zeros((6, 40, 2), np.float32),
        "targets": np.zeros((15, 6), np.float32),
        "calibration": np.concatenate([e.rows for e in examples[:10]]),
    }
    file = quantize(net, {**tables, **norms})
    for unseen in examples[10:]:
        x = (unseen.rows - norms["mel_mean"]) / norms["mel_std"]
        with torch.no_grad():
            out = net(torch.from_numpy(x.T[None].copy()))[0].numpy().T
        exact = out * norms["param_std"] + norms["param_mean"]
        coded = file.params(file.run(unseen.rows))
        true = np.corrcoef(exact[:, 0], unseen.curve[:, 0])[0, 1]
        assert true > 0.7
        assert np.corrcoef(coded[:, 0], unseen.curve[:, 0])[0, 1] > true - 0.01
