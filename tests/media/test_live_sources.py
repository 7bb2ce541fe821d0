"""Live sources that need no network: paced files, pipes, the sound server, a screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import BadInputError, LimitError, MissingPartError, UsageError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import AudioChunk, Frame
from edgevid.media.source import list_sources, open_source

MakeClip = Callable[..., Path]
Tone = Callable[..., npt.NDArray[np.float32]]
ReadNumber = Callable[[npt.NDArray[np.uint8]], int]


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name}: apt-get install {package}")
    return path


def test_a_paced_file_comes_in_real_time_with_its_own_times(
    make_clip: MakeClip, tone: Tone, read_number: ReadNumber
) -> None:
    path = make_clip(count=50, sound=tone(2.0))
    frames, chunks = [], []
    with open_source(path, paced=True) as source:
        assert source.info.live
        began_s, began_ns = time.monotonic(), time.time_ns()
        for item in source.read(chunk_s=0.25):
            (frames if isinstance(item, Frame) else chunks).append(item)
        took_s = time.monotonic() - began_s
        live = source.stats.live
    assert 1.7 < took_s < 10
    assert live is not None
    assert live.received == 50 == live.delivered + live.dropped
    for frame in frames:
        assert isinstance(frame, Frame) and frame.wall_ns is not None
        assert read_number(frame.image) == frame.index == round(frame.pts_ns / 40e6)
        assert frame.pts_ns == frame.index * 40_000_000
        assert -1 < (frame.wall_ns - began_ns - frame.pts_ns) / 1e9 < 2
    assert sum(c.samples.size for c in chunks if isinstance(c, AudioChunk)) == pytest.approx(32000, abs=1600)
    assert all(isinstance(c, AudioChunk) and c.wall_ns is not None for c in chunks)


def test_a_paced_file_can_start_and_end_in_the_middle(make_clip: MakeClip) -> None:
    with open_source(make_clip(count=75), paced=True) as source:
        began_s = time.monotonic()
        times = [frame.pts_ns for frame in source.frames(start_s=1.0, end_s=1.4)]
        assert time.monotonic() - began_s < 5
    assert times and min(times) >= 1_000_000_000 and max(times) < 1_400_000_000


def test_a_rate_below_the_files(make_clip: MakeClip) -> None:
    with open_source(make_clip(count=50), paced=True) as source:
        times = [frame.pts_ns for frame in source.frames(fps=5.0)]
        live = source.stats.live
    assert live is not None
    assert live.received == live.delivered + live.dropped + live.skipped
    assert live.skipped >= 35
    assert len({int(t / 200e6 + 1e-3) for t in times}) == len(times)


def test_a_slow_reader_drops_and_counts(make_clip: MakeClip) -> None:
    with open_source(make_clip(count=40), paced=True) as source:
        indices = []
        for frame in source.frames():
            indices.append(frame.index)
            time.sleep(0.2)
        live = source.stats.live
    assert live is not None
    assert indices[-1] == 39  # the newest is never lost
    assert live.received == 40 == live.delivered + live.dropped
    assert live.delivered == len(indices) < 20


def test_one_reading_at_a_time_and_none_after_close(make_clip: MakeClip) -> None:
    source = open_source(make_clip(), paced=True)
    frames = source.frames()
    next(frames)
    with pytest.raises(UsageError, match="already"):
        next(source.frames())
    source.close()
    assert list(frames) == []
    source.close()
    with pytest.raises(UsageError, match="closed"):
        next(source.frames())


def test_close_ends_a_waiting_read(make_clip: MakeClip) -> None:
    source = open_source(make_clip(count=3, times_ns=[0, 40_000_000, 8_000_000_000]), paced=True)
    reader = threading.Thread(target=lambda: list(source.frames()), name="test reader")
    reader.start()
    time.sleep(0.5)
    began_s = time.monotonic()
    source.close()
    assert time.monotonic() - began_s <= 1.0
    reader.join(2.0)
    assert not reader.is_alive()


def test_pictures_cannot_be_paced(make_clip: MakeClip, tmp_path: Path) -> None:
    from edgevid.media.png import write_png

    write_png(tmp_path / "1.png", np.zeros((8, 8, 3), np.uint8))
    write_png(tmp_path / "2.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UsageError, match="paced"):
        open_source(tmp_path, paced=True)


def test_a_live_address_is_one_source() -> None:
    assert list_sources("rtsp://host/cam") == ("rtsp://host/cam",)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def _write(fifo: Path, data: bytes) -> threading.Thread:
    def run() -> None:
        with fifo.open("wb") as file:
            file.write(data)

    writer = threading.Thread(target=run, name="test writer")
    writer.start()
    return writer


@pytest.mark.parametrize("pause_s", [0.0, 1.0])
def test_a_fifo_written_at_once_is_read_whole_in_real_time(
    fifo: Path, make_clip: MakeClip, tone: Tone, read_number: ReadNumber, pause_s: float
) -> None:
    writer = _write(fifo, make_clip(count=40, sound=tone(1.6)).read_bytes())
    with open_source(fifo) as source:
        assert source.info.live and source.info.uri == str(fifo)
        time.sleep(pause_s)  # what cannot come again waits for its reader
        began_s = time.monotonic()
        items = list(source.read())
        took_s = time.monotonic() - began_s
        live = source.stats.live
    writer.join()
    frames = [item for item in items if isinstance(item, Frame)]
    assert live is not None and live.received == 40
    assert [read_number(f.image) for f in frames] == [f.index for f in frames]
    assert frames[-1].index == 39
    assert 1.2 < took_s < 10
    assert all(b.pts_ns > a.pts_ns for a, b in pairwise(frames))
    heard = sum(item.samples.size for item in items if isinstance(item, AudioChunk))
    assert heard == pytest.approx(1.6 * 16000, abs=1600)


def test_standard_input(make_clip: MakeClip) -> None:
    code = (
        "from edgevid.media.source import open_source\n"
        "with open_source('-') as s: print(s.info.uri, len(list(s.frames())) > 5)"
    )
    with make_clip(count=20).open("rb") as file:
        done = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, text=True)
    assert done.stdout == "standard input True\n", done.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "nothing came"),
        (b"#EXTM3U\n#EXTINF:1\n/etc/passwd\n" * 50, "not a video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n" * 50, "not a video"),
        (b"plain text\n" * 1000, "not a video"),
        (bytes(range(256)) * 400, "pipe|fifo"),
    ],
    ids=["nothing", "playlist", "concat", "text", "noise"],
)
def test_a_pipe_with_something_else(fifo: Path, data: bytes, words: str) -> None:
    writer = threading.Thread(target=lambda: _swallow(fifo, data), name="test writer")
    writer.start()
    with pytest.raises(BadInputError, match=words):
        open_source(fifo)
    writer.join()


def _swallow(fifo: Path, data: bytes) -> None:
    with suppress(BrokenPipeError):
        fifo.write_bytes(data)


def test_a_pipe_nobody_writes_to_is_given_up(fifo: Path) -> None:
    began_s = time.monotonic()
    with pytest.raises(BadInputError, match="no picture or sound for 1 s"):
        open_source(fifo, limits=MediaLimits(open_timeout_s=1.0))
    assert time.monotonic() - began_s < 5


def test_a_bomb_in_a_pipe_is_refused_before_it_is_decoded(fifo: Path, png_bomb: bytes) -> None:
    writer = threading.Thread(target=lambda: _swallow(fifo, png_bomb), name="test writer")
    writer.start()
    began_s = time.monotonic()
    with pytest.raises(LimitError):
        open_source(fifo)
    assert time.monotonic() - began_s < 0.1  # the bound of the issue
    writer.join()


def test_a_terminal_is_no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    with os.fdopen(slave) as terminal:
        monkeypatch.setattr(sys, "__stdin__", terminal)
        with pytest.raises(UsageError, match="terminal"):
            open_source("-")
    os.close(master)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("/dev/video97", "no such camera"),
        ("screen:", "no X display"),
        ("mic:", "parec"),
    ],
)
def test_what_is_missing_is_named_with_its_fix(uri: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingPartError, match=words) as caught:
        open_source(uri)
    assert caught.value.fix


@pytest.fixture
def sound_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A sound server with one silent sink; the name of what can be recorded from it."""
    program = _program("pulseaudio", "pulseaudio pulseaudio-utils")
    _program("parec", "pulseaudio-utils")
    socket = tmp_path / "socket"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{socket}")
    modules = (
        f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1",
        "--load=module-null-sink sink_name=test",
    )
    with subprocess.Popen(
        [program, "-n", "--daemonize=no", "--exit-idle-time=-1", *modules],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            limit_s = time.monotonic() + 20
            while subprocess.run(["pactl", "info"], capture_output=True, check=False).returncode:
                assert time.monotonic() < limit_s and server.poll() is None, "the sound server does not start"
                time.sleep(0.1)
            yield "test.monitor"
        finally:
            server.kill()


def test_the_sound_server_is_recorded(sound_server: str) -> None:
    for uri in ("mic:", f"pulse:{sound_server}"):
        with open_source(uri) as source:
            assert (source.info.kind, source.info.sample_rate, source.info.live) == ("audio", 48000, True)
            began_s = time.monotonic()
            chunks = list(source.audio(chunk_s=0.1, end_s=1.0))
            assert time.monotonic() - began_s > 0.5
        assert sum(chunk.samples.size for chunk in chunks) == 16000
        assert [chunk.pts_ns for chunk in chunks] == [n * 100_000_000 for n in range(10)]
    with pytest.raises(BadInputError, match=r"pulse:other: no sound .*[Nn]o such"):
        open_source("pulse:other")


def test_a_screen_is_watched() -> None:
    program = _program("Xvfb", "xvfb")
    with subprocess.Popen(
        [program, "-br", "-displayfd", "1", "-screen", "0", "320x240x24"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            assert server.stdout is not None
            display = server.stdout.readline().decode().strip()
            with open_source(f"screen::{display}") as source:
                frames = [frame for frame, _ in zip(source.frames(), range(5))]
            assert all(frame.image.shape == (240, 320, 3) for frame in frames)
            assert all(np.median(frame.image) < 30 for frame in frames)  # black
        finally:
            server.terminate()
