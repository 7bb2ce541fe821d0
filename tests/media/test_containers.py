"""Containers beyond those the writer makes: whatever FFmpeg muxes, the reader must give back picture by
picture.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from edgevid.media.source import open_source

Numbered = Callable[[int], npt.NDArray[np.uint8]]
ReadNumber = Callable[[npt.NDArray[np.uint8]], int]
COUNT = 30


def _write(path: Path, codec: str, pix_fmt: str, numbered: Numbered, *, offset: int = 0) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"no {codec} in this build of FFmpeg")
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, pix_fmt
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts = number + offset
            frame.time_base = Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt"),
    [
        ("avi", "mpeg4", "yuv420p"),
        ("avi", "huffyuv", "rgb24"),
        ("avi", "rawvideo", "bgr24"),
        ("flv", "flv", "yuv420p"),
        ("ts", "mpeg2video", "yuv420p"),
        ("mpg", "mpeg1video", "yuv420p"),
        ("vob", "mpeg2video", "yuv420p"),
        ("3gp", "mpeg4", "yuv420p"),
        ("nut", "ffv1", "yuv444p"),
        ("mkv", "ffv1", "yuv422p10le"),
        ("mkv", "ffv1", "gray"),
        ("mkv", "ffv1", "bgra"),
        ("mov", "prores_ks", "yuv422p10le"),
        ("mov", "png", "rgba"),
        ("ivf", "libvpx-vp9", "yuv420p"),
        ("y4m", "rawvideo", "yuv420p"),
        ("gif", "gif", "rgb8"),
        ("apng", "apng", "rgb24"),
        ("mjpeg", "mjpeg", "yuvj420p"),
        ("asf", "msmpeg4", "yuv420p"),
        ("mxf", "mpeg2video", "yuv420p"),
    ],
)
def test_pictures_come_back(
    suffix: str, codec: str, pix_fmt: str, tmp_path: Path, numbered: Numbered, read_number: ReadNumber
) -> None:
    path = tmp_path / f"clip.{suffix}"
    _write(path, codec, pix_fmt, numbered)
    with open_source(path) as source:
        frames = list(source.frames())
        late = [read_number(f.image) for f in source.frames(start_s=0.5)]
        assert source.info.kind in ("video", "image")
    numbers = [read_number(f.image) for f in frames]
    assert numbers == list(range(COUNT))
    assert all(abs(f.pts_ns - n * 40_000_000) <= 10_000_000 for n, f in enumerate(frames))
    assert late[-1] == COUNT - 1
    assert late[0] in (12, 13)


def test_a_stream_that_starts_late_starts_at_zero(
    tmp_path: Path, numbered: Numbered, read_number: ReadNumber
) -> None:
    path = tmp_path / "hours.ts"
    _write(path, "mpeg2video", "yuv420p", numbered, offset=25 * 3600 * 20)
    with open_source(path) as source:
        frames = list(source.frames())
        assert [f.pts_ns for f in frames] == [n * 40_000_000 for n in range(COUNT)]
        assert read_number(next(source.frames(start_s=0.8)).image) == 20


def test_spliced_transport_streams_run_on(
    tmp_path: Path, numbered: Numbered, read_number: ReadNumber
) -> None:
    first, second, joined = (tmp_path / f"{name}.ts" for name in "abj")
    _write(first, "mpeg2video", "yuv420p", numbered, offset=25 * 100)
    _write(second, "mpeg2video", "yuv420p", numbered)
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    with open_source(joined) as source:
        frames = list(source.frames())
        assert source.stats.video_clock.splices == 1
    assert [read_number(f.image) for f in frames] == [*range(COUNT), *range(COUNT)]
    times = [f.pts_ns for f in frames]
    assert times == sorted(set(times))
    assert times[-1] <= 2.5e9


def test_cover_art_is_not_video(tmp_path: Path, numbered: Numbered) -> None:
    """A song with a picture of its sleeve is sound."""
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as out:
        art = out.add_stream("mjpeg", rate=1)
        art.width, art.height, art.pix_fmt = 160, 96, "yuvj420p"
        art.disposition = av.stream.Disposition.attached_pic
        sound = out.add_stream("aac", rate=16000, layout="mono")
        out.mux(art.encode(av.VideoFrame.from_ndarray(numbered(1), format="rgb24")))
        out.mux(art.encode(None))
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), dtype=np.float32), format="flt", layout="mono"
        )
        frame.sample_rate = 16000
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    with open_source(path) as source:
        assert source.info.kind == "audio"
        assert list(source.frames()) == []
        assert sum(c.samples.size for c in source.audio()) >= 16000
