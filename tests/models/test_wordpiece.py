"""WordPiece against its rules on a vocabulary made here, and against the reference tokenizer."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.store import ModelStore
from edgevid.models.wordpiece import WordPiece

PIECES = "[PAD] [UNK] [CLS] [SEP] a ab ##b ##bc cafe ##s , . 中 σσ ##σ hello".split()
IDS = {piece: number for number, piece in enumerate(PIECES)}


def document(**changes: object) -> dict[str, object]:
    model = {"vocab": IDS, "continuing_subword_prefix": "##", "max_input_chars_per_word": 8}
    return {"model": model, "normalizer": {"lowercase": True}, "truncation": {"max_length": 6}, **changes}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", ""),
        (" \t\n\u3000 ", ""),
        ("A", "a"),
        ("abbc", "ab ##bc"),
        ("abz", "[UNK]"),
        ("Cafés", "cafe ##s"),
        ("cafe\u0301s", "cafe ##s"),
        ("a,a.", "a , a ."),
        ("a中a", "a 中 a"),
        ("ΣΣΣ", "σσ ##σ"),
        ("a\x00\u200bb", "ab"),
        ("abbbbbbbb", "[UNK]"),
        ("a a a a a a a a", "a a a a"),
        ("[SEP]", "[UNK] [UNK] [UNK]"),
    ],
)
def test_rules(tmp_path: Path, text: str, pieces: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document()))
    assert WordPiece.load(path)(text) == [IDS["[CLS]"], *(IDS[p] for p in pieces.split()), IDS["[SEP]"]]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps(document(normalizer={"lowercase": False})),
        json.dumps(document(normalizer=None)),
        json.dumps(document(model={"vocab": {}})),
        json.dumps(document(model={**document()["model"], "vocab": {"a": 1}})),  # type: ignore[dict-item]
        json.dumps(document(model={**document()["model"], "vocab": {"a": "x"}})),  # type: ignore[dict-item]
        json.dumps(document(truncation={"max_length": "x"})),
    ],
)
def test_another_kind_of_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(BadModelError, match="not a WordPiece tokenizer"):
        WordPiece.load(path)


@pytest.mark.packs
def test_agrees_with_the_reference_on_unicode(store: ModelStore) -> None:
    """Every character whose category never changed (the reference has old tables), alone and mixed."""
    tokenizers = pytest.importorskip("tokenizers")
    path = store.where("minilm-l6-int8")["tokenizer.json"]
    reference = tokenizers.Tokenizer.from_file(str(path))
    reference.no_padding()
    ours = WordPiece.load(path)
    old = [chr(c) for c in range(1, 0x30000) if not 0xD800 <= c < 0xE000 and known_to_reference(chr(c))]
    chance = random.Random(0)
    texts = ["a" + "b a".join(old[i : i + 12]) + "b" for i in range(0, len(old), 12)]
    texts += ["".join(chance.choices(old, k=15) + chance.choices("abc ,.ΣİÉ", k=15)) for _ in range(3000)]
    different = [text for text in texts if reference.encode(text).ids != ours(text)]
    assert not different, f"{len(different)} of {len(texts)}: {different[:3]!r}"


def known_to_reference(char: str) -> bool:
    """Whether Unicode 3.2 has it with today's category: what no version since disagrees about."""
    return unicodedata.ucd_3_2_0.category(char) == unicodedata.category(char) != "Cn"
