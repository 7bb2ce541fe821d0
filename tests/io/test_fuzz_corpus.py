"""The fuzz seeds are what they claim to be: valid files, so that the fuzzer starts beyond the first check."""

from __future__ import annotations

from pathlib import Path

import pytest

native = pytest.importorskip("edgevid._native")
CORPUS = Path(__file__).parent.parent.parent / "csrc" / "fuzz" / "corpus"


def seeds(target: str, pattern: str = "seed-*") -> list[Path]:
    found = sorted((CORPUS / target).glob(pattern))
    assert found, f"no seeds in {CORPUS / target}"
    return found


@pytest.mark.parametrize("path", seeds("gguf"), ids=lambda path: path.name)
def test_gguf(path: Path) -> None:
    assert native.gguf_info(str(path))["bytes"] == path.stat().st_size


@pytest.mark.parametrize("path", seeds("tokenizer", "seed-*.gguf"), ids=lambda path: path.name)
def test_tokenizer(path: Path) -> None:
    assert native.Tokenizer(str(path)).size > 256


@pytest.mark.parametrize("path", seeds("decoder"), ids=lambda path: path.name)
def test_decoder(path: Path) -> None:
    model = native.Decoder(str(path), threads=1, page_size=16, window=64, sinks=16, chunk=4)
    assert model.config["vocab"] == 260


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 350_000
