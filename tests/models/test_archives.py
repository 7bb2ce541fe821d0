"""Members come out of archives whole, hashed and bounded, or not at all."""

from __future__ import annotations

import hashlib
import io
import resource
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevid.core.errors import BadModelError
from edgevid.models.archives import take
from edgevid.models.packs import Member

DATA = bytes(range(256)) * 40


def member(path: str, data: bytes = DATA) -> Member:
    return Member(path, "out", len(data), hashlib.sha256(data).hexdigest())


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def archive(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_member_comes_out(tmp_path: Path, output: Path, pack) -> None:
    take(archive(tmp_path, pack({"other": b"x", "a/b.bin": DATA})), member("a/b.bin"), output)
    assert output.read_bytes() == DATA


def test_a_member_of_a_nested_archive_comes_out(tmp_path: Path, output: Path) -> None:
    nested = zipped({"in.zip": zipped({"deep/b.bin": DATA})})
    take(archive(tmp_path, nested), member("in.zip!deep/b.bin"), output)
    assert output.read_bytes() == DATA
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "out"]


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        (zipped({"a": DATA}), "b", "cannot read b"),
        (tarred({"a": DATA}), "b", "cannot read b"),
        (tarred({}), "link", "cannot read link"),
        (zipped({"a": DATA[:-1]}), "a", "expected 10240 bytes"),
        (zipped({"a": DATA + b"x"}), "a", "is 10241 bytes"),
        (tarred({"a": DATA[:-1] + b"x"}), "a", "expected 10240 bytes, sha256"),
        (zipped({"a": DATA})[:150], "a", "cannot read a"),
        (tarred({"a": DATA})[:60], "a", "cannot read a"),
        (b"", "a", "cannot read a"),
        (b"not an archive", "a", "cannot read a"),
        (zipped({"a": b"not an archive"}), "a!b", "cannot read a!b"),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(
    tmp_path: Path, output: Path, data: bytes, path: str, message: str
) -> None:
    with pytest.raises(BadModelError, match=message):
        take(archive(tmp_path, data), member(path), output)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_no_more_than_the_pinned_bytes_is_written(tmp_path: Path, output: Path, pack) -> None:
    bomb = archive(tmp_path, pack({"a": bytes(50_000_000)}))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(DATA), before[1]))  # one byte more would be an OSError
    try:
        with pytest.raises(BadModelError, match="is 10241 bytes"):
            take(bomb, member("a"), output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([zipped, tarred]), st.data())
def test_damage_never_passes(tmp_path: Path, pack, data: st.DataObject) -> None:
    """Bits flipped, ends cut off, junk in the middle: the right bytes come out, or a clear error."""
    damaged = bytearray(pack({"a": DATA, "b": b"y" * 50}))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        junk = data.draw(st.binary(max_size=8))
        damaged[place : place + data.draw(st.integers(0, 8))] = junk
        if not damaged:
            break
    output = tmp_path / "out"
    output.unlink(missing_ok=True)
    try:
        take(archive(tmp_path, bytes(damaged)), member("a"), output)
    except BadModelError:
        assert not output.exists()
    else:
        assert output.read_bytes() == DATA
