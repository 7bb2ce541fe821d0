"""The native decoder on real weights: SmolLM2 against llama.cpp (recorded and live) and against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.bench.parity import agreement, log_softmax
from edgevid.core.kv_config import KVConfig
from edgevid.models.chat import Message, chat_tokens
from edgevid.models.hashing import sha256_of
from edgevid.models.native_llm import NativeLanguageModel
from edgevid.models.store import ModelStore

pytestmark = pytest.mark.packs
FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture(scope="module")
def path(store: ModelStore) -> Path:
    return store.where("smollm2-135m-instruct")["model.gguf"]


@pytest.fixture(scope="module")
def recorded(path: Path) -> dict[str, Any]:
    """See tests/fixtures/record_llama_cpp.py."""
    fixture = dict(np.load(FIXTURES / "llama_cpp_smollm2.npz"))
    assert str(fixture["model_sha256"]) == sha256_of(path), "recorded from another file: record anew"
    return fixture


@pytest.fixture(scope="module")
def model(path: Path) -> NativeLanguageModel:
    return NativeLanguageModel(path)


def test_exact_mode_agrees_with_llama_cpp_over_2000_tokens(path: Path, recorded: dict[str, Any]) -> None:
    """F32 throughout on both sides. The goal is 99 % and 1e-3 nats; measured: every token and 2e-10."""
    ids = recorded["ids"].tolist()
    logits = NativeLanguageModel(path, exact=True).new_sequence().append_tokens(ids, logits="all")
    top1, kl = agreement(recorded["top_ids"], recorded["top_logprobs"], logits)
    assert top1 >= 0.999
    assert kl <= 1e-6


def test_usual_mode_is_as_close_to_exact_as_llama_cpp_is(
    model: NativeLanguageModel, recorded: dict[str, Any]
) -> None:
    """Both round activations to 8 bits in blocks of 32, so both stray from F32 by the same amount."""
    logits = model.new_sequence().append_tokens(recorded["ids"].tolist(), logits="all")
    top1, kl = agreement(recorded["top_ids"], recorded["top_logprobs"], logits)
    assert top1 >= float(recorded["usual_top1"]) - 0.01
    assert kl <= 1.15 * float(recorded["usual_kl"])


def test_int8_keys_and_values_cost_no_likelihood(
    path: Path, model: NativeLanguageModel, recorded: dict[str, Any]
) -> None:
    """1,000 tokens of real text, dense. The goal is retrieval's, 0.02 nats; measured: 0.003."""
    ids = recorded["ids"][:1001].tolist()
    nll = []
    for kept in (model, NativeLanguageModel(path, kv=KVConfig(dtype="int8"))):
        logits = kept.new_sequence().append_tokens(ids[:-1], logits="all")
        nll.append(-log_softmax(logits)[np.arange(1000), ids[1:]])
    assert abs((nll[1] - nll[0]).mean()) <= 0.02
    assert np.abs(nll[1] - nll[0]).max() > 0


def test_exact_mode_agrees_with_torch(path: Path, recorded: dict[str, Any]) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'edgevid[dev]'")
    from tests.models.torch_llama import TorchLlama

    ids = recorded["ids"][:200].tolist()
    reference = TorchLlama(path)
    ours = NativeLanguageModel(path, exact=True).new_sequence().append_tokens(ids, logits="all")
    assert np.abs(ours - reference.forward(reference.embed(ids))).max() <= 1e-3


def test_a_live_llama_cpp_agrees(path: Path, model: NativeLanguageModel, recorded: dict[str, Any]) -> None:
    """Full KL over the whole vocabulary, each in its usual mode: two independent roundings apart."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'edgevid[vlm]'")
    from edgevid.models.llama_cpp_llm import LlamaCppModel

    ids = recorded["ids"][:300].tolist()
    with LlamaCppModel(path, context=512) as other:
        assert other.tokenize(model.detokenize(ids)) == ids
        theirs = log_softmax(other.new_sequence().append_tokens(ids, logits="all"))
    ours = log_softmax(model.new_sequence().append_tokens(ids, logits="all"))
    kl = (np.exp(theirs) * (theirs - ours)).sum(axis=1).mean()
    assert kl <= 3 * float(recorded["usual_kl"])
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1)).mean() >= 0.93


def test_it_answers_and_follows_constraints(model: NativeLanguageModel) -> None:
    sequence = model.new_sequence()
    question = Message("user", "What is the capital of France?")
    sequence.append_tokens(chat_tokens(model, [question]))
    answer = "".join(piece.text for piece in sequence.fork().generate(max_tokens=24))
    assert "Paris" in answer
    chosen = "".join(p.text for p in sequence.fork().generate(choices=["London", "Paris", "Rome"]))
    assert chosen == "Paris"
