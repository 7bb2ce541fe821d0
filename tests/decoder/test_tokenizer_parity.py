"""Token ids against llama.cpp's on 10,000 varied lines: recorded ones always, live where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgevid.models.store import ModelStore
from tests.decoder import tokenizer_parity as parity

native = pytest.importorskip("edgevid._native")
WAYS = sorted(parity.WAYS)
MADE = (*parity.PRE_TOKENIZERS, "sentence-piece")


@pytest.fixture(scope="module")
def texts() -> list[bytes]:
    return parity.lines()


@pytest.fixture(scope="module")
def recorded(texts: list[bytes]) -> dict[str, Any]:
    fixture: dict[str, Any] = json.loads(parity.FIXTURE.read_text())
    assert fixture["lines"] == parity.lines_hash(texts), (
        "the generator of lines has changed: record the fixture anew"
    )
    return fixture["vocabularies"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return parity.made_vocabularies(tmp_path_factory.mktemp("vocabularies"))


def encoder(path: Path) -> parity.Encode:
    tokenizer = native.Tokenizer(str(path))

    def encode(text: bytes, add_special: bool, parse_special: bool) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special=add_special, parse_special=parse_special)
        return ids

    return encode


def check(recorded: dict[str, Any], name: str, way: str, path: Path, texts: list[bytes]) -> None:
    blocks, full = parity.summary(encoder(path), texts, way)
    assert full == recorded[name][way]["full"]
    differing = [
        i
        for i, (ours, theirs) in enumerate(zip(blocks, recorded[name][way]["blocks"], strict=True))
        if ours != theirs
    ]
    assert not differing, f"blocks of {parity.BLOCK} lines that differ: {differing}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MADE)
def test_recorded_ids(
    recorded: dict[str, Any], made: dict[str, Path], texts: list[bytes], name: str, way: str
) -> None:
    check(recorded, name, way, made[name], texts)


@pytest.mark.packs
@pytest.mark.parametrize("way", WAYS)
def test_recorded_ids_of_smollm2(
    recorded: dict[str, Any], store: ModelStore, texts: list[bytes], way: str
) -> None:
    name = "smollm2-135m-instruct"
    check(recorded, name, way, store.where(name)["model.gguf"], texts)


def check_live(path: Path, texts: list[bytes]) -> None:
    theirs, ours = parity.llama_cpp_encode(path), encoder(path)
    for way in parity.WAYS.values():
        differing = [text for text in texts if theirs(text, *way) != ours(text, *way)]
        assert not differing, f"{len(differing)} lines differ, among them {differing[0]!r}"


@pytest.mark.parametrize("name", MADE)
def test_live(made: dict[str, Path], texts: list[bytes], name: str) -> None:
    pytest.importorskip("llama_cpp")
    check_live(made[name], texts[::10])


@pytest.mark.packs
def test_live_smollm2(store: ModelStore, texts: list[bytes]) -> None:
    pytest.importorskip("llama_cpp")
    check_live(store.where("smollm2-135m-instruct")["model.gguf"], texts)
