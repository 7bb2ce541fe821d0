"""One layer of a stream in numpy: what is kept, what is attended, that no page is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import LimitError
from edgevid.core.kv_config import RetrievalConfig
from edgevid.ops.cuda_ops import VARIABLE
from edgevid.ops.dequantize import Floats
from edgevid.ops.paged_attention import KvCache, attend_reference
from tests.cuda.host_library import build_host_library

pytest.importorskip("torch", reason="torch is not installed: pip install 'edgevid[dev]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'edgevid[dev]'")
from edgevid.integrations.transformers.clusters import Clusters
from edgevid.integrations.transformers.layer import LayerConfig, StreamLayer

HEADS, GROUP, DIM, SINKS = 2, 3, 8, 20
SCALE = DIM**-0.5


def make(
    *, max_tokens: int = 200, sinks: int = SINKS, backend: Any = "native", **options: Any
) -> StreamLayer:
    settings = {"segment": 32, "recent": 16, "rotated": True, "min_sealed": 0, "dense_share": 1.0}
    config = LayerConfig(16, max_tokens, sinks, RetrievalConfig(**{**settings, **options}), dtype="f32")
    shape = {"num_kv_heads": HEADS, "head_dim": DIM}
    store = KvCache(num_pages=3 + config.pages, page_size=16, dtype="f32", backend=backend, **shape)
    clusters = Clusters(config.retrieval, layer=0, backend=backend, **shape)
    return StreamLayer(store, range(3, 3 + config.pages), clusters, config)


def themed(tokens: int, seed: int, *, themes: int = 6) -> tuple[Floats, Floats]:
    """Keys of a few themes in turn, five tokens each, and random values."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((themes, HEADS, DIM)) * 3
    keys = centres[np.arange(tokens) // 5 % themes] + 0.2 * rng.standard_normal((tokens, HEADS, DIM))
    return keys.astype(np.float32), rng.standard_normal((tokens, HEADS, DIM), dtype=np.float32)


def queries(keys: Floats) -> Floats:
    """That look for what the rows' own keys are like."""
    return np.repeat(keys, GROUP, axis=1)


def dense(q: Floats, k: Floats, v: Floats) -> Floats:
    heads = [slice(h * GROUP, (h + 1) * GROUP) for h in range(HEADS)]
    parts = [attend_reference(q[:, s], k[:, h], v[:, h], scale=SCALE) for h, s in enumerate(heads)]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("sinks", [SINKS, 32, 0])
def test_steps_of_any_size_with_some_taken_back_attend_what_is_kept(sinks: int) -> None:
    """Against dense attention over the first tokens and the newest ones; a lost page would end the run."""
    rng = np.random.default_rng(5)
    layer = make(everything=True, sinks=sinks)
    k, v = themed(3000, 1)
    at, forgot = 0, False
    while at < 2900:
        rows = int(rng.integers(1, 40))
        layer.append(k[at : at + rows], v[at : at + rows])
        at += rows
        assert layer.seen == at
        assert layer.kept <= 200
        forgot |= layer.kept < at
        held = np.r_[0 : min(at, sinks), at - layer.kept + min(at, sinks) : at]
        q = queries(k[at - rows : at])
        got = layer.attend(q, scale=SCALE)
        assert np.abs(got - dense(q, k[held], v[held])).max() <= 1e-4
        if rng.random() < 0.3:
            back = int(rng.integers(0, max(0, min(rows, at - sinks)) + 1))
            layer.take_back(back)
            at -= back
    assert forgot


def test_what_was_seen_once_is_found_among_what_is_old() -> None:
    layer = make(max_tokens=2000, mass=0.9)
    k, v = themed(1000, 2)
    needle = np.random.default_rng(9).standard_normal((HEADS, DIM)).astype(np.float32) * 3
    k[100:105], v[100:105] = needle, 10
    for first in range(0, 999, 9):
        layer.append(k[first : first + 9], v[first : first + 9])
        layer.attend(queries(k[first : first + 9]), scale=SCALE)
    assert layer.stats.dense == 0
    assert 0.05 < layer.stats.retrieved / layer.stats.steps < 0.6
    before = layer.stats.retrieved
    layer.append(needle[None], np.zeros((1, HEADS, DIM), np.float32))
    got = layer.attend(queries(needle[None]) * 2, scale=SCALE)
    assert got.min() > 8  # five of the six tokens that look like it
    assert layer.stats.retrieved - before < 0.1


@pytest.mark.parametrize("steps", [[1] * 300, [100, 200], [17] * 17 + [11]])
def test_the_cut_of_a_stream_changes_nothing(steps: list[int]) -> None:
    k, v = themed(310, 3)
    whole, cut = make(max_tokens=400, mass=0.8), make(max_tokens=400, mass=0.8)
    whole.append(k[:300], v[:300])
    for begin, rows in zip(np.cumsum([0, *steps[:-1]]), steps):
        cut.append(k[begin : begin + rows], v[begin : begin + rows])
    outs = []
    for layer in (whole, cut):
        layer.append(k[300:], v[300:])
        outs.append(layer.attend(queries(k[300:]), scale=SCALE))
    assert np.array_equal(*outs)


@pytest.mark.parametrize("estimate", [False, True])
def test_backends_choose_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, estimate: bool) -> None:
    """CUDA's kernels are compiled for the host."""
    if not os.environ.get(VARIABLE):
        monkeypatch.setenv(VARIABLE, str(build_host_library(tmp_path)))
    k, v = themed(240, 4)
    outs = []
    for backend in ("numpy", "native", "cuda"):
        layer = make(max_tokens=300, mass=0.8, estimate=estimate, backend=backend)
        for first in range(0, 240, 40):
            layer.append(k[first : first + 40], v[first : first + 40])
            out = layer.attend(queries(k[first : first + 40]), scale=SCALE)
        assert layer.stats.retrieved < 0.9 * layer.stats.steps
        outs.append((out, layer.stats.retrieved))
    for out, retrieved in outs[1:]:
        assert retrieved == pytest.approx(outs[0][1], abs=0.05)
        assert np.abs(out - outs[0][0]).max() <= 1e-3


def test_a_flat_layer_attends_everything_for_a_while() -> None:
    layer = make(max_tokens=500, mass=0.99, dense_share=0.3, estimate=False)
    k, v = themed(400, 6)
    layer.append(k[:300], v[:300])
    flat = np.zeros((1, HEADS * GROUP, DIM), np.float32)
    for token in range(300, 320):
        layer.append(k[token : token + 1], v[token : token + 1])
        got = layer.attend(flat, scale=SCALE)
        assert np.allclose(got, dense(flat, k[: token + 1], v[: token + 1]), atol=1e-5)
    assert layer.stats.steps == layer.stats.dense == layer.stats.retrieved == 20


def test_little_that_is_old_is_attended_whole() -> None:
    layer = make(max_tokens=500, mass=0.1, min_sealed=100)
    k, v = themed(400, 7)
    for first in range(0, 400, 10):
        layer.append(k[first : first + 10], v[first : first + 10])
        layer.attend(queries(k[first : first + 10]), scale=SCALE)
        assert (layer.stats.dense == layer.stats.steps) == (layer.sealed < 100)


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    layer = make(everything=True)
    k, v = themed(400, 8)
    layer.append(k[:150], v[:150])
    with pytest.raises(LimitError, match="180 rows do not fit a cache of 200 tokens"):
        layer.append(k[150:330], v[150:330])
    layer.append(k[150:160], v[150:160])
    q = queries(k[159:160])
    assert np.allclose(layer.attend(q, scale=SCALE), dense(q, k[:160], v[:160]), atol=1e-5)
