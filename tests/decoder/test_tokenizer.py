"""The tokenizer of a GGUF file through the Python binding."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.core.errors import BadModelError
from tests.decoder.vocab_gguf import byte_level_vocabulary, frequent_merges, sentence_piece_vocabulary

native = pytest.importorskip("edgevid._native")


@pytest.fixture(scope="module")
def merges() -> list[tuple[str, str]]:
    return frequent_merges(seed=4, count=500)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory, merges: list[tuple[str, str]]) -> Any:
    path = byte_level_vocabulary(
        tmp_path_factory.mktemp("vocab") / "v.gguf", merges, special=("<|im_end|>", "<tool>")
    )
    return native.Tokenizer(str(path))


def test_text_and_bytes_are_the_same(tokenizer: Any) -> None:
    assert tokenizer.encode("héllo wörld") == tokenizer.encode("héllo wörld".encode())


def test_special_tokens(tokenizer: Any) -> None:
    end = tokenizer.eos
    assert tokenizer.end_tokens == [end]
    assert tokenizer.encode("<|im_end|>") == [end]
    plain = tokenizer.encode("<|im_end|>", parse_special=False)
    assert end not in plain
    assert tokenizer.decode(plain) == b"<|im_end|>"
    assert tokenizer.decode([end]) == b""
    assert tokenizer.decode([end], special=True) == b"<|im_end|>"


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80))
def test_text_comes_back(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text, parse_special=False)
    assert tokenizer.decode(ids).decode() == text


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_taken(tokenizer: Any, data: bytes) -> None:
    ids = tokenizer.encode(data)
    assert all(0 <= i < tokenizer.size for i in ids)
    tokenizer.decode(ids, special=True).decode("utf-8", "surrogatepass")


def test_lone_surrogates_are_taken(tokenizer: Any) -> None:
    assert tokenizer.decode(tokenizer.encode("a\udc80b")).startswith(b"a")


@pytest.mark.parametrize("word", ["a", "ab", "é", "漢", " ", "<", "\x80"])
def test_a_megabyte_without_a_break_takes_seconds_not_hours(tokenizer: Any, word: str) -> None:
    text = word * (1_000_000 // len(word.encode()))
    began = time.monotonic()
    ids = tokenizer.encode(text)
    assert time.monotonic() - began < 20
    assert tokenizer.decode(ids).decode() == text


def test_ids_out_of_range_are_refused(tokenizer: Any) -> None:
    for bad in (-1, tokenizer.size):
        with pytest.raises(ValueError, match="not in the vocabulary"):
            tokenizer.decode([bad])


def test_threads_share_one_tokenizer(tokenizer: Any) -> None:
    texts = [f"line {i} of {i * i}" for i in range(200)]
    expected = [tokenizer.encode(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(tokenizer.encode, texts)) == expected


def test_unknown_pre_tokenizer_is_named(tmp_path: Path, merges: list[tuple[str, str]]) -> None:
    path = byte_level_vocabulary(tmp_path / "v.gguf", merges, pre="tekken")
    with pytest.raises(BadModelError, match="the pre-tokenizer 'tekken' is not supported"):
        native.Tokenizer(str(path))


def test_sentence_piece(tmp_path: Path) -> None:
    tokenizer = native.Tokenizer(str(sentence_piece_vocabulary(tmp_path / "v.gguf", seed=6, size=500)))
    ids = tokenizer.encode("the frame 漢😀")
    assert ids[0] == tokenizer.bos
    assert tokenizer.decode(ids) == " the frame 漢😀".encode()
