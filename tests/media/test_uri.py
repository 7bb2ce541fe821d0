from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgevid.core.errors import BadInputError, UsageError
from edgevid.media.uri import is_live, list_files, natural_key, parse_uri, redact


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("clip.mp4", "file"),
        ("/a/b c/клип.webm", "file"),
        ("file:///a/b.mp4", "file"),
        ("frames/*.png", "glob"),
        ("frames/img_[0-9].png", "glob"),
        ("frames/img_%04d.png", "printf"),
        ("frames/%d.jpg", "printf"),
        ("rtsp://user:pw@10.0.0.1/stream", "rtsp"),
        ("rtsps://host/stream", "rtsp"),
        ("/dev/video0", "device"),
        ("mic:", "pulse"),
        ("pulse:a.monitor", "pulse"),
        ("alsa:hw:1", "alsa"),
        ("screen:", "screen"),
        ("screen::99", "screen"),
        ("-", "pipe"),
        ("pipe:", "pipe"),
        ("webrtc:offer", "webrtc"),
    ],
)
def test_each_kind_is_recognised(text: str, kind: str) -> None:
    assert parse_uri(text).kind == kind


@pytest.mark.parametrize(
    "text", ["", "   ", "http://host/a.mp4", "https://host/a.mp4", "concat:a|b", "pipe:0", "a\0b"]
)
def test_what_is_not_read_is_refused_with_a_fix(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_uri(text)
    assert caught.value.fix


def test_file_address_on_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match="another machine"):
        parse_uri("file://server/share/a.mp4")


@pytest.mark.parametrize("name", ["a%03d.png", "what?.png", "x[1].png", "http:.png", "concat:a.png"])
def test_an_existing_path_wins_over_every_pattern(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert parse_uri(name).kind == "file"
    assert list_files(parse_uri(name)).media == (Path(name),)


def test_percent_signs_in_file_addresses_are_decoded(tmp_path: Path) -> None:
    assert parse_uri(f"file://{tmp_path}/a%20b.mp4").target == f"{tmp_path}/a b.mp4"


@pytest.mark.parametrize("text", ["rtsp://host/s", "/dev/video3", "webrtc:x", "-", "screen:"])
def test_live_kinds_have_no_files(text: str) -> None:
    assert is_live(text)
    with pytest.raises(UsageError, match="live source"):
        list_files(parse_uri(text))


def test_a_fifo_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f")
    assert parse_uri(tmp_path / "f").kind == "pipe"
    assert not is_live(tmp_path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:p%40ss@10.0.0.1:554/a", "rtsp://10.0.0.1:554/a"),
        ("rtsp://a:b@c@host/x?channel=1", "rtsp://host/x?channel=1"),
        ("rtsp://host/x?user=admin&password=secret&q=1", "rtsp://host/x?user=***&password=***&q=1"),
        ("rtsp://host/a@b", "rtsp://host/a@b"),
    ],
)
def test_passwords_are_neither_shown_nor_printed(text: str, shown: str) -> None:
    uri = parse_uri(text)
    assert uri.text == redact(text) == shown
    assert uri.target == text
    assert "pass" not in repr(uri).replace("password=***", "") and "secret" not in repr(uri)


@pytest.mark.parametrize("text", ["rtsp:", "rtsp://", "rtsp:///path", "rtsp://user:secret@/path"])
def test_an_address_without_a_host_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no host") as caught:
        parse_uri(text)
    assert "secret" not in str(caught.value)


def _touch(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_a_folder_of_pictures_is_one_sequence_in_natural_order(tmp_path: Path) -> None:
    _touch(tmp_path / "f", "img10.png", "img9.PNG", "img1.png", "notes.txt", ".hidden.png")
    images = list_files(parse_uri(tmp_path / "f")).images
    assert [p.name for p in images] == ["img1.png", "img9.PNG", "img10.png"]


def test_a_folder_with_a_video_stands_for_its_media_files(tmp_path: Path) -> None:
    _touch(tmp_path / "f", "b10.mp4", "b9.mkv", "cover.png", "talk.wav")
    listing = list_files(parse_uri(tmp_path / "f"))
    assert [p.name for p in listing.media] == ["b9.mkv", "b10.mp4", "talk.wav"]
    assert listing.images == ()


def test_printf_takes_matching_numbers_only(tmp_path: Path) -> None:
    _touch(tmp_path / "f", "i_0010.png", "i_0002.png", "i_2.png", "i_0003.jpg", "xi_0004.png")
    images = list_files(parse_uri(str(tmp_path / "f" / "i_%04d.png"))).images
    assert [p.name for p in images] == ["i_0002.png", "i_0010.png"]


def test_glob_lists_matches(tmp_path: Path) -> None:
    _touch(tmp_path / "f", "a2.png", "a10.png", "b.png")
    assert [p.name for p in list_files(parse_uri(str(tmp_path / "f" / "a*.png"))).images] == [
        "a2.png",
        "a10.png",
    ]


@pytest.mark.parametrize("pattern", ["", "*.png", "i_%02d.png"])
def test_nothing_to_read_is_bad_input(pattern: str, tmp_path: Path) -> None:
    _touch(tmp_path / "f", "readme.txt")
    with pytest.raises(BadInputError) as caught:
        list_files(parse_uri(str(tmp_path / "f" / pattern) if pattern else str(tmp_path / "f")))
    assert str(tmp_path) in caught.value.message


def test_natural_order_handles_mixed_names() -> None:
    names = ["b", "a10", "a2", "10", "2", "a2b1"]
    assert sorted(names, key=lambda n: natural_key(Path(n))) == ["2", "10", "a2", "a2b1", "a10", "b"]
