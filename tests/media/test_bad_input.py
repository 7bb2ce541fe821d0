"""Hostile and broken files: one clear line or the frames that can be had; never a crash, a hang or a large
bill.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import BadInputError, EdgevidError, LimitError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import AudioChunk, Frame
from edgevid.media import seeking
from edgevid.media.png import encode_png, read_image
from edgevid.media.source import open_source

Tone = Callable[..., npt.NDArray[np.float32]]
MakeClip = Callable[..., Path]


def _refused(path: Path, *words: str, kind: type[EdgevidError] = BadInputError) -> None:
    with pytest.raises(kind) as caught:
        open_source(path)
    error = caught.value
    assert "\n" not in str(error)
    assert str(path) in error.message
    assert error.fix
    for word in words:
        assert word in error.message


def test_missing_and_empty(tmp_path: Path) -> None:
    _refused(tmp_path / "none.mp4", "no such file")
    (tmp_path / "empty.mp4").touch()
    _refused(tmp_path / "empty.mp4", "empty")
    (tmp_path / "folder").mkdir()
    _refused(tmp_path / "folder", "no video")


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes", "notes.nfo", "notes.srt", "notes.mpl2"])
def test_text_is_not_video_whatever_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nJust some words, and ünïcödé.\n\n" * 400)
    _refused(path, "text file")


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_zeros_and_noise(size: int, tmp_path: Path) -> None:
    path = tmp_path / "zeros.mp4"
    path.write_bytes(bytes(size))
    _refused(path, "zeros")
    path.write_bytes(np.random.default_rng(size).integers(128, 256, size, dtype=np.uint8).tobytes())
    _refused(path)


def test_things_that_are_not_files() -> None:
    _refused(Path("/dev/zero"), "not a regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(make_clip: MakeClip) -> None:
    path = make_clip()
    path.chmod(0)
    _refused(path, "ermission")


def test_mp4_cut_off_in_its_index(make_clip: MakeClip, tone: Tone) -> None:
    path = make_clip("c.mp4", count=50, sound=tone(2.0))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") + 40])
    _refused(path, "moov")


def test_mp4_cut_off_before_its_index(tmp_path: Path) -> None:
    import av

    path = tmp_path / "recording.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(25):
            out.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        out.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    _refused(path, "moov")


def test_mp4_in_which_nothing_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "nothing.mp4"
    path.write_bytes(b"\0\0\0\x14ftypisom\0\0\2\0isom\0\0\0\x08moov")
    _refused(path, "empty: the recording")


def _playlists(clip: Path) -> dict[str, str]:
    address = f"file://{clip}"
    return {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n",
        "list2.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n",
        "net.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n",
        "video.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile '{clip}'\n",
        "list.txt": f"ffconcat version 1.0\nfile {clip.name}\n",
        "live.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
        "manifest.mpd": f'<?xml version="1.0"?><MPD><Period><BaseURL>{clip}</BaseURL></Period></MPD>',
    }


def test_playlists_never_open_other_files_or_addresses(tmp_path: Path, make_clip: MakeClip) -> None:
    clip = make_clip("target.mkv")
    for name, contents in _playlists(clip).items():
        path = tmp_path / name
        path.write_text(contents)
        began = time.perf_counter()
        _refused(path, "playlist")
        assert time.perf_counter() - began < 1.0


def test_names_that_look_like_ffmpeg_protocols(tmp_path: Path, make_clip: MakeClip) -> None:
    clip = make_clip("inner.mkv")
    for name in (
        "concat:a.mkv",
        "http:x.mkv",
        "subfile,,start,0,end,0,,:x.mkv",
        "a%03d.mkv",
        "-i.mkv",
        "ünï 名.mkv",
    ):
        path = tmp_path / name
        path.write_bytes(clip.read_bytes())
        with open_source(path) as source:
            assert len(list(source.frames())) == 25


def _peak_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see memory")
def test_a_picture_bomb_is_refused_at_once_without_memory_for_it(tmp_path: Path, png_bomb: bytes) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bomb)
    read_image(_small_png(tmp_path))
    before = _peak_kib()
    for opener in (open_source, read_image):
        began = time.perf_counter()
        with pytest.raises(LimitError, match="16000x16000"):
            opener(path)  # type: ignore[operator]
        assert time.perf_counter() - began < 0.1
    assert _peak_kib() - before < 32 * 1024


def _small_png(folder: Path) -> Path:
    path = folder / "small.png"
    path.write_bytes(encode_png(np.zeros((8, 8, 3), dtype=np.uint8)))
    return path


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see memory")
def test_the_decoder_itself_holds_the_limit_when_the_header_hides_the_size(
    tmp_path: Path, png_bomb: bytes
) -> None:
    """A bomb inside a container that declares 16x16: FFmpeg's own limit must stop it."""
    import av

    path = tmp_path / "bomb.mov"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        packet = av.Packet(png_bomb)
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        out.mux(packet)
    before = _peak_kib()
    began = time.perf_counter()
    with pytest.raises(BadInputError), open_source(path) as source:
        list(source.frames())
    assert time.perf_counter() - began < 0.5
    assert _peak_kib() - before < 64 * 1024


@pytest.mark.parametrize("codec", ["mpeg4", "libvpx-vp9", "ffv1", "mjpeg"])
def test_video_over_the_pixel_limit(codec: str, tmp_path: Path) -> None:
    import av

    if codec not in av.codecs_available:
        pytest.skip(f"no {codec} in this build of FFmpeg")
    path = tmp_path / "big.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=5)
        stream.width, stream.height = 640, 480
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame(640, 480, "yuv420p")))
        out.mux(stream.encode(None))
    with pytest.raises(LimitError):
        open_source(path, limits=MediaLimits(max_pixels=640 * 479))
    with open_source(path, limits=MediaLimits(max_pixels=640 * 480)) as source:
        assert len(list(source.frames())) == 3


def _read_all(path: Path) -> tuple[int, list[str]] | None:
    """(items, warnings), or None when the file was refused properly."""
    try:
        with open_source(path) as source:
            items = list(source.read(fps=10.0))
            warnings = source.warnings
    except EdgevidError as error:
        assert "\n" not in str(error)
        return None
    times = [item.pts_ns for item in items if isinstance(item, Frame)]
    assert times == sorted(times)
    assert all(item.image.shape[2] == 3 for item in items if isinstance(item, Frame))
    return len(items), warnings


@pytest.mark.parametrize("name", ["c.mp4", "c.mkv", "c.webm", "c.mov"])
def test_files_cut_off_anywhere_give_what_is_left(
    name: str, make_clip: MakeClip, tone: Tone, tmp_path: Path
) -> None:
    whole = make_clip(name, count=100, sound=tone(4.0), codec=None)
    data = whole.read_bytes()
    full = _read_all(whole)
    assert full is not None
    counts = []
    for part in range(1, 16):
        path = tmp_path / f"cut{part}{whole.suffix}"
        path.write_bytes(data[: len(data) * part // 16])
        result = _read_all(path)
        counts.append(0 if result is None else result[0])
        if result is not None and result[0] < full[0] * 0.8:
            assert result[1], "a file cut short must carry a warning"
    assert counts[-1] > 0.8 * full[0] or whole.suffix == ".mov"
    assert counts == sorted(counts)


def test_starting_in_sound_whose_pictures_are_all_damaged_holds_little(
    make_clip: MakeClip, tone: Tone, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(count=200, fps=2.0, sound=tone(100.0))
    _spoil_pictures(path, after_s=1.0)
    held: list[int] = []
    look = seeking._until_main_track

    def counted(decoded: Iterator[Any]) -> Iterator[Any]:
        held.append(0)
        for frame in decoded:
            held[-1] += 1
            yield frame

    monkeypatch.setattr(seeking, "_until_main_track", lambda it, video: look(counted(it), video=video))
    monkeypatch.setattr(seeking, "_MOST_SOUNDS", 50)
    with open_source(path) as source:
        chunks = [item for item in source.read(fps=1.0, start_s=80.0) if isinstance(item, AudioChunk)]
    assert held == [50, 50, 50]  # then it is read from the beginning, one frame after the other
    assert chunks[0].pts_ns == 80 * 10**9


def _spoil_pictures(path: Path, *, after_s: float) -> None:
    """Put zeros in the place of every picture after a time."""
    import av

    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.pts is not None and packet.pts * packet.time_base > after_s:
                data[packet.pos + 16 : packet.pos + packet.size] = bytes(packet.size - 16)
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["c.mp4", "c.mkv", "c.webm"])
@pytest.mark.parametrize("seed", range(12))
def test_random_damage_never_crashes(
    name: str, seed: int, make_clip: MakeClip, tone: Tone, tmp_path: Path
) -> None:
    data = bytearray(make_clip(name, count=30, sound=tone(1.2), codec=None).read_bytes())
    rng = np.random.default_rng(seed)
    places = rng.integers(0, len(data), size=(1, 4, 16, 64, 256)[seed % 5])
    if seed % 2:
        places %= 600  # headers only
    for place, value in zip(places, rng.integers(0, 256, places.size)):
        data[int(place)] = int(value)
    path = tmp_path / f"damaged{Path(name).suffix}"
    path.write_bytes(bytes(data))
    began = time.perf_counter()
    _read_all(path)
    assert time.perf_counter() - began < 20.0


@pytest.mark.parametrize("seed", range(20))
def test_damaged_pictures_never_crash(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(encode_png(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)))
    for place in rng.integers(0, len(data), size=1 + seed):
        data[int(place)] ^= int(rng.integers(1, 256))
    path = tmp_path / "damaged.png"
    path.write_bytes(bytes(data[: rng.integers(1, len(data) + 1)]))
    try:
        assert read_image(path).shape[2] == 3
    except EdgevidError as error:
        assert "\n" not in str(error)


def test_odd_bytes_in_the_metadata_are_no_obstacle(make_clip: MakeClip) -> None:
    path = make_clip("c.mkv")
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"\xff\xfe\x80\xc3"))
    with open_source(path) as source:
        assert len(list(source.frames())) == 25


@pytest.mark.parametrize("rate", [1, 30, (1 << 31) - 1])
@pytest.mark.parametrize("scale", [1, 0x80000001, (1 << 31) - 1])
@pytest.mark.parametrize("first_pts", [0, 1 << 31, (1 << 63) - 1])
def test_absurd_clocks_neither_hang_nor_overflow(
    rate: int, scale: int, first_pts: int, make_clip: MakeClip, tmp_path: Path
) -> None:
    """An IVF header may claim one picture per 68 years."""
    import av

    source_clip, path = make_clip("c.webm", count=5, codec=None), tmp_path / "c.ivf"
    with av.open(str(source_clip)) as read, av.open(str(path), "w") as out:
        copy = out.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    data = bytearray(path.read_bytes())
    struct.pack_into("<II", data, 16, rate, scale)
    struct.pack_into("<Q", data, 32 + 4, first_pts)
    path.write_bytes(bytes(data))
    began = time.perf_counter()
    for start_s in (0.0, 1.0):
        try:
            with open_source(path) as source:
                for count, _ in enumerate(source.frames(fps=0.01, start_s=start_s)):
                    assert count < 50_000
        except EdgevidError as error:
            assert "\n" not in str(error)
    assert time.perf_counter() - began < 10.0
