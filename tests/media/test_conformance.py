"""Published test streams, read through the same ``FileReader`` and ``Source`` as any video.

VP8: every frame's MD5 as published with the test vectors. H.264: the SHA-1 of all decoded planes, in order of
output, that the OpenH264 project publishes for these streams (test/api/decoder_test.cpp, BSD-2). torchcodec:
decoded reference pictures and times.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from av.video.frame import VideoFrame

from edgevid.core.errors import EdgevidError
from edgevid.core.limits import MediaLimits
from edgevid.media.reader import FileReader
from edgevid.media.source import open_source

_SHA1_TABLE = Path(__file__).with_name("h264_sha1.txt")
# FFmpeg and OpenH264 differ; the pictures are checked for order and count only.
_H264_OTHER_OUTPUT = {
    "Cisco_Men_whisper_640x320_CABAC_Bframe_9.264",
    "Cisco_Men_whisper_640x320_CAVLC_Bframe_9.264",
}
_H264_NOT_READ = {"sps_subsetsps_bothVUI.264"}
_H264_LOSSY = {"BA_MW_D_IDR_LOST.264", "BA_MW_D_P_LOST.264", "Error_I_P.264"}


def _pictures(path: Path, *, threads: int = 2) -> Iterator[VideoFrame]:
    reader = FileReader.open(path, limits=MediaLimits(), threads=threads, exact=True)
    try:
        for frame in reader.decode(video=True, audio=False):
            assert isinstance(frame, VideoFrame)
            yield frame
    finally:
        reader.close()


def _i420(frame: VideoFrame) -> bytes:
    """The cropped planes of a yuv420p picture, one after the other."""
    out = b""
    for number, plane in enumerate(frame.planes):
        half = 2 if number else 1
        height, width = -(-frame.height // half), -(-frame.width // half)
        rows = np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)
        out += rows[:height, :width].tobytes()
    return out


def _coded_pictures(path: Path) -> int:
    """Pictures in an H.264 byte stream, counted without a decoder: slices whose first_mb_in_slice is 0."""
    units = path.read_bytes().replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
    return sum(1 for unit in units if len(unit) > 1 and unit[0] & 31 in (1, 2, 5) and unit[1] & 0x80)


def test_vp8_vectors(test_data: Path, conformance_report: list[str]) -> None:
    streams = sorted((test_data / "conformance" / "vp8").glob("*.ivf"))
    assert len(streams) >= 60
    good, frames, wrong = 0, 0, []
    for path in streams:
        want = [line.split()[0] for line in Path(f"{path}.md5").read_text().splitlines()]
        got = [hashlib.md5(_i420(frame)).hexdigest() for frame in _pictures(path)]
        frames += sum(a == b for a, b in zip(want, got))
        good += got == want
        wrong += [path.name] if got != want else []
    conformance_report.append(f"VP8 {good}/{len(streams)} streams, {frames} frames equal by MD5")
    assert wrong == []


def _sha1_table() -> dict[str, str]:
    lines = [line.split() for line in _SHA1_TABLE.read_text().splitlines() if not line.startswith("#")]
    return {name: digest for digest, name in lines}


def test_h264_streams_with_published_digests(test_data: Path, conformance_report: list[str]) -> None:
    table = _sha1_table()
    good, frames, wrong = 0, 0, []
    for name, digest in table.items():
        if name in _H264_OTHER_OUTPUT | _H264_NOT_READ:
            continue
        sha = hashlib.sha1()
        count = 0
        for frame in _pictures(test_data / "conformance" / "h264" / name):
            sha.update(_i420(frame))
            count += 1
        good += sha.hexdigest() == digest
        frames += count
        wrong += [name] if sha.hexdigest() != digest else []
        assert count == _coded_pictures(test_data / "conformance" / "h264" / name)
    conformance_report.append(
        f"H.264 {good}/{len(table)} streams, {frames} frames equal by SHA-1 of all planes in order; "
        f"{len(_H264_OTHER_OUTPUT)} differ from the digest, {len(_H264_NOT_READ)} not read by FFmpeg"
    )
    assert wrong == []


@pytest.mark.parametrize("name", sorted(_H264_OTHER_OUTPUT | {"jm_1080p_allslice.264"}))
def test_h264_streams_without_a_usable_digest(name: str, test_data: Path) -> None:
    path = test_data / "conformance" / "h264" / name
    one, many = ([hashlib.sha1(_i420(f)).digest() for f in _pictures(path, threads=n)] for n in (1, 3))
    assert one == many
    assert len(one) == _coded_pictures(path)


@pytest.mark.parametrize("name", sorted(_H264_LOSSY))
def test_h264_streams_with_losses_give_what_can_be_had(name: str, test_data: Path) -> None:
    path = test_data / "conformance" / "h264" / name
    with open_source(path) as source:
        frames = list(source.frames())
    assert 0 < len(frames) <= _coded_pictures(path) + 1
    assert [f.pts_ns for f in frames] == [i * source.info.period_ns for i in range(len(frames))]


def test_every_h264_stream_is_read_or_refused_in_one_line(
    test_data: Path, conformance_report: list[str]
) -> None:
    read, refused = 0, []
    for path in sorted((test_data / "conformance" / "h264").glob("*.264")):
        try:
            with open_source(path) as source:
                times = [f.pts_ns for f in source.frames(max_side=64)]
        except EdgevidError as error:
            refused.append(path.name)
            assert "\n" not in str(error)
            continue
        assert times == sorted(set(times))
        read += 1
    conformance_report.append(f"H.264 {read} streams read to the end, refused: {', '.join(refused)}")
    assert set(refused) == _H264_NOT_READ


def _tensor(path: Path) -> npt.NDArray[np.uint8]:
    """The raw bytes of the one tensor in a torch archive; nothing is unpickled."""
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/data/0"))
        return np.frombuffer(archive.read(name), dtype=np.uint8)


def test_nasa_pictures_and_times_equal_torchcodecs(test_data: Path, conformance_report: list[str]) -> None:
    folder = test_data / "conformance" / "torchcodec"
    with open_source(test_data / "video" / "nasa_13013.mp4") as source:
        frames = list(source.frames())
    want = _tensor(folder / "nasa_13013.mp4.stream3.frame000000.pt").reshape(270, 480, 3)
    assert np.array_equal(frames[0].image, want)
    info = json.loads((folder / "nasa_13013.mp4.stream3.all_frames_info.json").read_text())
    assert len(frames) == len(info)
    for frame, row in zip(frames, info):
        assert abs(frame.pts_ns - float(row["pts_time"]) * 1e9) < 1000
    conformance_report.append(f"torchcodec nasa: first picture equal, {len(frames)} times equal")


@pytest.mark.parametrize(
    ("name", "count", "size"),
    [
        ("av1_video.mkv", 125, (640, 360)),
        ("h265_video.mp4", 10, (128, 128)),
        ("bt709_full_range.mp4", 30, (1280, 720)),
        ("h264_10bits.mp4", 30, (200, 200)),
    ],
)
def test_torchcodec_clips(name: str, count: int, size: tuple[int, int], test_data: Path) -> None:
    with open_source(test_data / "conformance" / "torchcodec" / name) as source:
        frames = list(source.frames())
    assert len(frames) == count
    assert {f.image.shape[1::-1] for f in frames} == {size}


def test_full_range_bt709_follows_the_formula(test_data: Path) -> None:
    """The clip's own luma and chroma through the BT.709 equations, where chroma is flat enough to compare."""
    path = test_data / "conformance" / "torchcodec" / "bt709_full_range.mp4"
    raw = next(_pictures(path))
    y, u, v = (
        np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[: p.height, : p.width].astype(float)
        for p in raw.planes
    )
    with open_source(path) as source:
        got = next(source.frames()).image[::2, ::2].astype(float)
    luma, cb, cr = y[::2, ::2], u - 128, v - 128
    red, blue = luma + 1.5748 * cr, luma + 1.8556 * cb
    green = luma - 0.18733 * cb - 0.46813 * cr
    want = np.clip(np.stack([red, green, blue], axis=-1), 0, 255)
    assert np.abs(got - want).mean() < 1.0


def test_gif_keeps_its_uneven_delays(test_data: Path) -> None:
    with open_source(test_data / "video" / "intel_gif" / "classroom.gif") as source:
        times = [f.pts_ns // 1_000_000 for f in source.frames()]
        sampled = list(source.frames(fps=2.0))
    assert times[:5] == [0, 70, 130, 200, 270]
    assert len(sampled) == 6


def test_real_clips_read_in_order_without_warnings(test_data: Path) -> None:
    clips = [
        p
        for folder in ("video", "talking", "audio")
        for p in sorted((test_data / folder).glob("*"))
        if p.suffix in (".mp4", ".mkv", ".mpg", ".webm", ".mp3", ".wav") and p.stat().st_size < 700_000
    ]
    assert len(clips) > 20
    for path in clips:
        with open_source(path) as source:
            times = [item.pts_ns for item in source.read(fps=2.0, max_side=64)]
        assert times, path
        assert times == sorted(times), path
        assert source.warnings == [], path
