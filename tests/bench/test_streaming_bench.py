"""The arithmetic of the streaming bench on traces made here, and its likelihood scores on a tiny model."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edgevid.bench.machine import Machine
from edgevid.bench.streaming_nll import Piece, between_frames, paired, retrieved_share, score, score_all
from edgevid.bench.streaming_rivals import ESTIMATED, METHODS, Head, losses
from edgevid.bench.streaming_speed import Timed, quality_share, roofline, time_steps
from edgevid.bench.streaming_tiers import agreement, following, time_tiers
from edgevid.bench.streaming_traces import Trace, held_out_text
from edgevid.core.errors import UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel
from tests.models.tiny_gguf import TinyModel, write_tiny

RETRIEVAL = RetrievalConfig(mass=0.5, segment=32, recent=16, clusters=8, min_sealed=0, dense_share=1.0)


def themed_trace(
    *, rows: int = 3, tokens: int = 400, themes: int = 8, seed: int = 0
) -> tuple[Trace, np.ndarray]:
    """Keys around a few themes, queries that look for one of them; and each token's theme."""
    rng = np.random.default_rng(seed)
    theme = rng.integers(0, themes, tokens)
    centres = rng.standard_normal((themes, 2, 16)) * 2
    k = centres[theme] + 0.3 * rng.standard_normal((tokens, 2, 16))
    v = rng.standard_normal((tokens, 2, 16)) + centres[theme]
    q = np.repeat(centres[:1], 2, axis=1).repeat(rows, axis=0) * 2 + 0.3 * rng.standard_normal((rows, 4, 16))
    return Trace(*(x.astype(np.float32) for x in (q, k, v))), theme


def test_a_budget_for_everything_loses_nothing_and_none_loses_most() -> None:
    trace, theme = themed_trace()
    clusters = np.unique(theme[16:376], return_inverse=True)[1]
    found = losses(trace, clusters, first=16, budgets=(0.0, 0.2, 1.0), by_bytes=False, seed=0)
    for method in METHODS:
        none, some, everything = ([loss.mass for loss in found[method, b]] for b in (0.0, 0.2, 1.0))
        assert max(everything) == pytest.approx(0, abs=1e-12)
        assert max(loss.output for loss in found[method, 1.0]) == pytest.approx(0, abs=1e-12)
        assert np.mean(some) <= np.mean(none)
    mean = {m: np.mean([loss.mass for loss in found[m, 0.2]]) for m in METHODS}
    assert mean["oracle"] <= mean["ReSV"] < min(mean["ReKV"], mean["Quest"], mean["window"], mean["random"])


def test_tables_are_paid_from_a_budget_in_bytes() -> None:
    trace, _ = themed_trace()
    clusters = np.arange(360)  # a cluster for every token: the table alone costs a quarter of the KV
    by_tokens = losses(trace, clusters, first=16, budgets=(0.2,), by_bytes=False, seed=0)
    by_bytes = losses(trace, clusters, first=16, budgets=(0.2,), by_bytes=True, seed=0)
    assert np.mean(by_bytes["ReSV", 0.2]) > np.mean(by_tokens["ReSV", 0.2])
    assert by_bytes["oracle", 0.2] == by_tokens["oracle", 0.2]
    assert by_bytes["window", 0.2] == by_tokens["window", 0.2]


def test_a_table_beyond_the_budget_estimates_nothing() -> None:
    trace, _ = themed_trace()
    clusters = np.arange(360)  # its table takes three quarters of the bytes of the KV
    options = {"first": 16, "budgets": (0.7, 0.8), "by_bytes": True, "seed": 0}
    found = losses(trace, clusters, **options)
    none = losses(trace, clusters, first=16, budgets=(0.0,), by_bytes=False, seed=0)["ReSV", 0.0]
    for (broke, paid), nothing in zip(zip(found[ESTIMATED, 0.7], found[ESTIMATED, 0.8]), none, strict=True):
        assert broke.output == pytest.approx(nothing.output)
        assert paid.output < 0.1 * nothing.output


def test_quest_bounds_every_score_of_a_page() -> None:
    trace, _ = themed_trace()
    head = Head(trace, 0, first=16, end=376)
    pages = np.arange(360) // 16
    low = np.array([head.keys[pages == p].min(axis=0) for p in range(23)])
    high = np.array([head.keys[pages == p].max(axis=0) for p in range(23)])
    bounds = np.maximum(head.q[:, None] * low, head.q[:, None] * high).sum(axis=2)
    assert (bounds[:, pages] >= head.q @ head.keys.T - 1e-5).all()
    assert head.units("Quest", pages, 0).table_bytes == 23 * 16 * 2 * 2


def test_estimates_of_equal_keys_and_values_lose_nothing() -> None:
    trace, theme = themed_trace()
    for x in (trace.k, trace.v):
        for t in range(8):
            x[16:376][theme[16:376] == t] = x[16:376][theme[16:376] == t][:1]
    clusters = np.unique(theme[16:376], return_inverse=True)[1]
    found = losses(trace, clusters, first=16, budgets=(0.0, 0.2), by_bytes=False, seed=0)
    for budget in (0.0, 0.2):
        assert max(loss.output for loss in found[ESTIMATED, budget]) == pytest.approx(0, abs=1e-6)
        assert min(loss.output for loss in found["ReSV", 0.0]) > 0.01


def test_estimates_lose_less_than_leaving_out_and_pay_for_their_table() -> None:
    trace, theme = themed_trace()
    clusters = np.unique(theme[16:376], return_inverse=True)[1]
    found = losses(trace, clusters, first=16, budgets=(0.05,), by_bytes=False, seed=0)
    mean = {m: np.mean([loss.output for loss in found[m, 0.05]]) for m in METHODS}
    assert mean[ESTIMATED] < mean["ReSV"]
    units = Head(trace, 0, first=16, end=376).units(ESTIMATED, clusters, 0)
    assert units.table_bytes == 8 * (2 * 16 + 16)
    assert units.estimate is not None
    assert units.estimate.weights.shape == (6, 8)


def test_paired_interval() -> None:
    rng = np.random.default_rng(0)
    mean, half = paired(0.01 + 0.1 * rng.standard_normal(5000))
    assert abs(mean - 0.01) < half < 0.005
    assert paired(np.zeros(60))[0] == 0.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> NativeLanguageModel:
    path = write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TinyModel())
    return NativeLanguageModel(path, kv=KVConfig(page_size=16, sinks=16), kv_tokens=4000)


def test_scores_are_the_likelihoods_of_the_next_tokens(model: NativeLanguageModel) -> None:
    ids = [int(t) for t in np.random.default_rng(1).integers(0, 257, 150)]
    rows = model.embed(ids[:100])
    found = score(model, [Piece(rows, ids)], None, step=32)
    assert found.retrieved == 1.0
    assert found.at.tolist() == list(range(100, 249))
    logits = model.new_sequence().append_tokens(ids[:100] + ids, logits="all")[100:-1].astype(np.float64)
    want = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(149), ids[1:]]
    assert np.allclose(found.nll, want, atol=1e-4)
    with_retrieval = score(model, [Piece(rows, ids)], RETRIEVAL, step=32)
    assert 0 < with_retrieval.retrieved <= 1
    assert not np.array_equal(with_retrieval.nll, found.nll)


def test_several_streams_are_scored_one_after_the_other(model: NativeLanguageModel) -> None:
    ids = [int(t) for t in np.random.default_rng(2).integers(0, 257, 1500)]
    frames = model.embed(ids[:600])
    pieces = between_frames(frames, ids, tokens=2000)
    assert [(len(rows), len(text)) for rows, text in pieces] == [(300, 700), (300, 700)]
    np.testing.assert_array_equal(pieces[1].rows, frames[300:])
    short = [[Piece(frames[:40], ids[:60])], [Piece(frames[40:90], ids[60:100])]]
    found = score_all(model, short, RETRIEVAL, step=16)
    assert found.at.tolist() == [*range(40, 99), *range(50, 89)]
    alone = score(model, short[1], RETRIEVAL, step=16)
    np.testing.assert_array_equal(found.nll[59:], alone.nll)


def test_held_out_text_is_long_enough_and_other_than_the_abstracts() -> None:
    text = held_out_text()
    assert len(text) > 16 * 7700
    assert "slipstream" not in text


def test_an_unknown_part_is_refused() -> None:
    from edgevid.bench import streaming

    with pytest.raises(UsageError, match="no such part: e9"):
        next(streaming.rows(None, only=["e9"]))


def test_the_joining_law_alone_needs_no_model(tmp_path: Path) -> None:
    from edgevid.bench import streaming

    measures = [row.measure for row in streaming.rows(tmp_path, quick=True, only=["e4"])]
    assert measures[0] == "configuration"
    assert all(measure.startswith("E4") for measure in measures[1:])


def test_steps_are_timed_and_taken_back(model: NativeLanguageModel) -> None:
    dense = model.new_sequence()
    dense.append_rows(model.embed(range(200)), logits="none")
    for retrieval in (None, RETRIEVAL):
        past = dense.fork(retrieval=retrieval)
        timed = time_steps(past, model.embed(range(10)), count=5, repetitions=3)
        assert 0 < timed.attention < timed.step
        assert (timed.prediction > 0) == (retrieval is not None)
        assert (timed.retrieved < 1) == (retrieval is not None)
        assert timed.kv_bytes > 0
        assert (timed.table_bytes > 0) == (retrieval is not None)
    assert dense.length == 200
    assert retrieved_share(None) == 1.0


def test_the_share_of_a_stream_is_that_of_steps_that_follow(model: NativeLanguageModel) -> None:
    rows = model.embed([7 * i % 257 for i in range(400)])
    dense = model.new_sequence()
    dense.append_rows(rows[:240], logits="none")
    found = quality_share(dense.fork(retrieval=RETRIEVAL), rows[240:], 5)
    with closing(dense.fork(retrieval=RETRIEVAL)) as again:
        for at in range(240, 400, 5):
            again.append_rows(rows[at : at + 5], logits="none")
        assert found == retrieved_share(again.retrieval())
    assert 0 < found < 1
    assert dense.length == 240


def test_a_roofline_is_the_slower_of_reading_and_computing(model: NativeLanguageModel) -> None:
    timed = Timed(3.0, 2.0, 1.0, 0.2, kv_bytes=10e6, table_bytes=2e6)
    group = model.config.heads / model.config.kv_heads
    reading = roofline("x", model, timed, Machine(12e9, 1e15), rows=1)
    assert reading.value == pytest.approx(0.5)  # 12 MB at 12 GB/s are 1 of 2 ms
    assert "6.0 GB/s of 12.0" in reading.method
    computing = roofline("x", model, timed, Machine(1e15, group * 14e9), rows=1)
    assert computing.value == pytest.approx(0.5)


def test_the_disk_tier_is_timed_under_the_least_cap(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.gguf", TinyModel())
    model = NativeLanguageModel(path, kv=KVConfig(), kv_tokens=2048)
    retrieval = RetrievalConfig(segment=64, recent=64, clusters=16, min_sealed=0, mass=0.5)
    stream = model.embed([7 * i % 257 for i in range(400)])
    session = tmp_path / "session.kv"
    with closing(model.new_sequence(retrieval=retrieval)) as whole:
        whole.append_rows(stream, logits="none")
        whole.save(session)
    steps = following(stream, begin=395, repetitions=6)
    np.testing.assert_array_equal(steps[5:10], stream[:5])
    found = time_tiers(path, session, steps, retrieval=retrieval, threads=1)
    assert min(found.from_file_ms, found.in_ram_ms, found.disk_bytes_per_s) > 0
    assert found.kv_over_slots > found.kv_over_cap > 0
    assert found.same
    assert "the same" in agreement(found)


def test_the_shipped_configuration_is_the_default() -> None:
    from edgevid.bench import streaming

    assert RetrievalConfig() == streaming.SHIPPED
    assert KVConfig().retrieval is None  # dense until its goals are reached


def test_without_clips_the_bench_says_so() -> None:
    from edgevid.bench import streaming
    from edgevid.core.errors import MissingPartError

    with pytest.raises(MissingPartError, match="clips"):
        next(streaming.rows(None))


def test_real_text_is_there(test_data: Path) -> None:
    from edgevid.bench.streaming_traces import real_text

    assert "wing in a slipstream" in real_text(test_data)
