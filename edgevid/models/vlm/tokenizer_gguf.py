"""tokenizer.json of a checkpoint as the tokenizer table of a GGUF file.

Two kinds are read: byte-level BPE (SmolLM2, Llama 3, Qwen2, GPT-2), told apart by their pre-tokenizer, and
BPE with byte fallback (Llama 2), which GGUF keeps as SentencePiece with scores. Scores are the negated ranks
of the merges: joining the best-scored neighbours first is then the same as merging by rank.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.models.vlm.fields import Fields, read_json

if TYPE_CHECKING:
    from gguf import GGUFWriter

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6  # GGUF's token types
_MAX_TOKENS = 1 << 20
_LAST_SCORE = -1e7  # for names that no merge makes

# The regular expressions by which these families cut text, as their tokenizer.json spell them.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {
    _CONTRACTIONS + r"\p{N}{1,3}" + _REST: "llama-bpe",
    _CONTRACTIONS + r"\p{N}" + _REST: "qwen2",
}


@dataclass(frozen=True, slots=True)
class TokenizerTable:
    """The fields of GGUF's tokenizer; lists are one entry per embedding row.

    ``pre`` is None for the SentencePiece kind, which has ``scores`` in place of ``merges``.
    """

    names: list[str]
    kinds: list[int]
    pre: str | None
    merges: list[str]
    scores: list[float]
    special: Mapping[str, int]
    add_bos: bool
    add_space_prefix: bool

    @classmethod
    def of_folder(cls, folder: Path, *, rows: int) -> TokenizerTable:
        """Read tokenizer.json (and tokenizer_config.json where there is one) for ``rows`` embedding rows.

        Raises:
            BadModelError: a file is malformed or of another kind; the message says what.
        """
        path = folder / "tokenizer.json"
        table = Fields(read_json(path), str(path))
        model = table.table("model")
        if model.text("type", "BPE") != "BPE":
            raise model.bad("type", "is not BPE, the one kind that is supported")
        settings = folder / "tokenizer_config.json"
        config = read_json(settings) if settings.is_file() else {}
        merges = _merges(model)
        names, kinds = _names_and_kinds(table, model, rows)
        sentence_piece = model.flag("byte_fallback", False)
        if sentence_piece:
            kinds = [_BYTE if _is_byte(n) and k == _NORMAL else k for n, k in zip(names, kinds)]
        try:
            "".join([*names, *(part for pair in merges for part in pair)]).encode()
        except UnicodeEncodeError:
            raise model.bad("vocab", "holds half of a surrogate pair, which is no text") from None
        special = _special(config, names, sentence_piece)
        if "unk" in special and sentence_piece:
            kinds[special["unk"]] = _UNKNOWN
        return cls(
            names=names,
            kinds=kinds,
            pre=None if sentence_piece else _pre_tokenizer(table),
            merges=[] if sentence_piece else [" ".join(pair) for pair in merges],
            scores=_scores(names, merges) if sentence_piece else [],
            special=special,
            add_bos=_adds_bos(table, config, special),
            add_space_prefix=_prepends_space(table) if sentence_piece else False,
        )

    def add_to(self, writer: GGUFWriter) -> None:
        """Write the fields."""
        writer.add_tokenizer_model("llama" if self.pre is None else "gpt2")
        writer.add_token_list(self.names)
        writer.add_token_types(self.kinds)
        if self.pre is None:
            writer.add_token_scores(self.scores)
            writer.add_add_space_prefix(self.add_space_prefix)
        else:
            writer.add_tokenizer_pre(self.pre)
            writer.add_token_merges(self.merges)
        for name, token in self.special.items():
            getattr(writer, f"add_{name}_token_id")(token)
        writer.add_add_bos_token(self.add_bos)


def _names_and_kinds(table: Fields, model: Fields, rows: int) -> tuple[list[str], list[int]]:
    named: dict[int, tuple[str, int]] = {}
    vocab = model.get("vocab")
    if not isinstance(vocab, dict):
        raise model.bad("vocab", "is not an object")
    for name, token in vocab.items():
        named[_checked_id(table, token)] = (name, _NORMAL)
    for entry in table.items("added_tokens"):
        added = Fields(entry if isinstance(entry, dict) else {}, f"{table.where}: added_tokens")
        kind = _CONTROL if added.flag("special", False) else _USER_DEFINED
        named[_checked_id(table, added.get("id"))] = (added.text("content"), kind)
    if not named:
        raise model.bad("vocab", "is empty")
    if max(named) >= rows:
        raise table.bad("model", f"has token {max(named)}, but the embedding has {rows} rows")
    filled = [named.get(i, (f"[PAD{i}]", _UNUSED)) for i in range(rows)]
    return [name for name, _ in filled], [kind for _, kind in filled]


def _checked_id(table: Fields, token: object) -> int:
    if type(token) is not int or not 0 <= token < _MAX_TOKENS:
        raise table.bad("model", f"has the token id {str(token)[:20]}")
    return token


def _merges(model: Fields) -> list[tuple[str, str]]:
    """Pairs in order of rank; written as "a b" or as ["a", "b"]."""
    pairs = []
    for merge in model.items("merges"):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(p, str) for p in parts):
            raise model.bad("merges", f"holds {str(merge)[:40]!r}, which is no pair")
        pairs.append((parts[0], parts[1]))
    return pairs


def _pre_tokenizer(table: Fields) -> str:
    whole = table.table("pre_tokenizer")
    nested = whole.text("type") == "Sequence"
    steps = whole.items("pretokenizers") if nested else [table.get("pre_tokenizer")]
    kinds = [step.get("type") if isinstance(step, dict) else None for step in steps]
    if kinds == ["ByteLevel"]:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"]:
        pattern = steps[0].get("pattern")
        regex = pattern.get("Regex") if isinstance(pattern, dict) else None
        if isinstance(regex, str) and regex in _PATTERNS:
            return _PATTERNS[regex]
    raise whole.bad("type", "is not the one of SmolLM2, Llama 3, Qwen2 or GPT-2")


def _scores(names: Sequence[str], merges: Sequence[tuple[str, str]]) -> list[float]:
    rank: dict[str, int] = {}
    for position, (left, right) in enumerate(merges):
        rank.setdefault(left + right, position)
    return [float(-rank[name]) if name in rank else _LAST_SCORE for name in names]


def _special(config: Mapping[str, Any], names: Sequence[str], sentence_piece: bool) -> dict[str, int]:
    """Ids of the tokens that tokenizer_config.json names, under GGUF's words for them."""
    ids = {name: i for i, name in enumerate(names)}
    fallback = {"bos": "<s>", "eos": "</s>", "unk": "<unk>"} if sentence_piece else {}
    found = {}
    for key in ("bos", "eos", "unk", "pad"):
        value = config.get(f"{key}_token") or fallback.get(key)
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str) and text in ids:
            found[key] = ids[text]
    return found


def _adds_bos(table: Fields, config: Mapping[str, Any], special: Mapping[str, int]) -> bool:
    if "bos" not in special:
        return False
    if isinstance(config.get("add_bos_token"), bool):
        return bool(config["add_bos_token"])
    # Otherwise the post-processor's template, if there is one, begins with a special token.
    text = json.dumps(table.get("post_processor", {}))
    return '"single": [{"SpecialToken"' in text


def _prepends_space(table: Fields) -> bool:
    text = json.dumps([table.get("normalizer", {}), table.get("pre_tokenizer", {})])
    if '"prepend_scheme"' in text:
        return '"prepend_scheme": "never"' not in text
    return '"Prepend"' in text or '"add_prefix_space": true' in text


def _is_byte(name: str) -> bool:
    return len(name) == 6 and name.startswith("<0x") and name.endswith(">")
