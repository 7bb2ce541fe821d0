"""pytest-benchmark over the native decoder: ``pytest bench/bench_decoder.py``."""

from __future__ import annotations

from typing import Any

import pytest

from edgevid.bench.decoder import MODEL, STEPS
from edgevid.core.errors import MissingPartError
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence
from edgevid.models.store import ModelStore


@pytest.fixture(scope="module")
def sequence() -> NativeSequence:
    try:
        path = ModelStore().where(MODEL)["model.gguf"]
    except MissingPartError as error:
        pytest.skip(str(error))
    sequence = NativeLanguageModel(path).new_sequence()
    sequence.append_tokens(range(100, 612), logits="none")
    return sequence


@pytest.mark.parametrize("what", STEPS)
def test_append_at_depth_512(benchmark: Any, sequence: NativeSequence, what: str) -> None:
    count, rounds = STEPS[what]

    def append() -> None:
        sequence.append_tokens(range(1000, 1000 + count))
        sequence.truncate(512)

    benchmark.pedantic(append, rounds=rounds, warmup_rounds=1)
