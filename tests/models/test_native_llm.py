"""The native decoder on tiny random models, against itself: one text, cut, forked, windowed in other ways."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Q

from edgevid.core.errors import LimitError, UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, embedding_rows
from tests.models.tiny_gguf import TinyModel, write_tiny

IDS = [int(t) for t in np.random.default_rng(1).integers(0, 257, 150)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TinyModel(weight_type=Q.Q8_0))


def native_logits(model: NativeLanguageModel, ids: list[int]) -> np.ndarray:
    return model.new_sequence().append_tokens(ids, logits="all")


def test_rows_give_exactly_what_their_tokens_give(tiny: Path) -> None:
    model = NativeLanguageModel(tiny)
    by_token = native_logits(model, IDS)
    rows = model.embed(IDS)
    assert rows.shape == (len(IDS), model.config.hidden)
    np.testing.assert_array_equal(model.new_sequence().append_rows(rows, logits="all"), by_token)
    np.testing.assert_array_equal(embedding_rows(tiny, IDS), rows)


@pytest.mark.parametrize(
    "kv",
    [
        KVConfig(page_size=16, sinks=16),
        KVConfig(page_size=64, sinks=16),
        KVConfig(page_size=64, sinks=16, dtype="int8"),
    ],
    ids=["pages of 16", "pages of 64", "int8"],
)
def test_steps_of_any_size_give_the_same_logits(tiny: Path, kv: KVConfig) -> None:
    """A row depends on its own past alone: cutting the text differently changes no bit."""
    model = NativeLanguageModel(tiny, kv=kv)
    whole = native_logits(model, IDS)
    for cuts in ([1] * 150, [7, 64, 1, 78], [149, 1]):
        sequence, parts, at = model.new_sequence(), [], 0
        for n in cuts:
            parts.append(sequence.append_tokens(IDS[at : at + n], logits="all"))
            at += n
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_threads_change_no_bit(tiny: Path, dtype: Literal["f16", "int8"]) -> None:
    kv = KVConfig(dtype=dtype)
    one, three = (native_logits(NativeLanguageModel(tiny, kv=kv, threads=n), IDS) for n in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_int8_keys_and_values_cost_little_and_take_little(tiny: Path) -> None:
    models = [NativeLanguageModel(tiny, kv=KVConfig(dtype=dtype)) for dtype in ("f16", "int8")]
    wide, narrow = (native_logits(model, IDS) for model in models)
    error = np.linalg.norm(narrow - wide) / np.linalg.norm(wide)
    assert 1e-4 < error < 5e-2  # a random model magnifies it
    sequence = models[1].new_sequence()
    sequence.append_tokens(IDS[:33])
    shape = models[1].config
    of_head = shape.head_dim + 2 * -(-shape.head_dim // 32) + -(-shape.head_dim // 16) * 16 + 2
    assert sequence.kv().bytes == 64 * shape.layers * shape.kv_heads * of_head


def test_an_int8_window_that_slides_stays_close_to_float16(tiny: Path) -> None:
    wide, narrow = (
        NativeLanguageModel(tiny, kv=KVConfig(page_size=16, max_tokens=96, sinks=16, dtype=dtype))
        for dtype in ("f16", "int8")
    )
    steps = [IDS[at : at + 10] for at in range(0, 150, 10)]
    sequences = [model.new_sequence() for model in (wide, narrow)]
    for step in steps:
        want, got = (sequence.append_tokens(step, logits="all") for sequence in sequences)
        assert np.linalg.norm(got - want) < 5e-2 * np.linalg.norm(want)
    assert sequences[1].kv().tokens < 150


def test_logits_only_for_the_rows_asked(tiny: Path) -> None:
    model = NativeLanguageModel(tiny)
    whole = native_logits(model, IDS)
    np.testing.assert_array_equal(model.new_sequence().append_tokens(IDS), whole[-1:])
    assert model.new_sequence().append_tokens(IDS, logits="none").shape == (0, model.config.vocab)
    assert model.new_sequence().append_tokens([]).shape == (0, model.config.vocab)


def test_forks_do_not_see_each_other(tiny: Path) -> None:
    model = NativeLanguageModel(tiny)
    watching = model.new_sequence()
    watching.append_tokens(IDS[:70])
    asking = watching.fork()
    asked = asking.append_tokens(IDS[100:140], logits="all")
    watched = watching.append_tokens(IDS[70:100], logits="all")
    np.testing.assert_array_equal(watched, native_logits(model, IDS[:100])[70:])
    np.testing.assert_array_equal(asked, native_logits(model, IDS[:70] + IDS[100:140])[70:])
    asking.close()
    np.testing.assert_array_equal(watching.append_tokens(IDS[100:]), native_logits(model, IDS)[-1:])


def test_truncation_forgets(tiny: Path) -> None:
    model = NativeLanguageModel(tiny)
    sequence = model.new_sequence()
    sequence.append_tokens(IDS)
    sequence.truncate(33)
    np.testing.assert_array_equal(
        sequence.append_tokens(IDS[33:90], logits="all"), native_logits(model, IDS[:90])[33:]
    )
    with pytest.raises(UsageError, match="more tokens than there are"):
        sequence.truncate(91)


WINDOW = KVConfig(page_size=16, max_tokens=96, sinks=16)


def evicted_at(length: int) -> int:
    """Tokens dropped between 16 sinks and the newest when a window of 96 slides by whole pages of 16."""
    return max(0, -(-(length - 96) // 16) * 16)


def test_a_window_of_one_layer_equals_a_fresh_prefill_of_what_it_keeps(tmp_path: Path) -> None:
    """With one layer a token's key and value come from the token alone, so forgetting leaves no trace."""
    path = write_tiny(tmp_path / "m.gguf", TinyModel(layers=1))
    model = NativeLanguageModel(path, kv=WINDOW, exact=True)
    sequence = model.new_sequence()
    for start in range(0, 150, 10):
        last = sequence.append_tokens(IDS[start : start + 10])
    kept = [*range(16), *range(16 + evicted_at(150), 150)]
    assert sequence.kv().tokens == len(kept)
    assert sequence.kv().seen == sequence.length == 150
    fresh = model.new_sequence().append_tokens([IDS[i] for i in kept])
    assert np.abs(last - fresh).max() <= 1e-4


def test_kv_statistics_count_pages_once_per_fork(tiny: Path) -> None:
    model = NativeLanguageModel(tiny, kv=KVConfig(page_size=16, sinks=16))
    sequence = model.new_sequence()
    sequence.append_tokens(IDS[:33])
    stats = sequence.kv()
    per_token = 2 * model.config.layers * model.config.kv_heads * model.config.head_dim * 2
    assert (stats.tokens, stats.seen, stats.pages, stats.selection) == (33, 33, 3, "dense")
    assert stats.bytes == 3 * 16 * per_token


@pytest.mark.parametrize("page_size", [16, 64])
def test_every_copy_of_a_past_is_as_far_away_as_the_past(tiny: Path, page_size: int) -> None:
    model = NativeLanguageModel(tiny, kv=KVConfig(page_size=page_size, sinks=16))
    sequence = model.new_sequence()
    sequence.append_tokens(IDS[:70], logits="none")
    copies = sequence.repeated(3)
    assert (copies.length, copies.kv().tokens, sequence.length) == (210, 210, 70)
    # With three times every key and value attention is the same, but for the step's own rows.
    once = sequence.append_tokens(IDS[70:71])[0]
    thrice = copies.append_tokens(IDS[70:71])[0]
    assert np.corrcoef(once, thrice)[0, 1] > 0.99
    shifted = sequence.fork()
    shifted.append_tokens(IDS[71:100], logits="none")
    assert np.corrcoef(shifted.append_tokens(IDS[70:71])[0], once)[0, 1] < 0.98
    with pytest.raises(UsageError, match="0 times"):
        sequence.repeated(0)
    with pytest.raises(LimitError, match="holds 512 tokens"):
        sequence.repeated(8)
    sealing = model.new_sequence(retrieval=RetrievalConfig(segment=64, recent=16))
    with pytest.raises(UsageError, match="kept whole"):
        sealing.repeated(2)


def test_options_that_contradict_the_model_are_usage_errors(tiny: Path) -> None:
    for kv in (KVConfig(page_size=10), KVConfig(max_tokens=513), KVConfig(max_tokens=100, sinks=64)):
        with pytest.raises(UsageError, match=r"tiny\.gguf"):
            NativeLanguageModel(tiny, kv=kv)
    with pytest.raises(UsageError, match="exact keeps keys and values in f32"):
        NativeLanguageModel(tiny, kv=KVConfig(dtype="int8"), exact=True)
    model = NativeLanguageModel(tiny)
    with pytest.raises(UsageError, match="no token 320"):
        model.new_sequence().append_tokens([5, 320])
    with pytest.raises(UsageError, match="no token -1"):
        model.new_sequence().append_tokens([-1])
    with pytest.raises(UsageError, match="rows are 3 wide"):
        model.new_sequence().append_rows(np.zeros((2, 3), np.float32))
