"""The streams of E5, and that both ways are really taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgevid.bench.streaming_noise import cut_often, random_rows, rows
from edgevid.bench.streaming_traces import ROWS
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel
from tests.models.tiny_gguf import TinyModel, write_tiny


def test_cuts_keep_frames_whole() -> None:
    stream = np.arange(6 * ROWS, dtype=np.float32)[:, None].repeat(4, axis=1)
    cut = cut_often(stream)
    assert sorted(cut[:, 0]) == sorted(stream[:, 0])
    first = cut.reshape(6, ROWS, 4)[:, 0, 0]
    assert list(first) != sorted(first)
    inside = cut.reshape(6, ROWS, 4)[..., 0] - first[:, None]
    np.testing.assert_array_equal(inside, np.tile(np.arange(ROWS), (6, 1)))


def test_every_stream_is_measured(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.gguf", TinyModel())
    model = NativeLanguageModel(path, kv=KVConfig(page_size=16, sinks=16), kv_tokens=4000, threads=1)
    config = RetrievalConfig(segment=32, recent=16, clusters=8, min_sealed=0)
    streams = {what: random_rows(model, frames=40, seed=i) for i, what in enumerate(("one", "other"))}
    found = list(rows(model, streams, config, steps=4))
    assert [row.measure for row in found] == ["E5 one, over dense", "E5 other, over dense"]
    assert all(float(row.value or 0) > 0 for row in found)
    assert all("depth 360" in row.method for row in found)
