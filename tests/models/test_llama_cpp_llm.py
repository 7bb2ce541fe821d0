"""The llama.cpp backend keeps the protocol: it agrees with the native one on tiny models, call by call."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Q

from edgevid.core.errors import BadModelError, CancelledError, LimitError, MissingPartError, UsageError
from edgevid.models.llama_cpp_llm import LlamaCppModel
from edgevid.models.llm import LanguageModel
from edgevid.models.native_llm import NativeLanguageModel
from tests.models.tiny_gguf import TinyModel, write_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TinyModel(weight_type=Q.F32, bias=True))


@pytest.fixture(scope="module")
def theirs(tiny: Path) -> LlamaCppModel:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'edgevid[vlm]'")
    return LlamaCppModel(tiny, threads=1, f32_kv=True)


@pytest.fixture(scope="module")
def ours(tiny: Path) -> NativeLanguageModel:
    return NativeLanguageModel(tiny, exact=True)


def test_both_backends_say_the_same(theirs: LlamaCppModel, ours: NativeLanguageModel) -> None:
    text = "The thin cat sat, then ran."
    ids = ours.tokenize(text)
    assert theirs.tokenize(text) == ids
    assert theirs.detokenize(ids) == ours.detokenize(ids) == text
    assert theirs.config == ours.config
    by_backend = []
    for model in (theirs, ours):
        backend: LanguageModel = model
        sequence = backend.new_sequence()
        sequence.append_rows(backend.embed(ids[:5]), logits="none")
        rows = sequence.append_tokens(ids[5:], logits="all")
        fork = sequence.fork()
        sequence.truncate(7)
        by_backend.append([rows, fork.append_tokens([3]), sequence.append_tokens([4])])
        assert sequence.length == sequence.kv().tokens == 8
    for a, b in zip(*by_backend, strict=True):
        assert np.abs(a - b).max() <= 1e-3


def test_generation_is_the_same(theirs: LlamaCppModel, ours: NativeLanguageModel) -> None:
    said = []
    for model in (theirs, ours):
        sequence = model.new_sequence()
        sequence.append_tokens(model.tokenize("Once"))
        said.append(
            [
                list(sequence.fork().generate(max_tokens=8)),
                list(sequence.fork().generate(choices=["yes", "no"])),
                list(
                    sequence.fork().generate(max_tokens=8, temperature=1.0, seed=2, grammar="root ::= [a-z]+")
                ),
            ]
        )
    assert said[0] == said[1]


def test_a_full_context_and_wrong_input_are_errors(tiny: Path, theirs: LlamaCppModel) -> None:
    with LlamaCppModel(tiny, threads=1, context=64, sequences=1) as small:
        sequence = small.new_sequence()
        with pytest.raises(LimitError, match="in use"):
            small.new_sequence()
        with pytest.raises(LimitError, match="full"):
            sequence.append_tokens([1] * (small.capacity + 1))
        sequence.close()
        assert len(small.new_sequence().append_tokens([1, 2])) == 1
    sequence = theirs.new_sequence()
    with pytest.raises(UsageError, match="outside"):
        sequence.append_tokens([100_000])
    with pytest.raises(UsageError, match="shape"):
        sequence.append_rows(np.zeros((2, 3), np.float32))
    with pytest.raises(UsageError, match="truncate"):
        sequence.truncate(5)


def test_cancel_and_deadline_end_an_append(theirs: LlamaCppModel) -> None:
    cancel = threading.Event()
    cancel.set()
    sequence = theirs.new_sequence()
    for options in ({"cancel": cancel}, {"deadline_s": 0.0}):
        with pytest.raises(CancelledError):
            sequence.append_tokens([1] * 100, **options)  # type: ignore[arg-type]
        assert sequence.length == 0
    assert len(sequence.append_tokens([1])) == 1


def test_nothing_is_generated_from_logits_before_a_failed_append(theirs: LlamaCppModel) -> None:
    sequence = theirs.new_sequence()
    sequence.append_tokens([1])
    with pytest.raises(CancelledError):
        sequence.append_tokens([2] * 100, deadline_s=0.0)
    with pytest.raises(UsageError, match="nothing to continue"):
        sequence.generate()


def test_a_sequence_dropped_in_a_call_is_reused_later(tiny: Path, theirs: LlamaCppModel) -> None:
    with LlamaCppModel(tiny, threads=1, context=64, sequences=1) as small:
        sequence = small.new_sequence()
        sequence.append_tokens([1] * 60)
        with small.lock:  # as when the garbage collector runs inside of a call
            del sequence
        assert len(small.new_sequence().append_tokens([1] * 60)) == 1


def test_a_file_whose_name_is_no_utf8(tiny: Path, theirs: LlamaCppModel, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff.gguf")
    odd.write_bytes(tiny.read_bytes())
    with LlamaCppModel(odd, threads=1) as model:
        assert model.config == theirs.config


def test_a_missing_package_and_a_bad_file_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF nothing")
    if sys.modules.get("llama_cpp") is not None:
        with pytest.raises(BadModelError, match="cannot load"):
            LlamaCppModel(bad)
        with pytest.raises(BadModelError, match=r"no such model file.*check the path"):
            LlamaCppModel(tmp_path / "none.gguf")
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(MissingPartError, match=r"edgevid\[vlm\]"):
        LlamaCppModel(bad)
