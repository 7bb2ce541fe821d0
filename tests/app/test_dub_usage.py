"""What ``edgevid dub`` refuses before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevid.app.cli import _run


@pytest.mark.parametrize(
    "args", [("-o", "{clip}"), ("--trace", "{clip}"), ("-o", "{folder}/x", "--trace", "{folder}/x")]
)
def test_nothing_is_written_over_the_source_or_twice(
    args: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"dear")
    named = [arg.format(clip=clip, folder=tmp_path) for arg in args]
    assert _run(["dub", str(clip), "--to", "es", *named]) == 2
    assert "is a source, or is written twice" in capsys.readouterr().err
    assert clip.read_bytes() == b"dear"
    assert list(tmp_path.iterdir()) == [clip]
