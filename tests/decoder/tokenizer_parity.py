"""What llama.cpp makes of 10,000 varied lines: recorded here, compared with in test_tokenizer_parity.py.

Recipe: with llama-cpp-python 0.3.36 installed and the pack smollm2-135m-instruct pulled,

    python -m tests.decoder.tokenizer_parity $(edgevid models where smollm2-135m-instruct)/model.gguf

writes tests/fixtures/tokenizer_ids.json: for each vocabulary and way of reading, one hash of the ids per
block of 100 lines, and the ids of every 500th line in full.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.decoder.varied_text import varied_lines
from tests.decoder.vocab_gguf import byte_level_vocabulary, frequent_merges, sentence_piece_vocabulary

FIXTURE = Path(__file__).parent.parent / "fixtures" / "tokenizer_ids.json"
LINES, SEED, BLOCK, FULL_EVERY = 10_000, 20250101, 100, 500
PRE_TOKENIZERS = ("default", "gpt-2", "llama-bpe", "qwen2", "smollm")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<file_sep>", "<reponame>")
# name: (add_special, parse_special)
WAYS = {"special": (True, True), "plain": (False, False)}

Encode = Callable[[bytes, bool, bool], list[int]]


def lines() -> list[bytes]:
    return list(varied_lines(LINES, seed=SEED))


def lines_hash(texts: list[bytes]) -> str:
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def made_vocabularies(folder: Path) -> dict[str, Path]:
    """Vocabularies that need no pack, written into ``folder``."""
    merges = frequent_merges(seed=1)
    made = {
        pre: byte_level_vocabulary(folder / f"{pre}.gguf", merges, pre=pre, special=SPECIAL)
        for pre in PRE_TOKENIZERS
    }
    made["sentence-piece"] = sentence_piece_vocabulary(folder / "sentence-piece.gguf", seed=1)
    return made


def summary(encode: Encode, texts: list[bytes], way: str) -> tuple[list[str], dict[str, list[int]]]:
    """Hashes per block of lines, and some lines' ids in full by line number."""
    ids = [encode(text, *WAYS[way]) for text in texts]
    blocks = [json.dumps(ids[i : i + BLOCK]).encode() for i in range(0, len(ids), BLOCK)]
    full = {str(i): ids[i] for i in range(0, len(ids), FULL_EVERY)}
    return [hashlib.sha256(block).hexdigest()[:12] for block in blocks], full


def llama_cpp_encode(model: Path) -> Encode:
    """The same call on llama.cpp itself."""
    from llama_cpp import Llama

    llama = Llama(model_path=str(model), vocab_only=True, verbose=False)

    def encode(text: bytes, add_special: bool, parse_special: bool) -> list[int]:
        ids: list[int] = llama.tokenize(text, add_bos=add_special, special=parse_special)
        return ids

    return encode


def main(pack: Path) -> None:
    import llama_cpp

    texts = lines()
    vocabularies: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, path in {"smollm2-135m-instruct": pack, **made_vocabularies(Path(folder))}.items():
            encode = llama_cpp_encode(path)
            ways = {way: summary(encode, texts, way) for way in WAYS}
            vocabularies[name] = {
                way: {"blocks": blocks, "full": full} for way, (blocks, full) in ways.items()
            }
    fixture = {
        "llama_cpp_python": llama_cpp.__version__,
        "lines": lines_hash(texts),
        "vocabularies": vocabularies,
    }
    FIXTURE.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(f"{FIXTURE}: {FIXTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
