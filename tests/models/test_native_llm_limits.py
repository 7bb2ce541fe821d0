"""Ending early, full caches, and files that lie about themselves."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Q
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from edgevid.core.errors import BadModelError, CancelledError, EdgevidError, LimitError
from edgevid.core.kv_config import KVConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence
from tests.models.tiny_gguf import TinyModel, write_tiny

LONG = [7] * 200_000  # minutes of work for the tiny model: every test that runs it ends it


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TinyModel(weight_type=Q.Q8_0))


@pytest.fixture(scope="module")
def model(tiny: Path) -> NativeLanguageModel:
    return NativeLanguageModel(tiny)


def still_works(sequence: NativeSequence) -> bool:
    before = sequence.length
    return len(sequence.append_tokens([1, 2, 3])) == 1 and sequence.length == before + 3


def test_another_thread_cancels_a_long_append(model: NativeLanguageModel) -> None:
    cancel, sequence = threading.Event(), model.new_sequence()
    threading.Timer(0.2, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(CancelledError, match="cancelled"):
        sequence.append_tokens(LONG, logits="none", cancel=cancel)
    assert time.monotonic() - began < 2.0
    assert 0 < sequence.length < len(LONG)
    assert still_works(sequence)


def test_a_cancel_that_is_already_set_runs_nothing(model: NativeLanguageModel) -> None:
    cancel, sequence = threading.Event(), model.new_sequence()
    cancel.set()
    with pytest.raises(CancelledError):
        sequence.append_tokens([1, 2], cancel=cancel)
    assert sequence.length == 0


def test_a_deadline_ends_an_append(model: NativeLanguageModel) -> None:
    sequence = model.new_sequence()
    began = time.monotonic()
    with pytest.raises(CancelledError, match="deadline"):
        sequence.append_tokens(LONG, logits="none", deadline_s=0.2)
    assert time.monotonic() - began < 2.0
    assert still_works(sequence)


def test_ctrl_c_ends_an_append(model: NativeLanguageModel) -> None:
    sequence = model.new_sequence()
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sequence.append_tokens(LONG, logits="none")
    assert time.monotonic() - began < 2.0
    assert still_works(sequence)


def test_other_threads_run_while_one_appends(model: NativeLanguageModel) -> None:
    """The GIL is released: a second sequence gets its answer while the first is busy."""
    cancel, busy = threading.Event(), model.new_sequence()

    def work() -> None:
        with pytest.raises(CancelledError):
            busy.append_tokens(LONG, logits="none", cancel=cancel)

    thread = threading.Thread(target=work)
    thread.start()
    other = model.new_sequence()
    for _ in range(20):
        other.append_tokens([1, 2, 3])
    assert thread.is_alive()
    cancel.set()
    thread.join(5)
    assert not thread.is_alive()


def test_a_full_cache_is_a_limit_error_and_leaves_the_sequence_whole(tiny: Path) -> None:
    model = NativeLanguageModel(tiny, kv=KVConfig(page_size=16, sinks=16), kv_tokens=64)
    sequence = model.new_sequence()
    sequence.append_tokens([1] * 60)
    with pytest.raises(LimitError, match="KV cache is full: all 4 pages"):
        sequence.append_tokens([1] * 5)
    assert sequence.length == 60
    assert still_works(sequence)
    sequence.close()
    assert len(model.new_sequence().append_tokens([1] * 64)) == 1  # the pages came back


def test_a_closed_sequence_refuses(model: NativeLanguageModel) -> None:
    sequence = model.new_sequence()
    sequence.close()
    sequence.close()
    with pytest.raises(EdgevidError, match="closed"):
        sequence.append_tokens([1])


def rewrite(source: Path, target: Path, *, keys: dict[str, Any], tensors: Callable[[str, Any], Any]) -> Path:
    """Copy a GGUF file with some keys replaced and each tensor's data passed through ``tensors`` (None drops
    it)."""
    reader = GGUFReader(source)
    writer = GGUFWriter(target, keys.get("general.architecture", "llama"))
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value, kind = field.contents(), field.types[0]
        if name in keys:
            value = keys[name]
            kind = GGUFValueType.FLOAT32 if isinstance(value, float) else GGUFValueType.get_type(value)
        if value is not None:
            writer.add_key_value(name, value, kind, field.types[-1] if len(field.types) > 1 else None)
    for tensor in reader.tensors:
        if (data := tensors(tensor.name, tensor.data)) is not None:
            writer.add_tensor(tensor.name, np.ascontiguousarray(data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = TinyModel(layers=1, hidden=64, heads=4, kv_heads=2, ff=64)
    return write_tiny(tmp_path_factory.mktemp("plain") / "plain.gguf", shape)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("general.architecture", "mamba", "architecture 'mamba' is not supported"),
        ("llama.block_count", 0, "block_count is 0"),
        ("llama.block_count", 2, "blk.1.attn_norm.weight"),
        ("llama.block_count", 2_000_000_000, "outside 1"),
        ("llama.embedding_length", 128, "token_embd.weight is"),
        ("llama.embedding_length", 66, "not a multiple of head_count"),
        ("llama.attention.head_count", 0, "head_count is 0"),
        ("llama.attention.head_count", 3, "not a multiple"),
        ("llama.attention.head_count", 8, "attn_k.weight"),
        ("llama.attention.head_count", 64, "head_dim is odd"),
        ("llama.attention.head_count_kv", 3, "not a multiple of the number of KV heads"),
        ("llama.attention.head_count_kv", 4, "attn_k.weight is"),
        ("llama.feed_forward_length", 63, "ffn_gate.weight is"),
        ("llama.feed_forward_length", 1_000_000, "out of proportion"),
        ("llama.context_length", 0, "context_length is 0"),
        ("llama.rope.freq_base", 0.0, "freq_base must be above 1"),
        ("llama.rope.freq_base", float("nan"), "not a finite number"),
        ("llama.attention.layer_norm_rms_epsilon", -1.0, "outside"),
        ("llama.attention.layer_norm_rms_epsilon", float("inf"), "not a finite number"),
    ],
)
def test_metadata_that_contradicts_the_tensors_is_refused(
    plain: Path, tmp_path: Path, key: str, value: Any, message: str
) -> None:
    path = rewrite(plain, tmp_path / "bad.gguf", keys={key: value}, tensors=lambda _, data: data)
    with pytest.raises(BadModelError, match=message):
        NativeLanguageModel(path)


def swapped(target: str, data: np.ndarray | None) -> Callable[[str, Any], Any]:
    return lambda name, old: data if name == target else old


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swapped("blk.0.ffn_up.weight", None), "ffn_up.weight"),
        (swapped("output_norm.weight", np.ones(63, np.float32)), r"output_norm.weight is \[1, 63\]"),
        (swapped("blk.0.attn_norm.weight", np.ones(64, np.float16)), "F16, not F32"),
        (swapped("blk.0.attn_v.weight", np.ones((16, 64), np.float32)), "attn_v.weight is"),
        (lambda name, data: data[:, :, None] if name == "blk.0.attn_v.weight" else data, "attn_v.weight is"),
    ],
)
def test_tensors_of_wrong_shape_are_refused(
    plain: Path, tmp_path: Path, change: Callable[[str, Any], Any], message: str
) -> None:
    path = rewrite(plain, tmp_path / "bad.gguf", keys={}, tensors=change)
    with pytest.raises(BadModelError, match=message):
        NativeLanguageModel(path)


def test_a_tensor_without_a_place_is_refused(tmp_path: Path) -> None:
    """Half a set of biases, or a tensor of another architecture, would be another model."""
    path = write_tiny(
        tmp_path / "bias.gguf", TinyModel(layers=1, hidden=64, heads=4, kv_heads=2, ff=64, bias=True)
    )
    bad = rewrite(path, tmp_path / "bad.gguf", keys={}, tensors=swapped("blk.0.attn_q.bias", None))
    with pytest.raises(BadModelError, match=r"attn_k\.bias has no place"):
        NativeLanguageModel(bad)


def test_a_truncated_or_missing_file_is_refused(plain: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(plain.read_bytes()[:-1])
    for path in (cut, tmp_path / "none.gguf", tmp_path):
        with pytest.raises(BadModelError):
            NativeLanguageModel(path)


def test_flipped_bits_never_crash(plain: Path, tmp_path: Path) -> None:
    """Every damaged file loads and runs, or is refused with one of our errors."""
    data, rng = plain.read_bytes(), np.random.default_rng(5)
    header = data.index(b"blk.0.ffn_down.weight") + 64
    outcomes = {"ran": 0, "refused": 0}
    for _ in range(300):
        damaged = bytearray(data)
        for at in rng.integers(4, header, 3):
            damaged[at] ^= 1 << int(rng.integers(8))
        path = tmp_path / "damaged.gguf"
        path.write_bytes(damaged)
        try:
            NativeLanguageModel(path, threads=1).new_sequence().append_tokens([1, 2, 3])
            outcomes["ran"] += 1
        except EdgevidError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 100
