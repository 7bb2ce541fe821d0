from __future__ import annotations

import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import EdgevidError, MissingPartError, UsageError
from edgevid.media.encode import VideoWriter, choose_encoder
from edgevid.media.png import encode_png, read_image, write_png
from edgevid.media.source import open_source
from edgevid.media.wav import write_wav

Tone = Callable[..., npt.NDArray[np.float32]]

_GPL = {"libx264", "libx265", "libxvid"}


def _picture(number: int, *, width: int = 161, height: int = 97) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x + number, 255 - y, np.full_like(x, 128)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["mp4", "m4v", "mov", "mkv", "webm"])
def test_what_is_written_can_be_read(suffix: str, tmp_path: Path, tone: Tone) -> None:
    path = tmp_path / f"out.{suffix}"
    with VideoWriter(
        path, width=161, height=97, fps=25, sample_rate=16000, metadata={"title": "Ö"}
    ) as writer:
        for i in range(25):
            writer.write(_picture(i))
            writer.write_audio(tone(0.04))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with open_source(path) as source:
        assert source.info.video_codec not in _GPL
        frames = list(source.frames())
        assert len(frames) == 25
        assert frames[-1].pts_ns == 960_000_000
        height, width, _ = frames[0].image.shape
        assert (width, height) in ((161, 97), (160, 96))
        error = np.abs(frames[12].image.astype(int) - _picture(12)[:height, :width]).mean()
        assert error < 4.0
    import av

    with av.open(str(path)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert tags["title"] == "Ö"


def test_colours_survive_at_both_matrices(tmp_path: Path) -> None:
    for height in (480, 720):
        path = tmp_path / f"{height}.mp4"
        image = np.zeros((height, 64, 3), dtype=np.uint8)
        image[:, :] = (200, 40, 90)
        with VideoWriter(path, width=64, height=height, fps=25) as writer:
            writer.write(image)
        with open_source(path) as source:
            got = next(source.frames()).image
        assert np.abs(got.astype(int) - image).max() <= 6


def test_default_encoders_are_free_of_the_gpl() -> None:
    from edgevid.media import encode

    for video, audio in encode._ENCODERS.values():
        assert not _GPL & {*video, *audio}


def test_an_unknown_encoder_is_a_missing_part() -> None:
    with pytest.raises(MissingPartError, match="libnothing"):
        choose_encoder("libnothing", ())


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_file_leaves_nothing(failure: type[BaseException], tmp_path: Path) -> None:
    old = tmp_path / "out.mp4"
    old.write_bytes(b"the old one")
    with pytest.raises(failure), VideoWriter(old, width=161, height=97, fps=25) as writer:
        writer.write(_picture(0))
        raise failure
    assert old.read_bytes() == b"the old one"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(EdgevidError, match="cannot be written"),
        VideoWriter(tmp_path / "no" / "out.mp4", width=16, height=16, fps=25),
    ):
        pass


_FULL_DISK = """
import resource, sys
import numpy as np
from edgevid.core.errors import EdgevidError
from edgevid.media.encode import VideoWriter
from edgevid.media.png import write_png
from edgevid.media.wav import write_wav

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
refused = 0
for attempt in ("png", "wav", "mp4", "mkv"):
    path = f"{sys.argv[1]}/out.{attempt}"
    try:
        if attempt == "png":
            write_png(path, noise)
        elif attempt == "wav":
            write_wav(path, np.zeros(50_000, dtype=np.float32), sample_rate=16000)
        else:
            with VideoWriter(path, width=128, height=128, fps=25, video_codec="mpeg4") as writer:
                for _ in range(60):
                    writer.write(noise[::-1])
                    writer.write(noise)
    except EdgevidError as error:
        assert path in str(error) and "cannot be written" in str(error), error
        refused += 1
print(refused)
"""


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["4"]
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_caller_are_not_taken_for_the_disks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), VideoWriter(tmp_path / "o.mp4", width=16, height=16, fps=25):
        raise FileNotFoundError("the caller's own")


def test_wrong_uses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written as video"):
        VideoWriter(tmp_path / "out.txt", width=16, height=16, fps=25)
    with pytest.raises(UsageError):
        VideoWriter(tmp_path / "out.mp4", width=0, height=16, fps=25)
    mp4, small, size = tmp_path / "out.mp4", {"width": 16, "height": 16}, {"width": 161, "height": 97}
    with pytest.raises(UsageError, match="does not fit"), VideoWriter(mp4, **small, fps=25) as writer:
        writer.write(_picture(0))
    with pytest.raises(UsageError, match="order"), VideoWriter(mp4, **size, fps=25) as writer:
        writer.write(_picture(0), pts_ns=80_000_000)
        writer.write(_picture(1), pts_ns=40_000_000)
    with pytest.raises(UsageError, match="without sound"), VideoWriter(mp4, **size, fps=25) as writer:
        writer.write_audio(np.zeros(10, dtype=np.float32))
    webm = VideoWriter(tmp_path / "out.webm", **small, fps=25, video_codec="mpeg4")
    with pytest.raises(UsageError, match="does not go into"), webm:
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3), (33, 64, 3)])
def test_png_round_trip(shape: tuple[int, ...], tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    write_png(tmp_path / "a.png", image)
    assert np.array_equal(read_image(tmp_path / "a.png"), image)
    assert encode_png(image[:, ::-1]) == encode_png(image[:, ::-1].copy())


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_png_of_something_else_is_refused(bad: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_png(tmp_path / "a.png", bad)
    assert list(tmp_path.iterdir()) == []


def test_wav_is_16_bit_mono(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.array([0.0, 1.0, -1.0, 2.0], dtype=np.float32), sample_rate=8000)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert np.frombuffer(file.readframes(4), "<i2").tolist() == [0, 32767, -32767, 32767]
