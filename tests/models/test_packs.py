"""The catalogue: what ships is sound, and a manifest that breaks the format is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevid.core.errors import BadModelError, UsageError
from edgevid.models.hashing import sha256_of
from edgevid.models.packs import Catalogue

SHA = "0" * 64
GOOD = f"""
format = 1
[pack.one]
task = "test"
kind = "files"
licence = "none"
provenance = "here"
aliases = ["uno"]
[[pack.one.artefact]]
source = "pypi:one==1.0"
file = "one-1.0-py3-none-any.whl"
bytes = 10
sha256 = "{SHA}"
members = [{{ path = "one/a.bin", as = "a.bin", bytes = 5, sha256 = "{SHA}" }}]
"""


def load(tmp_path: Path, text: str) -> Catalogue:
    manifest = tmp_path / "mine.toml"
    manifest.write_text(text)
    return Catalogue.load(manifest)


def test_default_packs_download_and_install_less_than_350_mb() -> None:
    catalogue = Catalogue.load()
    files = {a.file: a.bytes for pack in catalogue.defaults for a in pack.artefacts if a.downloaded}
    assert 0 < sum(files.values()) <= 350e6
    assert sum(pack.installed_bytes for pack in catalogue.defaults) <= 350e6


def test_every_pack_says_where_it_comes_from_and_under_which_licence() -> None:
    for pack in Catalogue.load():
        assert pack.licence and pack.provenance and pack.measured and pack.files, pack.name


def test_one_name_means_one_pack() -> None:
    catalogue = Catalogue.load()
    names = [name for pack in catalogue for name in (pack.name, *pack.aliases)]
    assert len(set(names)) == len(names)
    assert catalogue["demo"].name == "smollm2-135m-instruct"
    with pytest.raises(UsageError, match="nope"):
        catalogue["nope"]


def test_a_file_shared_by_packs_is_pinned_once() -> None:
    pins = {(a.file, a.sha256, a.bytes) for pack in Catalogue.load() for a in pack.artefacts if a.downloaded}
    assert len(pins) == len({file for file, _, _ in pins})


def test_embedded_files_are_the_pinned_ones() -> None:
    for pack in Catalogue.load():
        for member in (m for a in pack.artefacts if a.scheme == "embedded" for m in a.members):
            assert member.folder is not None
            assert sha256_of(member.folder / member.path) == member.sha256


def test_users_packs_are_added(tmp_path: Path) -> None:
    catalogue = load(tmp_path, GOOD)
    assert catalogue["uno"].artefacts[0].source == "pypi:one==1.0"
    assert catalogue["uno"].download_bytes == 10 and catalogue["uno"].installed_bytes == 5
    assert "yamnet" in {pack.name for pack in catalogue}


def test_another_content_is_another_version(tmp_path: Path) -> None:
    before = load(tmp_path, GOOD)["one"].digest
    after = load(tmp_path, GOOD.replace(f'bytes = 5, sha256 = "{SHA}"', f'bytes = 5, sha256 = "{"1" * 64}"'))[
        "one"
    ]
    assert after.digest != before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "format"),
        ("format = 1", "format = ", "cannot read"),
        ("[pack.one]", '[pack."../one"]', "pack name"),
        ("pack.one", "pack.yamnet", "already defined"),
        ('as = "a.bin"', 'as = "../../a.bin"', "as"),
        ('as = "a.bin"', 'as = ".hidden"', "as"),
        ('as = "a.bin"', "as = 3", "as"),
        ("one-1.0-py3-none-any.whl", "../one-1.0-py3-none-any.whl", "file"),
        ("pypi:one==1.0", "pypi:--index-url=x==1.0", "source"),
        ("pypi:one==1.0", "pypi:one", "source"),
        ("pypi:one==1.0", "npm:-g@1.0", "source"),
        ("pypi:one==1.0", "git:one", "none of"),
        ("bytes = 10", "bytes = -1", "size"),
        ("bytes = 10", "bytes = true", "size"),
        ("bytes = 10", "", "no 'bytes'"),
        (SHA, "ABC", "sha256"),
        ('licence = "none"', "", "no 'licence'"),
        ('aliases = ["uno"]', "aliases = 3", "pack one"),
        ("members = [", "members = 3 #", "pack one"),
        ("[[pack.one.artefact]]", "[pack.one.artefact]", "pack one"),
    ],
)
def test_a_broken_manifest_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(BadModelError, match=message) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert "mine.toml" in caught.value.message and "\n" not in caught.value.message


def test_members_of_one_name_and_unknown_inputs_are_refused(tmp_path: Path) -> None:
    member = f'{{ path = "x", as = "a.bin", bytes = 5, sha256 = "{SHA}" }}'
    with pytest.raises(BadModelError, match="same name"):
        load(tmp_path, GOOD.replace("members = [", f"members = [{member}, "))
    result = f'[pack.one.convert]\nfunction = "x:y"\nas = "m"\nbytes = 1\nsha256 = "{SHA}"\n'
    with pytest.raises(BadModelError, match="no member"):
        load(tmp_path, GOOD + result + 'inputs = ["b.bin"]')


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadModelError, match="cannot read"):
        Catalogue.load(tmp_path / "none.toml")
