"""Writes the seeds of the fuzz targets; in the root of the repository: `python -m csrc.fuzz.make_corpus`.

Binary seeds are small valid files, for the fuzzer to break; text seeds are one of each construct. Inputs that
once broke something are not made here: they stand in corpus/<target>/ as `found-*`, with a unit test each.
"""

from __future__ import annotations

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

from gguf import GGMLQuantizationType as Q

from edgevid.train.viseme_net.weights_file import write
from tests.decoder.varied_text import varied_lines
from tests.decoder.vocab_gguf import byte_level_vocabulary, sentence_piece_vocabulary
from tests.lipsync.small_viseme_net import small_net
from tests.models.tiny_gguf import TinyModel, write_tiny

CORPUS = Path(__file__).parent / "corpus"
GRAMMARS = (
    'root ::= "yes" | "no" ("!" | "?"){1,3}',
    "root ::= [a-z]+ [^0-9\\n]* . # any\nunused ::= root",
    'root ::= "(" root ")" root | ""',
    'root ::= value\nvalue ::= "[" (value ("," value)*)? "]" | [0-9]{1,4} | "\\"" [^"\\\\]* "\\""',
    'root ::= "\\x41\\u00e9\\U0001F600\\n" [\\]\\-^]{2,}',
    'root ::= a b? c*\na ::= "hello"\nb ::= " w"\nc ::= "ab" | "abc"',
)
CHOICES = ("yes\nno\nyes please", "hello\nhell\nhe", "\xe9\n\xe9a")


def every_value() -> bytes:
    """A GGUF file with a metadata value of every type and no tensors."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    forms = {
        0: "<B",
        1: "<b",
        2: "<H",
        3: "<h",
        4: "<I",
        5: "<i",
        6: "<f",
        7: "<B",
        10: "<Q",
        11: "<q",
        12: "<d",
    }
    scalars = [(kind, form, 1) for kind, form in forms.items()]
    keys = [
        text(f"s{kind}") + struct.pack("<I", kind) + struct.pack(form, value) for kind, form, value in scalars
    ]
    keys += [
        text(f"a{kind}") + struct.pack("<IIQ", 9, kind, 2) + struct.pack(form, value) * 2
        for kind, form, value in scalars
    ]
    keys.append(text("string") + struct.pack("<I", 8) + text("words"))
    keys.append(text("strings") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text(""))
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + b"".join(keys)


def seeds(target: str) -> Path:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*"):
        old.unlink()
    return folder


def write_sessions(folder: Path) -> None:
    """Session files of a tiny model: part of the sinks; a sealed segment and a save; the same in int8."""
    from edgevid.core.kv_config import KVConfig, KvDtype, RetrievalConfig
    from edgevid.models.native_llm import NativeLanguageModel

    shape = TinyModel(layers=1, hidden=32, heads=2, kv_heads=1, ff=32, vocab=260, context=128)
    retrieval = RetrievalConfig(segment=32, recent=16, clusters=4, min_sealed=0)
    with TemporaryDirectory() as scratch:
        model = write_tiny(Path(scratch) / "tiny.gguf", shape)
        files: tuple[tuple[str, int, KvDtype], ...] = (
            ("sinks", 9, "f16"),
            ("sealed", 70, "f16"),
            ("int8", 70, "int8"),
        )
        for name, tokens, dtype in files:
            kv = KVConfig(page_size=16, sinks=16, retrieval=retrieval, dtype=dtype)
            language = NativeLanguageModel(model, kv=kv, threads=1)
            sequence = language.new_sequence(session_file=folder / f"seed-{name}")
            for token in range(tokens):
                sequence.append_tokens([token], logits="none")
            sequence.checkpoint()
            sequence.close()


def main() -> None:
    gguf, tokenizer, grammar, decoder = (
        seeds(target) for target in ("gguf", "tokenizer", "grammar", "decoder")
    )
    (gguf / "seed-values").write_bytes(every_value())
    shape = {"layers": 1, "hidden": 32, "heads": 2, "kv_heads": 1, "ff": 32, "vocab": 260, "context": 64}
    for kind in (Q.F16, Q.Q8_0, Q.Q4_0, Q.Q4_1):
        model = TinyModel(**shape, weight_type=kind, rope_factors=kind == Q.Q4_0, tied=kind != Q.Q4_1)
        write_tiny(decoder / f"seed-{kind.name.lower()}", model)
    model = TinyModel(**shape, arch="qwen2", weight_type=Q.Q4_0, bias=True)
    write_tiny(decoder / "seed-qwen2", model)
    (gguf / "seed-model").write_bytes((decoder / "seed-q4_0").read_bytes())

    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("\u0120", "w"), ("0", "1"), ("\u00c3", "\u00a9")]
    for pre in ("gpt-2", "smollm", "qwen2", "llama-bpe", "default"):
        byte_level_vocabulary(tokenizer / f"seed-{pre}.gguf", merges, pre=pre)
    sentence_piece_vocabulary(tokenizer / "seed-sentence-piece.gguf", seed=2, size=60)
    for i, line in enumerate(varied_lines(40, seed=5)):
        (tokenizer / f"seed-line-{i:02}").write_bytes(line[:300])

    viseme = seeds("viseme")
    (viseme / "seed-small").write_bytes(write(small_net()))

    for i, text in enumerate(GRAMMARS + CHOICES):
        (grammar / f"seed-{i}").write_bytes(text.encode() + b"\0\x01\x05\x80\x03\x07\xff\x10\x02")
    write_sessions(seeds("session"))
    total = sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file())
    print(f"{CORPUS}: {total} bytes")


if __name__ == "__main__":
    main()
