from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import BadInputError, LimitError, UsageError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame
from edgevid.media.png import write_png
from edgevid.media.source import list_sources, open_source
from edgevid.media.wav import read_audio, write_wav

Samples = npt.NDArray[np.float32]
MakeClip = Callable[..., Path]
ReadNumber = Callable[[npt.NDArray[np.uint8]], int]
Numbered = Callable[[int], npt.NDArray[np.uint8]]
Tone = Callable[..., Samples]
MS = 1_000_000


def test_every_picture_comes_in_order_with_its_time(make_clip: MakeClip, read_number: ReadNumber) -> None:
    with open_source(make_clip(count=60, fps=30.0)) as source:
        frames = list(source.frames())
    assert [read_number(f.image) for f in frames] == list(range(60))
    assert [f.index for f in frames] == list(range(60))
    assert [f.pts_ns for f in frames] == [round(i * 1000 / 30) * MS for i in range(60)]
    image = frames[0].image
    assert image.shape == (96, 160, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_facts_of_each_container(suffix: str, make_clip: MakeClip, tone: Tone) -> None:
    path = make_clip(f"clip.{suffix}", count=50, sound=tone(2.0), codec=None)
    with open_source(path) as source:
        info = source.info
        assert (info.kind, info.width, info.height, info.rotation) == ("video", 160, 96, 0)
        assert info.fps == pytest.approx(25.0)
        assert info.duration_s == pytest.approx(2.0, abs=0.1)
        assert info.has_video
        assert info.has_audio
        assert info.channels == 1
        assert len(list(source.frames())) == 50
        assert source.warnings == []


def test_sampling_takes_the_newest_picture_at_each_tick(make_clip: MakeClip, read_number: ReadNumber) -> None:
    with open_source(make_clip(count=100)) as source:
        frames = list(source.frames(fps=2.0))
    assert [f.pts_ns for f in frames] == [k * NS_PER_S // 2 for k in range(8)]
    assert [read_number(f.image) for f in frames] == [0, 12, 25, 37, 50, 62, 75, 87]
    assert [f.index for f in frames] == [0, 12, 25, 37, 50, 62, 75, 87]


def test_variable_frame_rate(make_clip: MakeClip, read_number: ReadNumber) -> None:
    times = [0, 40, 80, 1500, 1540, 3990, 4000]
    with open_source(make_clip(times_ns=[t * MS for t in times])) as source:
        assert [f.pts_ns // MS for f in source.frames()] == times
        sampled = [(f.pts_ns // MS, read_number(f.image)) for f in source.frames(fps=1.0)]
    assert sampled == [(0, 0), (1000, 2), (2000, 4), (3000, 4), (4000, 6)]


@pytest.mark.parametrize(("encoder", "bframes"), [("mpeg4", 2), ("libx264", 3)])
def test_b_frames_come_in_order_of_presentation(
    encoder: str, bframes: int, tmp_path: Path, numbered: Numbered, read_number: ReadNumber
) -> None:
    import av

    if encoder not in av.codecs_available:
        pytest.skip(f"no {encoder} in this build of FFmpeg")
    path = tmp_path / "b.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(encoder, rate=25, options={"bf": str(bframes), "g": "30"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for i in range(50):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(i), format="rgb24")))
        out.mux(stream.encode(None))
    with av.open(str(path)) as check:
        dts = [(p.dts, p.pts) for p in check.demux(video=0) if p.size]
    assert any(d != p for d, p in dts), "the encoder made no B-frames"
    with open_source(path) as source:
        frames = list(source.frames())
        assert [read_number(f.image) for f in frames] == list(range(50))
        assert [f.pts_ns for f in frames] == [i * 40 * MS for i in range(50)]
        start = [read_number(f.image) for f in source.frames(start_s=1.0, end_s=1.2)]
        assert start == [25, 26, 27, 28, 29]
        cheap = [read_number(f.image) for f in source.frames(fps=5.0, exact=False)]
        assert all(abs(n - 5 * k) <= 1 + bframes for k, n in enumerate(cheap))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("start_s", [0.5, 1.0, 2.72, 3.9])
def test_reading_from_the_middle_is_exact(
    suffix: str, start_s: float, make_clip: MakeClip, read_number: ReadNumber, tone: Tone
) -> None:
    path = make_clip(f"c.{suffix}", count=100, sound=tone(4.0), codec=None)
    with open_source(path) as source:
        whole = [f for f in source.frames() if f.pts_ns >= round(start_s * NS_PER_S)]
        part = list(source.frames(start_s=start_s))
        assert [(f.pts_ns, read_number(f.image)) for f in part] == [
            (f.pts_ns, read_number(f.image)) for f in whole
        ]
        assert part[0].index == whole[0].index
        tick = next(source.frames(fps=1.0, start_s=start_s))
        assert tick.pts_ns == round(start_s * NS_PER_S)
        assert read_number(tick.image) == int(start_s * 25 + 1e-6)
        first = next(source.audio(start_s=start_s))
        assert first.pts_ns == round(start_s * NS_PER_S)


def test_a_stretch_beyond_the_end_is_empty(make_clip: MakeClip) -> None:
    with open_source(make_clip(count=25)) as source:
        assert list(source.frames(start_s=30.0)) == []


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_sound_and_picture_share_one_clock(suffix: str, tmp_path: Path) -> None:
    """A flash and a beep at 1.48 s must come out within one picture and two milliseconds of it."""
    from edgevid.media.encode import VideoWriter

    path = tmp_path / f"sync.{suffix}"
    sound = np.zeros(48000, dtype=np.float32)
    sound[round(1.48 * 16000) : round(1.60 * 16000)] = 0.8 * np.sign(np.sin(np.arange(1920) * 0.4))
    with VideoWriter(path, width=64, height=64, fps=25, sample_rate=16000) as writer:
        for i in range(75):
            writer.write(np.full((64, 64, 3), 255 if 37 <= i < 40 else 0, dtype=np.uint8))
            writer.write_audio(sound[i * 640 : (i + 1) * 640])
    with open_source(path) as source:
        items = list(source.read())
    flash = next(i.pts_ns for i in items if isinstance(i, Frame) and i.image.mean() > 128)
    heard = np.concatenate([i.samples for i in items if isinstance(i, AudioChunk)])
    first = next(i for i in items if isinstance(i, AudioChunk))
    beep_s = first.pts_ns / NS_PER_S + float(np.argmax(np.abs(heard) > 0.4)) / 16000
    assert flash == pytest.approx(1.48 * NS_PER_S, abs=MS)
    assert beep_s == pytest.approx(1.48, abs=0.002)


def test_one_pass_gives_both_tracks_in_order_of_time(make_clip: MakeClip, tone: Tone) -> None:
    with open_source(make_clip("c.mp4", count=100, sound=tone(4.0))) as source:
        items = list(source.read(fps=2.0, chunk_s=0.25))
    times = [item.pts_ns for item in items]
    assert times == sorted(times)
    assert sum(isinstance(i, Frame) for i in items) == 8
    samples = sum(i.samples.size for i in items if isinstance(i, AudioChunk))
    assert samples / 16000 == pytest.approx(4.0, abs=0.07)


def test_a_video_without_sound_and_a_sound_without_video(
    make_clip: MakeClip, tmp_path: Path, tone: Tone
) -> None:
    with open_source(make_clip()) as source:
        assert not source.info.has_audio
        assert list(source.audio()) == []
    write_wav(tmp_path / "t.wav", tone(1.0), sample_rate=16000)
    with open_source(tmp_path / "t.wav") as source:
        assert (source.info.kind, source.info.has_video) == ("audio", False)
        assert list(source.frames(fps=1.0)) == []
        assert sum(c.samples.size for c in source.audio()) == 16000
    assert np.abs(read_audio(tmp_path / "t.wav") - tone(1.0)).max() < 1e-4
    with pytest.raises(BadInputError, match="no sound"):
        read_audio(make_clip())


def test_sound_runs_on_under_a_picture_that_never_changes(make_clip: MakeClip, tone: Tone) -> None:
    """Speech over a slide: pictures are decided although none comes; sound does not wait for ever."""
    sound = np.tile(tone(1.0), 300)
    path = make_clip("slide.mkv", times_ns=[*(i * 40 * MS for i in range(8)), 299_960 * MS], sound=sound)
    with open_source(path) as source:
        items = list(source.read(fps=1.0, chunk_s=1.0))
    times = [item.pts_ns for item in items]
    assert times == sorted(times)
    assert sum(isinstance(i, Frame) for i in items) == 300


def _turn_track(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Overwrite the display matrix in the (version 0) track header of an mp4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (v * 65536 for v in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "degrees", "corner"),
    [
        ((1, 0, 0, 1), 0, (0, 0)),
        ((0, 1, -1, 0), 90, (0, -1)),
        ((-1, 0, 0, -1), 180, (-1, -1)),
        ((0, -1, 1, 0), 270, (-1, 0)),
        ((-1, 0, 0, 1), 0, (0, -1)),
    ],
)
def test_rotation_and_mirroring_are_undone(
    matrix: tuple[int, int, int, int], degrees: int, corner: tuple[int, int], tmp_path: Path
) -> None:
    from edgevid.media.encode import VideoWriter

    path = tmp_path / "turned.mp4"
    image = np.zeros((64, 128, 3), dtype=np.uint8)
    image[:32, :64] = 255
    with VideoWriter(path, width=128, height=64, fps=25, video_codec="mpeg4") as writer:
        for _ in range(3):
            writer.write(image)
    _turn_track(path, matrix)
    with open_source(path) as source:
        frame = next(source.frames())
        info = source.info
    upright = (64, 128) if degrees in (0, 180) else (128, 64)
    assert frame.image.shape[:2] == upright == (info.height, info.width)
    assert info.rotation == degrees
    bright = frame.image.mean(axis=2)
    assert bright[corner] > 200
    assert bright[-1 - corner[0], -1 - corner[1]] < 50


def test_scaled_pictures(make_clip: MakeClip, read_number: ReadNumber) -> None:
    with open_source(make_clip()) as source:
        frames = list(source.frames(max_side=80))
    assert frames[0].image.shape == (48, 80, 3)
    assert [read_number(f.image) for f in frames] == list(range(25))


def test_a_sequence_of_pictures(tmp_path: Path, numbered: Numbered, read_number: ReadNumber) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(12):
        write_png(folder / f"img{i}.png", numbered(i))
    (folder / "img5.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    for uri in (folder, folder / "*.png", folder / "img%d.png"):
        with open_source(uri, image_fps=10.0) as source:
            assert source.info.kind == "sequence"
            assert source.info.duration_s == pytest.approx(1.2)
            frames = list(source.frames())
            assert [read_number(f.image) for f in frames] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
            assert frames[5].pts_ns == 600 * MS
            assert [read_number(f.image) for f in source.frames(start_s=0.8)] == [8, 9, 10, 11]
            assert len(source.warnings) == 1


def test_one_picture_is_a_source_of_one_frame(tmp_path: Path, numbered: Numbered) -> None:
    write_png(tmp_path / "p.png", numbered(3))
    with open_source(tmp_path / "p.png") as source:
        assert (source.info.kind, source.info.duration_s) == ("image", None)
        frames = list(source.frames(fps=1.0))
    assert len(frames) == 1
    assert np.array_equal(frames[0].image, numbered(3))


def test_a_folder_of_videos_is_split_or_refused(make_clip: MakeClip) -> None:
    folder = make_clip("b.mkv").parent
    assert list_sources(folder) == (str(folder / "b.mkv"),)
    with open_source(folder) as source:
        assert source.info.has_video
    make_clip("a.mkv")
    assert list_sources(folder) == (str(folder / "a.mkv"), str(folder / "b.mkv"))
    with pytest.raises(UsageError, match="2 videos"):
        open_source(folder)


def test_a_stream_without_timestamps_gets_them_from_its_rate(
    tmp_path: Path, numbered: Numbered, read_number: ReadNumber
) -> None:
    import av

    path = tmp_path / "raw.m4v"
    with av.open(str(path), "w", format="m4v") as out:
        stream = out.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for i in range(20):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(i), format="rgb24")))
        out.mux(stream.encode(None))
    with open_source(path) as source:
        period = source.info.period_ns
        frames = list(source.frames())
        late = list(source.frames(start_s=10 * period / NS_PER_S))
    assert [read_number(f.image) for f in frames] == list(range(20))
    assert all(abs(f.pts_ns - i * period) <= 2 * MS for i, f in enumerate(frames))
    assert [read_number(f.image) for f in late] == list(range(10, 20))


def test_passes_are_independent_and_may_run_together(
    make_clip: MakeClip, read_number: ReadNumber, tone: Tone
) -> None:
    with open_source(make_clip("c.mp4", count=100, sound=tone(4.0))) as source:
        results: dict[int, list[int]] = {}

        def run(worker: int) -> None:
            results[worker] = [read_number(f.image) for f in source.frames(start_s=worker * 0.4)]

        threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert results == {i: list(range(i * 10, 100)) for i in range(4)}


def test_closing_from_another_thread_ends_the_pass(make_clip: MakeClip, tone: Tone) -> None:
    path = make_clip("c.mp4", count=250, sound=tone(10.0))
    for delay_s in (0.0, 0.005, 0.02, 0.05):
        source = open_source(path)
        closer = threading.Timer(delay_s, source.close)
        closer.start()
        count = sum(1 for _ in source.read()) if delay_s else 0
        closer.join(timeout=10)
        assert not closer.is_alive()
        assert count <= 250 + 21
        with pytest.raises(UsageError, match="closed"):
            source.frames()
        source.close()


def test_leaving_a_pass_early_frees_its_file(make_clip: MakeClip) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("needs /proc to count open files")
    path = make_clip()
    before = len(list(descriptors.iterdir()))
    with open_source(path) as source:
        for _ in range(5):
            frames = source.frames()
            next(frames)
            frames.close()  # type: ignore[attr-defined]
        assert len(list(descriptors.iterdir())) == before
    assert len(list(descriptors.iterdir())) == before


def test_limits_on_bytes_pixels_and_duration(make_clip: MakeClip) -> None:
    path = make_clip(count=100)
    with pytest.raises(LimitError, match="bytes"):
        open_source(path, limits=MediaLimits(max_bytes=1000))
    with pytest.raises(LimitError, match="15200 pixels"):
        open_source(path, limits=MediaLimits(max_pixels=160 * 95))
    with open_source(path, limits=MediaLimits(max_duration_s=2.0)) as source:
        with pytest.raises(LimitError, match="2 s"):
            source.frames()
        assert len(list(source.frames(end_s=1.0))) == 25


def test_a_header_that_hides_the_duration_does_not_lift_its_limit(
    tmp_path: Path, make_clip: MakeClip
) -> None:
    path = make_clip(count=100)
    data = path.read_bytes()
    cut = tmp_path / "unknown.mkv"
    at = data.index(b"\x44\x89\x88")  # Duration, 8 bytes
    cut.write_bytes(data[: at + 3] + bytes(8) + data[at + 11 :])
    with open_source(cut, limits=MediaLimits(max_duration_s=2.0)) as source:
        assert source.info.duration_s is None
        with pytest.raises(LimitError, match="2 s"):
            list(source.frames())


def test_a_wrong_duration_in_the_header_is_told(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(count=50)
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88")
    wrong = tmp_path / "wrong.mkv"
    wrong.write_bytes(data[: at + 3] + struct.pack(">d", 60_000.0) + data[at + 11 :])
    with open_source(wrong) as source:
        assert source.info.duration_s == pytest.approx(60.0)
        assert len(list(source.frames())) == 50
        assert len(source.warnings) == 1
        assert "60.0 s" in source.warnings[0]


@pytest.mark.parametrize(
    "options",
    [
        {"fps": 0.0},
        {"fps": -1.0},
        {"fps": 1e9},
        {"max_side": 0},
        {"start_s": -1.0},
        {"start_s": math.nan},
        {"start_s": 1e300},
        {"end_s": math.inf},
        {"start_s": 2.0, "end_s": 1.0},
    ],
)
def test_arguments_out_of_range_are_usage_errors(options: dict[str, float], make_clip: MakeClip) -> None:
    with open_source(make_clip()) as source, pytest.raises(UsageError):
        source.frames(**options)  # type: ignore[arg-type]


def test_opening_is_quick(make_clip: MakeClip) -> None:
    path = make_clip("c.mp4", count=100)
    open_source(path).close()
    began = time.perf_counter()
    for _ in range(10):
        open_source(path).close()
    assert (time.perf_counter() - began) / 10 < 0.25


def test_pictures_are_freed_as_they_are_read(make_clip: MakeClip) -> None:
    """Without the garbage collector too: a decoded 4K picture is 12 MB, and there may be sixty a second."""
    import gc

    from av.video.frame import VideoFrame

    path = make_clip(count=100)
    gc.collect()
    gc.disable()
    try:
        with open_source(path) as source:
            for count, _ in enumerate(source.frames(max_side=64)):
                if count == 90:
                    alive = sum(type(thing) is VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert alive < 10


def test_a_seek_to_a_false_key_picture_goes_further_back(test_data: Path) -> None:
    """The key picture at 7.25 s of this clip needs earlier ones: decoding from there gives green pictures."""
    path = test_data / "video" / "cockatoo.mp4"
    with open_source(path) as source:
        whole = {frame.pts_ns: frame.image for frame in source.frames(fps=1, max_side=64)}
    with open_source(path) as source:
        late = list(source.frames(fps=1, max_side=64, start_s=10.0))
    assert late
    for frame in late:
        assert np.abs(frame.image.astype(int) - whole[frame.pts_ns]).mean() < 1
