"""tokenizer.json read into GGUF's table gives the ids that the tokenizers package gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.native import native_library
from edgevid.models.vlm.tokenizer_gguf import TokenizerTable

pytest.importorskip("tokenizers")
pytest.importorskip("transformers")
from tests.models.vlm.random_checkpoints import CORPUS, write_bpe, write_llama2_bpe

TEXTS = [
    *CORPUS[:4],
    "",
    " ",
    "a",
    "  two  spaces ",
    "1234567 and 12",
    "don't DON'T we'll",
    "\n\n x \r\n",
    "日本語 unknown ☃ ünï",
    "<image>x<image>",
]


@pytest.mark.parametrize("kind", ["smollm", "gpt-2", "llama-bpe", "qwen2", "llama 2"])
def test_ids_are_those_of_tokenizers(kind: str, tmp_path: Path) -> None:
    from gguf import GGUFWriter

    reference = write_llama2_bpe(tmp_path) if kind == "llama 2" else write_bpe(tmp_path, kind)
    table = TokenizerTable.of_folder(tmp_path, rows=reference.get_vocab_size() + 5)
    writer = GGUFWriter(tmp_path / "t.gguf", "llama")
    table.add_to(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tokenizer = native_library().Tokenizer(str(tmp_path / "t.gguf"))
    for text in TEXTS:
        expected = reference.encode(text, add_special_tokens=False).ids
        assert tokenizer.encode(text, add_special=False, parse_special=True) == expected
        begun = reference.encode(text).ids
        assert tokenizer.encode(text, add_special=True, parse_special=True) == begun
    assert table.add_bos == (kind == "llama 2")
    assert table.pre == (None if kind == "llama 2" else kind)


def changed(folder: Path, **changes: Any) -> None:
    write_bpe(folder, "smollm")
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"type": "Unigram", "vocab": []}}, "type is not BPE"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": []}, "vocab is empty"),
        ({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}, "has the token id -1"),
        ({"model": {"type": "BPE", "vocab": {"a": "0"}, "merges": []}}, "has the token id 0"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b c"]}}, "is no pair"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [5]}}, "is no pair"),
        (
            {"added_tokens": [{"id": 100000, "content": "x"}]},
            "has token 100000, but the embedding has 400 rows",
        ),
        ({"added_tokens": [5]}, "added_tokens: content is missing"),
        ({"added_tokens": [{"id": 3, "content": "\ud800"}]}, "half of a surrogate pair"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "not the one of SmolLM2, Llama 3, Qwen2 or GPT-2"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [5, None]}}, "not the one of SmolLM2"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": 7}}, "pretokenizers is not a list"),
    ],
)
def test_what_is_not_understood_is_named(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    changed(tmp_path, **changes)
    with pytest.raises(BadModelError, match=said):
        TokenizerTable.of_folder(tmp_path, rows=400)
