"""The rows of hours under caps and against llama.cpp, on a tiny model; that every part is wired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.bench import streaming_hours, streaming_peer
from edgevid.bench.report import Row
from edgevid.bench.streaming_gguf import reshaped
from edgevid.bench.streaming_plots import figures
from edgevid.bench.streaming_traces import ROWS
from edgevid.core.errors import UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel
from tests.models.tiny_gguf import TinyModel, write_tiny

RETRIEVAL = RetrievalConfig(min_sealed=0, mass=0.5)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TinyModel(layers=3, context=4096))


def frames(path: Path, count: int) -> np.ndarray:
    model = NativeLanguageModel(path, threads=1)
    return model.embed(RNG.integers(0, 257, count * ROWS).tolist())


def test_a_model_is_cut_to_its_first_layers(tiny: Path, tmp_path: Path) -> None:
    cut = NativeLanguageModel(reshaped(tiny, tmp_path / "cut.gguf", layers=1, context=4096), threads=1)
    assert (cut.config.layers, cut.config.context_length) == (1, 4096)
    same = NativeLanguageModel(reshaped(tiny, tmp_path / "same.gguf"), threads=1)
    want = NativeLanguageModel(tiny, threads=1).new_sequence().append_tokens([1, 2, 3])
    np.testing.assert_array_equal(same.new_sequence().append_tokens([1, 2, 3]), want)
    assert not np.array_equal(cut.new_sequence().append_tokens([1, 2, 3]), want)


def test_cost_over_time_is_told_in_tenths(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming_hours, "LAYERS", 2)
    found = list(streaming_hours.flat_rows(tiny, frames(tiny, 30), RETRIEVAL, hours=200 / 7200, threads=1))
    assert len(found) == 11
    assert "200 frames" in found[-1].method
    assert "2 layers" in found[-1].method
    assert found[-1].goal == streaming_hours.FLAT_GOAL
    kept = int(found[-1].method.split("the newest ")[1].split()[0])
    assert kept > 3000  # 200 frames are 2000 tokens: the window was full before
    (figure,) = figures(found)
    assert len(figure.lines["under caps"]) == 10


def test_resident_memory_of_a_child_is_watched_up_to_the_factor(tiny: Path) -> None:
    found = list(
        streaming_hours.rss_rows(tiny, frames(tiny, 30), RETRIEVAL, factor=1.2, layers=None, threads=1)
    )
    assert "shipped tables (128 clusters" in found[0].measure
    row = found[-1]
    assert "bounded tables (32 clusters" in row.measure
    assert row.unit == "of cap"
    assert float(row.value or 0) > 0
    assert "KV 1." in row.method or "KV 2." in row.method


def test_the_disk_tier_holds_more_than_its_cap(tiny: Path) -> None:
    reached, row = streaming_hours.disk_rows(
        tiny, frames(tiny, 30), RETRIEVAL, factor=1.2, layers=None, repetitions=3, threads=1
    )
    assert float(row.value or 0) > 0
    assert reached.goal == 1.2
    assert "MB read a step" in row.method
    assert "the same logits" in row.method


def test_no_window_reaches_an_absurd_factor(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming_hours, "_MAX_WINDOW", 8192)
    long = reshaped(tiny, tmp_path / "long.gguf", context=8192)
    with pytest.raises(UsageError, match="no window"):
        streaming_hours.window_of(long, RETRIEVAL, factor=1000, threads=1)


def test_a_past_is_repeated_in_llama_cpp_at_the_positions_that_follow(tiny: Path) -> None:
    pytest.importorskip("llama_cpp")
    from edgevid.models.llama_cpp_llm import LlamaCppModel

    with LlamaCppModel(tiny, threads=1, context=256, f32_kv=True) as model:
        sequence, fresh = model.new_sequence(), model.new_sequence()
        sequence.append_tokens([5], logits="none")
        sequence.repeat(3)
        assert sequence.length == 3
        fresh.append_tokens([5, 5, 5], logits="none")
        # of one token again and again, the KV of every copy is that of a real prefill but for its context
        ours, theirs = sequence.append_tokens([7]), fresh.append_tokens([7])
        assert ours.shape == theirs.shape
        sequence.truncate(3)
        np.testing.assert_allclose(sequence.append_tokens([7]), ours, atol=1e-5)


def test_steps_are_compared_with_llama_cpp_beyond_the_context(tiny: Path) -> None:
    pytest.importorskip("llama_cpp")
    depths = {"short": streaming_peer.Depth(1, 1e9, 0.0), "long": streaming_peer.Depth(3, 1e9, 0.0)}
    stream = frames(tiny, 62)
    found = list(
        streaming_peer.rows(
            tiny, stream[:600], stream[600:], depths, RETRIEVAL, bandwidth=1e10, repetitions=2, threads=1
        )
    )
    by_name = {row.measure: row for row in found}
    assert len(by_name) == 12
    assert by_name["decode, short, end to end over llama.cpp"].passed is False
    assert by_name["frame step, short, end to end over llama.cpp"].passed is True
    assert "1800 tokens" in by_name["decode, long, end to end"].method


def test_a_row_that_attends_less_than_its_quality_run_fails() -> None:
    ms = {"ours": 1.0, "flash attention on": 9.0, "flash attention off": 8.0}
    rows: list[Row] = list(streaming_peer._compared("decode, 8K", dict(ms), 5e-4, 4.0, True, "how"))
    assert [row.value for row in rows] == [1.0, 8.0, 8.0]
    assert rows[-1].passed is True
    assert "50%" in rows[0].method
    assert list(streaming_peer._compared("decode, 8K", ms, 5e-4, 4.0, False, "how"))[-1].passed is False


def test_a_full_window_is_filled_by_whole_frames(tiny: Path) -> None:
    model = NativeLanguageModel(tiny, kv=KVConfig(), threads=1)
    sequence = model.new_sequence()
    streaming_hours.fill(sequence, frames(tiny, 4), tokens=97)
    assert sequence.length == 90
