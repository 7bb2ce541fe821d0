"""VisemeNet's speed and size: ours in int8 against onnxruntime on the same layers, in float32 and in int8.

Both get log-mel rows that are ready and give parameters, on one thread, warm; the median of many runs. Live,
each step of 20 ms is a call: onnxruntime, which keeps nothing between calls, is given the 64 rows a step
depends on, as whoever streams through it must.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from edgevid.bench.report import Row
from edgevid.core.errors import MissingPartError
from edgevid.lipsync.mouth_features import AHEAD_ROWS, ROWS_PER_STEP
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.visemes import VisemeNet
from edgevid.train.viseme_net.export import onnx_model, shipped
from edgevid.train.viseme_net.weights_file import VisemeFile, read

_STEPS = 500  # 10 s
_LIVE_RUNS, _WHOLE_RUNS = 2000, 40
_SPEEDUP_GOAL, _STEP_GOAL_MS, _SIZE_GOAL = 2.0, 1.0, 300 * 1024
_STEP = "one step of 20 ms"
_WHOLE = "10 s in one call"


def rows() -> list[Row]:
    """All figures.

    Raises:
        MissingPartError: onnx or onnxruntime is not installed, or the native core is not built.
    """
    file, net, stream, mel = _ready()
    peers = {
        "onnxruntime float32": _session(onnx_model(file, quantized=False)),
        "onnxruntime int8 (QDQ)": _session(onnx_model(file)),
    }
    out = [
        Row(
            "VisemeNet weights",
            len(shipped()),
            "bytes",
            _SIZE_GOAL,
            len(shipped()) <= _SIZE_GOAL,
            "the file in the wheel: network, lip basis, viseme targets",
        ),
        _sound_to_step(net),
    ]
    for what, times in (
        (_STEP, _live(stream, mel, _reach(file), peers)),
        (_WHOLE, _at_once(stream, mel, peers)),
    ):
        out += _compare(what, times)
    return out


def ablation() -> list[Row]:
    """The network without int8, without fused layers, without either, against ours in the same run.

    Ours has no form with layers in passes: onnxruntime with and without its rewriting of the graph says what
    fusion is worth on the same layers.

    Raises:
        MissingPartError: as :func:`rows`.
    """
    file, _, stream, mel = _ready()
    whole, quantized = onnx_model(file, quantized=False), onnx_model(file)
    times = _at_once(
        stream,
        mel,
        {
            "int8, onnxruntime, layers fused": _session(quantized),
            "int8, onnxruntime, each layer in passes": _session(quantized, fused=False),
            "float32, onnxruntime, layers fused": _session(whole),
            "float32, onnxruntime, each layer in passes": _session(whole, fused=False),
        },
    )
    (_, ours), *others = times.items()
    return [
        Row(
            f"lip network in {name}",
            round(ms / ours, 2),
            "x of ours",
            None,
            None,
            f"{_WHOLE}, one thread, median: {ms:.3f} ms, ours in fused int8 layers {ours:.3f} ms",
        )
        for name, ms in others
    ]


def _ready() -> tuple[VisemeFile, VisemeNet, Any, Floats]:
    """The shipped network as numbers and as a mouth, a stream of it, and log-mel of 10 s."""
    for module in ("onnx", "onnxruntime"):
        if find_spec(module) is None:
            raise MissingPartError(f"{module} is not installed", fix=f"pip install {module}")
    file, net = read(shipped()), VisemeNet()  # which says what is missing without the native core
    native = importlib.import_module("edgevid._native").lipsync
    stream = native.VisemeStream(native.VisemeWeights(shipped()))
    sound = np.random.default_rng(0).normal(0, 30, (_reach(file) + ROWS_PER_STEP * (_STEPS - 1), 64))
    return file, net, stream, (sound / file.mel_scale + file.mel_mean).astype(np.float32)


def _compare(what: str, times: dict[str, float]) -> list[Row]:
    """``times`` in ms, ours first."""
    ours = next(iter(times.values()))
    method = f"{what}, one thread, median"
    out = [
        Row(f"VisemeNet {what}: {name}", round(ms, 4), "ms", None, None, method) for name, ms in times.items()
    ]
    for name, ms in list(times.items())[1:]:
        goal = _SPEEDUP_GOAL if "float32" in name else None
        factor = ms / ours
        out.append(
            Row(
                f"VisemeNet {what}: against {name}",
                round(factor, 2),
                "x",
                goal,
                None if goal is None else factor >= goal,
                method,
            )
        )
    return out


def _live(stream: Any, mel: Floats, reach: int, peers: dict[str, Any]) -> dict[str, float]:
    stream.push(mel[:reach])
    fresh = mel[reach : reach + ROWS_PER_STEP]
    seen = np.ascontiguousarray(mel[:reach].T[None])
    times = {"ours int8": _median_ms(partial(stream.push, fresh), _LIVE_RUNS)}
    for name, session in peers.items():
        times[name] = _median_ms(partial(session.run, None, {"rows": seen}), _LIVE_RUNS)
    return times


def _at_once(stream: Any, mel: Floats, peers: dict[str, Any]) -> dict[str, float]:
    def whole() -> None:
        stream.reset()
        stream.push(mel)

    seen = np.ascontiguousarray(mel.T[None])
    times = {"ours int8": _median_ms(whole, _WHOLE_RUNS)}
    for name, session in peers.items():
        times[name] = _median_ms(partial(session.run, None, {"rows": seen}), _WHOLE_RUNS)
    return times


def _sound_to_step(net: VisemeNet) -> Row:
    """Log-mel, network and rules together, as a call in a live dub sees it."""
    stream = net.stream()
    sound = np.random.default_rng(0).normal(0, 0.1, 320).astype(np.float32)
    for _ in range(AHEAD_ROWS):
        stream.push(sound)
    ms = _median_ms(partial(stream.push, sound), _LIVE_RUNS)
    method = "20 ms of sound to one step of the curve: log-mel, network, rules; one thread, median"
    return Row("VisemeNet sound to mouth", round(ms, 4), "ms", _STEP_GOAL_MS, ms < _STEP_GOAL_MS, method)


def _reach(file: VisemeFile) -> int:
    """Rows a step is computed from."""
    rows = 1
    for layer in reversed(file.layers):
        rows = (rows - 1) * layer.stride + layer.reach
    return rows


def _median_ms(call: Callable[[], object], runs: int) -> float:
    for _ in range(max(runs // 20, 3)):
        call()
    times = []
    for _ in range(runs):
        began = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - began)
    return float(np.median(times)) / 1e6


def _session(model: bytes, *, fused: bool = True) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if not fused:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
