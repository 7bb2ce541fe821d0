"""The native decoder on tiny random models of every kind, against a plain torch forward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Q

from edgevid.models.native_llm import NativeLanguageModel
from tests.models.test_native_llm import IDS, WINDOW, evicted_at, native_logits
from tests.models.tiny_gguf import TinyModel, write_tiny

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edgevid[dev]'")
from tests.models.torch_llama import TorchLlama  # noqa: E402

TYPES = (Q.F32, Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q4_K, Q.Q6_K)
KINDS = {
    "tied": TinyModel(),
    "untied": TinyModel(tied=False),
    "qwen2": TinyModel(arch="qwen2", bias=True, tied=False),
    "llama3": TinyModel(rope_factors=True, rope_base=500000.0),
    "one-kv-head": TinyModel(heads=4, kv_heads=1),
    "head-of-40": TinyModel(hidden=160, heads=4, kv_heads=4, ff=96),
}


def torch_logits(path: Path, ids: list[int], **options: torch.Tensor | bool) -> np.ndarray:
    reference = TorchLlama(path)
    return reference.forward(reference.embed(ids), **options)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_mode_equals_torch_for_every_kind_of_model(tmp_path: Path, kind: str) -> None:
    path = write_tiny(tmp_path / "m.gguf", KINDS[kind])
    ours = native_logits(NativeLanguageModel(path, exact=True), IDS)
    assert np.abs(ours - torch_logits(path, IDS)).max() <= 1e-3 / 20


@pytest.mark.parametrize("weight_type", TYPES, ids=lambda t: t.name)
def test_exact_mode_equals_torch_for_every_weight_type(tmp_path: Path, weight_type: Q) -> None:
    path = write_tiny(tmp_path / "m.gguf", TinyModel(weight_type=weight_type))
    ours = native_logits(NativeLanguageModel(path, exact=True), IDS)
    assert np.abs(ours - torch_logits(path, IDS)).max() <= 1e-3 / 10


@pytest.mark.parametrize("weight_type", TYPES, ids=lambda t: t.name)
def test_usual_mode_stays_close_to_torch(tmp_path: Path, weight_type: Q) -> None:
    """F16 keys and values for all; 8-bit activations where weights are quantised (about 0.5 % per
    product)."""
    path = write_tiny(tmp_path / "m.gguf", TinyModel(weight_type=weight_type))
    reference = torch_logits(path, IDS, f16_kv=True)
    error = native_logits(NativeLanguageModel(path), IDS) - reference
    bound = 1e-3 if weight_type in (Q.F32, Q.F16, Q.BF16) else 0.03
    assert np.sqrt((error**2).mean()) <= bound * reference.std()


def test_a_window_equals_torch_with_the_same_keys_hidden_and_moved(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "m.gguf", TinyModel(layers=3, rope_factors=True))
    sequence = NativeLanguageModel(path, kv=WINDOW, exact=True).new_sequence()
    ours = np.concatenate([sequence.append_tokens(IDS[i : i + 10], logits="all") for i in range(0, 150, 10)])
    visible = torch.zeros(150, 150, dtype=torch.bool)
    shift = torch.zeros(150, 150, dtype=torch.long)
    for start in range(0, 150, 10):
        rows, evicted = slice(start, start + 10), evicted_at(start + 10)
        visible[rows, :16] = visible[rows, 16 + evicted :] = True
        shift[rows, :16] = evicted
    reference = torch_logits(path, IDS, visible=visible.tril(), key_shift=shift)
    assert np.abs(ours - reference).max() <= 1e-3


def test_attending_sinks_and_recent_equals_torch_with_the_rest_hidden(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "m.gguf", TinyModel())
    sequence = NativeLanguageModel(path, exact=True).new_sequence(attend_sinks=8, attend_recent=24)
    ours = np.concatenate([sequence.append_tokens(IDS[i : i + 10], logits="all") for i in range(0, 150, 10)])
    visible = torch.zeros(150, 150, dtype=torch.bool)
    for start in range(0, 150, 10):
        visible[start : start + 10, :8] = True
        visible[start : start + 10, max(0, start - 24) : start + 10] = True
    reference = torch_logits(path, IDS, visible=visible.tril())
    assert np.abs(ours - reference).max() <= 1e-3
    assert sequence.kv().selection == "window 8+24"
