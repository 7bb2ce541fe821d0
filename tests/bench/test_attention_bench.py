"""The rows of ``bench attention`` on a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevid.bench import attention as bench
from edgevid.bench.machine import Machine
from edgevid.core.errors import MissingPartError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel
from tests.models.tiny_gguf import TinyModel, write_tiny


@pytest.mark.parametrize("copies", [1, 3])
def test_rows_tell_time_cost_and_ratio(tmp_path: Path, copies: int) -> None:
    if copies > 1:
        pytest.importorskip("gguf", reason="rewriting a model needs gguf: pip install 'edgevid[hf]'")
    path = write_tiny(tmp_path / "tiny.gguf", TinyModel(context=512))
    stream = NativeLanguageModel(path, kv=KVConfig(), threads=1).embed([7 * i % 257 for i in range(420)])
    config = RetrievalConfig(segment=64, recent=64, clusters=16, min_sealed=0, mass=0.5, dense_share=1.0)
    wanted = {"decode": 1.0}
    found = {
        row.measure: row
        for row in bench.rows_at(
            "8K",
            path,
            stream[:400],
            stream[400:],
            Machine(1e10, 1e10),
            config,
            copies=copies,
            dtype="f16",
            goals=(1e-9, 1e-9),
            repetitions=2,
            threads=1,
            wanted=wanted,
        )
    }
    assert 0 < wanted["10-row frame step"] < 1
    for what in ("decode, 8K", "10-row frame step, 8K"):
        assert 0 < float(found[f"{what}, retrieved"].value or 0) < 1
        assert f"{400 * copies} tokens" in found[f"{what}, retrieved"].method
        for way in ("dense", "with retrieval"):
            assert float(found[f"{what}, {way}"].value or 0) > 0
            assert "GB/s" in found[f"{what}, {way}, share of roofline"].method
    assert found["10-row frame step, 8K, over our dense"].passed is True
    assert found["decode, 8K, retrieved"].passed is False  # less than the share it was held to
    assert found["decode, 8K, over torch"].passed is not True


def test_without_clips_the_bench_says_so() -> None:
    with pytest.raises(MissingPartError, match="clips"):
        next(bench.rows(None))
