"""What ``edgevid watch`` and ``edgevid serve`` refuse before anything is opened: one line, the right code."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgevid.app.cli import _run
from edgevid.media.encode import VideoWriter


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("watch", "x", "--start", "nan"), "'nan' is not a finite number"),
        (("watch", "x", "--end", "nan"), "'nan' is not a finite number"),
        (("watch", "x", "--end", "inf"), "'inf' is not a finite number"),
        (("watch", "x", "--fps", "nan"), "--fps nan"),
        (("watch", "x", "--threads", "100000000"), "--threads"),
        (("serve", "--fps", "nan"), "'nan' is not a finite number"),
        (("serve", "--threads", "100000000"), "--threads"),
    ],
)
def test_numbers_without_sense(args: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(list(args)) == 2
    err = capsys.readouterr().err
    assert says in err
    assert len(err.splitlines()) == 1


def test_a_timeline_must_have_room_for_something(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["watch", "x", "--keep-size", "3kb"]) == 3
    assert "too small" in capsys.readouterr().err


@pytest.mark.parametrize(
    "args",
    [
        ("--sheet", "{clip}"),
        ("--trace", "{folder}/../{name}/clip.mp4"),
        ("--save", "{clip}"),
        ("--save", "{folder}/x", "--sheet", "{folder}/x"),
    ],
)
def test_nothing_is_written_over_a_source_or_twice(
    args: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"dear")
    named = [arg.format(clip=clip, folder=tmp_path, name=tmp_path.name) for arg in args]
    assert _run(["watch", str(clip), *named]) == 2
    assert "is a source, or is written twice" in capsys.readouterr().err
    assert clip.read_bytes() == b"dear"
    assert list(tmp_path.iterdir()) == [clip]


@pytest.mark.parametrize("source", ["{folder}", "{folder}/*.png", "{folder}/%d.png", "file://{folder}/1.png"])
def test_nothing_is_written_over_a_picture_of_a_source(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(b"dear")
    named = ["--sheet", str(tmp_path / "1.png")]
    assert _run(["watch", source.format(folder=tmp_path), *named]) == 2
    assert "is a source, or is written twice" in capsys.readouterr().err
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"dear", b"dear"]


def test_a_start_past_the_end_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "clip.mp4"
    with VideoWriter(clip, width=64, height=48, fps=5) as writer:
        for _ in range(5):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    assert _run(["watch", str(clip), "--channels", "cut", "--start", "100"]) == 0
    assert f"warning: {clip} ends at 1.0 s, before --start 100" in capsys.readouterr().err


def test_a_link_to_itself_is_no_bug(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    assert _run(["watch", str(tmp_path / "none.mp4"), "--sheet", str(loop)]) == 3
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--save", "--session", "--sheet", "--trace"])
def test_a_device_is_not_written_to(option: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert _run(["watch", "x", option, str(pipe)]) == 2
    assert "is no file to be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [pipe]
