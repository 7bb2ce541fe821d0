"""Attention over a stretched layer against plain sums, and the rows of the bench on a tiny model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.bench import attention as bench
from edgevid.bench.attention_layers import PagedLayer, Stretched, stretch
from edgevid.bench.streaming_traces import Trace
from edgevid.core.errors import MissingPartError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel
from edgevid.ops.paged_attention import attend_reference
from tests.models.tiny_gguf import TinyModel, write_tiny

SINKS, SEALED, TAIL = 16, 96, 21


def made(tokens: int) -> tuple[Trace, Stretched]:
    """A trace in two segments of clusters of eight tokens, and the same stretched."""
    rng = np.random.default_rng(0)
    q = rng.standard_normal((3, 4, 16), np.float32)
    k, v = rng.standard_normal((2, SINKS + SEALED + TAIL, 2, 16), np.float32)
    segments = [([*rng.permutation(48).tolist()], list(range(0, 49, 8))) for _ in range(2)]
    return Trace(q, k, v), stretch(Trace(q, k, v), segments, sinks=SINKS, tokens=tokens)


def test_a_layer_is_stretched_by_whole_copies_of_what_is_sealed() -> None:
    trace, once = made(0)
    _, thrice = made(SINKS + TAIL + 3 * SEALED)
    assert (once.copies, thrice.copies) == (1, 3)
    assert len(thrice.k) == SINKS + TAIL + 3 * SEALED
    np.testing.assert_array_equal(thrice.k[:SINKS], trace.k[:SINKS])
    np.testing.assert_array_equal(thrice.v[-TAIL:], trace.v[-TAIL:])
    middle = thrice.k[SINKS:-TAIL].reshape(3, SEALED, 2, 16)
    np.testing.assert_array_equal(middle, np.stack([once.k[SINKS:-TAIL]] * 3))
    assert sorted(map(tuple, once.k[:, 0])) == sorted(map(tuple, trace.k[:, 0]))
    np.testing.assert_array_equal(thrice.bounds, SINKS + np.arange(0, 3 * SEALED + 1, 8))


def test_everything_and_a_choice_are_what_plain_sums_give() -> None:
    trace, stretched = made(300)
    layer = PagedLayer(stretched, threads=1)
    config = RetrievalConfig(mass=0.5, dense_share=1.0, estimate=False)
    choice = layer.choose(trace.q, config)
    plan = layer.plan(choice, config)
    assert 0 < plan.share < 1
    taken = np.ones((2, len(stretched.k)), np.bool_)
    taken[:, SINKS:-TAIL] = np.repeat(choice.marks, 8, axis=1)
    assert plan.share == pytest.approx(taken[:, SINKS:-TAIL].mean())
    for attended, seen in ((layer.everything, np.ones_like(taken)), (plan, taken)):
        found = layer.attend(trace.q, attended)
        for head in range(2):
            mine = slice(2 * head, 2 * head + 2)
            k, v = (x[seen[head], head] for x in (stretched.k, stretched.v))
            want = attend_reference(trace.q[:, mine], k, v, scale=0.25)
            np.testing.assert_allclose(found[:, mine], want, atol=3e-3)


def test_estimates_bring_a_choice_closer_to_everything() -> None:
    trace, stretched = made(300)
    layer = PagedLayer(stretched, threads=1)
    want = layer.attend(trace.q, layer.everything)
    apart = []
    for estimate in (False, True):
        config = RetrievalConfig(mass=0.3, dense_share=1.0, estimate=estimate)
        found = layer.attend(trace.q, layer.plan(layer.choose(trace.q, config), config))
        apart.append(float(np.abs(found - want).mean()))
    assert apart[1] < apart[0]


def test_above_the_dense_share_everything_is_attended() -> None:
    trace, stretched = made(300)
    layer = PagedLayer(stretched, threads=1)
    config = RetrievalConfig(mass=1.0)
    assert layer.plan(layer.choose(trace.q, config), config) is layer.everything


def test_rows_tell_time_cost_and_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny(tmp_path / "tiny.gguf", TinyModel())
    model = NativeLanguageModel(path, kv=KVConfig(), kv_tokens=3000, threads=1)
    dense = model.new_sequence(trace=True)
    stream = model.embed([7 * i % 257 for i in range(410)])
    dense.append_rows(stream[:400], logits="none")
    monkeypatch.setitem(bench.DEPTHS, "8K", 1000)
    config = RetrievalConfig(segment=64, recent=64, clusters=16, min_sealed=0, mass=0.5, dense_share=1.0)
    machine = bench.Machine(1e10, 1e10)
    found = {
        row.measure: row
        for row in bench.rows_at("8K", model, dense, stream[400:], machine, rounds=2, config=config)
    }
    for what in ("decode, 8K", "10-row frame step, 8K"):
        assert 0 < float(found[f"{what}, retrieved"].value or 0) < 1
        for way in ("dense", "with retrieval"):
            row = found[f"{what}, {way}"]
            assert float(row.value or 0) > 0
            assert "GB/s" in row.method
            assert "of roofline" in row.method
    assert found["decode, 8K, over torch"].goal == 4.0
    assert found["10-row frame step, 8K, over our dense"].goal == 1.7


def test_without_clips_the_bench_says_so() -> None:
    with pytest.raises(MissingPartError, match="clips"):
        next(bench.rows(None))
