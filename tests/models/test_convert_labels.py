from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.convert.imagenet_labels import build
from edgevid.models.store import ModelStore


def wheel(folder: Path, count: int, *, forget: int | None = None) -> Path:
    ids = [f"n{i:08}" for i in range(count)]
    with zipfile.ZipFile(folder / "timm.whl", "w") as archive:
        archive.writestr("timm/data/_info/imagenet_synsets.txt", "\n".join(ids) + "\n")
        lemmas = [f"{wnid}\tthing {i}, item {i}" for i, wnid in enumerate(ids) if i != forget]
        archive.writestr("timm/data/_info/imagenet_synset_to_lemma.txt", "\n".join(reversed(lemmas)))
    return folder / "timm.whl"


def test_names_follow_the_order_of_the_ids(tmp_path: Path) -> None:
    rows = build(wheel(tmp_path, 1000)).splitlines()
    assert rows[0] == "n00000000\tthing 0, item 0"
    assert rows[999] == "n00000999\tthing 999, item 999"


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"no zip")
    for path in (wheel(tmp_path, 999), tmp_path / "a.whl", tmp_path / "nowhere.whl"):
        with pytest.raises(BadModelError):
            build(path)
    with pytest.raises(BadModelError):
        build(wheel(tmp_path, 1000, forget=7))


def test_the_embedded_table_is_whole() -> None:
    text = ModelStore().where("efficientnet-lite0")["labels.tsv"].read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()]
    assert len(rows) == len({wnid for wnid, _ in rows}) == 1000
    assert rows[0] == ["n01440764", "tench, Tinca tinca"]
    assert rows[89][1].startswith("sulphur-crested cockatoo")
    assert rows[999] == ["n15075141", "toilet tissue, toilet paper, bathroom tissue"]
