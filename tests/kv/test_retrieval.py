"""Retrieval in the native decoder: exact when everything is chosen, and bounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence
from edgevid.ops.cluster_assign import cluster_assign
from edgevid.ops.hash_codes import hash_codes
from edgevid.ops.kv_seal import seal_order
from tests.models.tiny_gguf import TinyModel, write_tiny

IDS = [int(t) for t in np.random.default_rng(2).integers(0, 257, 400)]
RETRIEVAL = RetrievalConfig(segment=32, recent=16, clusters=8, min_sealed=0, dense_share=1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> NativeLanguageModel:
    path = write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TinyModel())
    return NativeLanguageModel(path, kv=KVConfig(page_size=16, sinks=16), kv_tokens=4000)


def fed(model: NativeLanguageModel, step: int, retrieval: RetrievalConfig | None) -> NativeSequence:
    sequence = model.new_sequence(retrieval=retrieval)
    for first in range(0, 300, step):
        sequence.append_tokens(IDS[first : min(first + step, 300)])
    return sequence


def test_everything_chosen_equals_dense_within_rounding(model: NativeLanguageModel) -> None:
    """Sealing only reorders a sum over tokens; bit equality with the same order is a C++ test."""
    resv = fed(model, 10, replace(RETRIEVAL, everything=True))
    dense = fed(model, 10, None)
    got, want = (s.append_tokens(IDS[300:], logits="all") for s in (resv, dense))
    assert np.abs(got - want).max() <= 0.02 * np.abs(want).max()
    assert resv.kv().selection == "resv, everything"
    found = resv.retrieval()
    assert found is not None
    assert found["sealed"] == (300 - 16 - 16) // 32 * 32
    assert all(layer["retrieved"] == layer["steps"] for layer in found["layers"])
    assert dense.retrieval() is None


def test_less_mass_attends_fewer_tokens(model: NativeLanguageModel) -> None:
    shares = []
    for mass in (0.2, 0.6, 0.9, 0.99):
        layers = _layers(fed(model, 10, replace(RETRIEVAL, mass=mass)))
        shares.append(np.mean([layer["retrieved"] / layer["steps"] for layer in layers]))
        assert all(layer["kv_bytes"] > 0 and layer["table_bytes"] > 0 for layer in layers)
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] <= 1


def test_clusters_are_those_of_the_references_however_the_stream_is_cut(model: NativeLanguageModel) -> None:
    config = replace(RETRIEVAL, rotated=True, centred=False, seed=5)
    tracing = model.new_sequence(trace=True)
    tracing.append_rows(model.embed(IDS[:300]))
    sequences = [tracing.fork(retrieval=config) for _ in range(2)]
    sequences[0].append_tokens(IDS[300:301])
    for token in range(300, 305):
        sequences[1].append_tokens([IDS[token]])
    for layer in range(model.config.layers):
        _, keys, _ = tracing.trace(layer)
        found = sequences[0].clusters(layer)
        assert found == sequences[1].clusters(layer)[: len(found)]
        assert len(found) == 8
        for index, (order, begin) in enumerate(found):
            first = 16 + 32 * index
            flat = keys[first : first + 32].reshape(32, -1)
            codes = hash_codes(flat, np.zeros(flat.shape[1], np.float32), seed=5, layer=layer)
            ids, leaders = cluster_assign(codes, threshold=config.hamming, capacity=config.clusters)
            want_order, want_begin = seal_order(ids, len(leaders))
            assert (order, begin) == (want_order.tolist(), want_begin.tolist())


def test_a_fork_answers_without_touching_the_stream(model: NativeLanguageModel) -> None:
    watching, alone = fed(model, 10, RETRIEVAL), fed(model, 10, RETRIEVAL)
    with_fork = watching.fork()
    with_fork.append_tokens(IDS[:50])
    with_fork.truncate(120)
    with_fork.append_tokens(IDS[:5])
    with_fork.close()
    got, want = (s.append_tokens(IDS[300:], logits="all") for s in (watching, alone))
    np.testing.assert_array_equal(got, want)


def test_a_stream_past_the_window_stays_bounded(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.gguf", TinyModel())
    kv = KVConfig(page_size=16, sinks=16, max_tokens=160, retrieval=RETRIEVAL)
    model = NativeLanguageModel(path, kv=kv)
    sequence = model.new_sequence()
    for first in range(0, 1000, 10):
        sequence.append_tokens([IDS[(first + i) % 400] for i in range(10)])
        assert sequence.kv().tokens <= 160
    assert sequence.kv().seen == 1000
    found = sequence.retrieval()
    assert found is not None
    assert 0 < found["sealed"] <= 128
    assert found["table_bytes"] > 0


def test_the_certified_bound_is_a_share(model: NativeLanguageModel) -> None:
    layers = _layers(fed(model, 10, replace(RETRIEVAL, mass=0.5, certify=True)))
    assert all(0 <= layer["bound"] <= 1 for layer in layers)
    assert max(layer["bound"] for layer in layers) > 0


@pytest.mark.parametrize(
    "wrong",
    [{"mass": 1.5}, {"segment": 0}, {"hamming": 40}, {"clusters": 0}, {"recent": -1}, {"max_tokens": -1}],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetrievalConfig(**wrong)


def test_settings_that_contradict_the_model_are_usage_errors(model: NativeLanguageModel) -> None:
    with pytest.raises(ValueError, match="whole pages"):
        KVConfig(page_size=64, retrieval=RetrievalConfig(segment=96))
    with pytest.raises(UsageError, match="whole pages"):
        model.new_sequence(retrieval=replace(RETRIEVAL, segment=24))
    with pytest.raises(UsageError, match="window"):
        model.new_sequence(retrieval=replace(RETRIEVAL, segment=256))
    with pytest.raises(UsageError, match="sealed already"):
        fed(model, 10, RETRIEVAL).fork(retrieval=RETRIEVAL)


def _layers(sequence: NativeSequence) -> list[dict[str, Any]]:
    found = sequence.retrieval()
    assert found is not None
    layers: list[dict[str, Any]] = found["layers"]
    return layers
