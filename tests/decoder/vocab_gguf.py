"""Writes GGUF files that hold a tokenizer and no weights, small but with every trait of the large ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from gguf import GGUFWriter, TokenType

from tests.decoder.varied_text import varied_lines

SPACE = "\u2581"


def _writer(path: Path) -> GGUFWriter:
    """Begins a file with what llama.cpp asks of a llama model before it looks at the vocabulary."""
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    return writer


def _finish(writer: GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _substrings(texts: Iterable[str], longest: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        for begin in range(len(text)):
            counts.update(text[begin:end] for end in range(begin + 1, min(begin + longest, len(text)) + 1))
    return counts


def byte_level_alphabet() -> list[str]:
    """The 256 characters that spell single bytes in GPT-2's vocabulary, by byte."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    rest = iter(range(0x100, 0x200))
    return [chr(b if b in printable else next(rest)) for b in range(256)]


def frequent_merges(*, seed: int, count: int = 3000) -> list[tuple[str, str]]:
    """Merges that make the frequent substrings of varied text, the most frequent first."""
    alphabet = byte_level_alphabet()
    spelled = ("".join(alphabet[b] for b in line) for line in varied_lines(600, seed=seed))
    ranked = sorted(_substrings(spelled, 6).items(), key=lambda item: (-item[1], len(item[0]), item[0]))
    known = set(alphabet)
    merges: list[tuple[str, str]] = []
    for text, _ in ranked:
        cut = next((i for i in range(len(text) - 1, 0, -1) if text[:i] in known and text[i:] in known), 0)
        if cut and text not in known and len(merges) < count:
            known.add(text)
            merges.append((text[:cut], text[cut:]))
    return merges


def byte_level_vocabulary(
    path: Path,
    merges: Iterable[tuple[str, str]],
    *,
    pre: str = "gpt-2",
    special: Iterable[str] = ("<|im_end|>",),
) -> Path:
    """A BPE vocabulary: 256 bytes, the results of ``merges`` (in GPT-2's spelling), then control tokens."""
    pairs = list(merges)
    tokens = byte_level_alphabet() + [a + b for a, b in pairs]
    names = list(special)
    writer = _writer(path)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens + names)
    writer.add_token_types([TokenType.NORMAL] * len(tokens) + [TokenType.CONTROL] * len(names))
    writer.add_token_merges([f"{a} {b}" for a, b in pairs])
    writer.add_bos_token_id(len(tokens))
    writer.add_eos_token_id(len(tokens))
    return _finish(writer, path)


def sentence_piece_vocabulary(path: Path, *, seed: int, size: int = 3000) -> Path:
    """A SentencePiece vocabulary of the frequent substrings of varied text.

    Scores repeat, so that ties are met; rare characters have no token, so that byte tokens are.
    """
    texts = (
        line.decode(errors="ignore").replace(" ", SPACE).replace("\0", "")
        for line in varied_lines(600, seed=seed)
    )
    counts = _substrings(texts, 8)
    control = ["<unk>", "<s>", "</s>"]
    data = [f"<0x{b:02X}>" for b in range(256)]
    pieces = sorted(counts.keys() - {*control, *data}, key=lambda p: (-counts[p] * len(p), p))[:size]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    writer = _writer(path)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(control + data + pieces)
    writer.add_token_scores([0.0] * 259 + [-float(i // 3) for i in range(len(pieces))])
    writer.add_token_types(kinds + [TokenType.BYTE] * 256 + [TokenType.NORMAL] * len(pieces))
    return _finish(writer, path)
