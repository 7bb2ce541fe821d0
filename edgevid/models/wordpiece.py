"""BERT's uncased WordPiece tokenizer, read from the `tokenizer.json` of a pack.

Own code because the `tokenizers` package brings an HTTP stack into an offline program; a test compares them.
Source: Devlin et al. 2018 and the reference tokenizer's rules (clean, split CJK, lower-case, strip accents,
split punctuation, longest match first).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from edgevid.core.errors import BadModelError

_CJK = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class WordPiece:
    """Text to token ids: ``[CLS] pieces [SEP]``, at most `max_tokens` of them.

    Args:
        vocabulary: piece -> id; pieces inside a word begin with ``##``.
        max_tokens: longer texts lose their end.
        max_word: words of more characters become ``[UNK]``.
    """

    def __init__(self, vocabulary: Mapping[str, int], *, max_tokens: int = 128, max_word: int = 100) -> None:
        self._vocabulary = vocabulary
        self._max_tokens = max_tokens
        self._max_word = max_word
        self._unknown, self._cls, self._sep = (vocabulary[piece] for piece in ("[UNK]", "[CLS]", "[SEP]"))
        self._pieces = lru_cache(maxsize=8192)(self._split)

    @classmethod
    def load(cls, path: Path) -> WordPiece:
        """Read a `tokenizer.json` that holds an uncased WordPiece model.

        Raises:
            BadModelError: another kind of tokenizer, or a damaged file.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            model, normalizer = document["model"], document["normalizer"]
            if model["continuing_subword_prefix"] != "##" or not normalizer["lowercase"]:
                raise ValueError("not an uncased WordPiece model")
            limits = {"max_tokens": int((document["truncation"] or {"max_length": 512})["max_length"])}
            vocabulary = {str(piece): int(number) for piece, number in model["vocab"].items()}
            return cls(vocabulary, **limits, max_word=int(model["max_input_chars_per_word"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadModelError(f"{path}: not a WordPiece tokenizer: {error!r}") from None

    def __call__(self, text: str) -> list[int]:
        ids = [piece for word in _words(text) for piece in self._pieces(word)]
        return [self._cls, *ids[: self._max_tokens - 2], self._sep]

    def _split(self, word: str) -> tuple[int, ...]:
        """Longest match first; one part without a match makes the whole word unknown."""
        if len(word) > self._max_word:
            return (self._unknown,)
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                number = self._vocabulary.get(prefix + word[start:end])
                if number is not None:
                    break
            else:
                return (self._unknown,)
            ids.append(number)
            start = end
        return tuple(ids)


def _words(text: str) -> Iterator[str]:
    """Normalized words; a punctuation mark or CJK character is a word of its own."""
    decomposed = unicodedata.normalize("NFD", "".join(_clean(char) for char in text))
    # One by one: the lower case of a whole string has a second sigma for the end of a word.
    plain = "".join(char.lower() for char in decomposed if unicodedata.category(char) != "Mn")
    spaced = (f" {char} " if _is_punctuation(char) else char for char in plain)
    yield from "".join(spaced).split()


def _clean(char: str) -> str:
    if char in "\t\n\r":
        return " "
    category = unicodedata.category(char)
    if char in "\0\ufffd" or category in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if any(first <= ord(char) <= last for first, last in _CJK):
        return f" {char} "
    return " " if category == "Zs" else char


def _is_punctuation(char: str) -> bool:
    return char in _ASCII_PUNCTUATION or unicodedata.category(char).startswith("P")
