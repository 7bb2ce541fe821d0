"""Clips made by the tests: every picture carries its own number, so that a test can tell which one it got."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.media.encode import VideoWriter

WIDTH, HEIGHT, BITS = 160, 96, 10

Numbered = Callable[[int], npt.NDArray[np.uint8]]
ReadNumber = Callable[[npt.NDArray[np.uint8]], int]
MakeClip = Callable[..., Path]

conformance_counts: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the conformance streams gave, pass or fail."""
    for line in conformance_counts:
        terminalreporter.write_line(f"conformance: {line}")


@pytest.fixture(scope="session")
def conformance_report() -> list[str]:
    """Lines to print at the end of the run."""
    return conformance_counts


def _numbered(number: int) -> npt.NDArray[np.uint8]:
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, dtype=np.uint8) * 200 + 28, WIDTH // BITS)
    return np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)).copy()


@pytest.fixture(scope="session")
def numbered() -> Numbered:
    """uint8 [96, 160, 3]: ten bars, dark or light, spell the number in binary from the left, low bit
    first.
    """
    return _numbered


@pytest.fixture(scope="session")
def read_number() -> ReadNumber:
    """The number a picture (of any size) carries."""

    def read(image: npt.NDArray[np.uint8]) -> int:
        grey = image.mean(axis=(0, 2))
        centres = ((np.arange(BITS) + 0.5) * image.shape[1] / BITS).astype(int)
        return int(sum(1 << bit for bit, at in enumerate(centres) if grey[at] > 128))

    return read


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Write ``name`` with numbered pictures at ``times_ns`` (or ``count`` at ``fps``) and optional sound."""

    def make(
        name: str = "clip.mkv",
        *,
        count: int = 25,
        fps: float = 25.0,
        times_ns: Iterable[int] | None = None,
        sound: npt.NDArray[np.float32] | None = None,
        codec: str | None = "mpeg4",
    ) -> Path:
        path = tmp_path / name
        times = list(times_ns) if times_ns is not None else [round(i * 1e9 / fps) for i in range(count)]
        rate = 16000 if sound is not None else None
        with VideoWriter(
            path, width=WIDTH, height=HEIGHT, fps=fps, sample_rate=rate, video_codec=codec
        ) as writer:
            done = 0
            for number, time_ns in enumerate(times):
                writer.write(_numbered(number), pts_ns=time_ns)
                if sound is not None:
                    until = sound.size if number == len(times) - 1 else int(times[number + 1] * 16e-6)
                    writer.write_audio(sound[done:until])
                    done = max(done, until)
        return path

    return make


def _tone(seconds: float, *, hertz: float = 440.0, rate: int = 16000) -> npt.NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture(scope="session")
def tone() -> Callable[..., npt.NDArray[np.float32]]:
    """A sine of half amplitude: ``tone(seconds, hertz=440, rate=16000)``."""
    return _tone


@pytest.fixture(scope="session")
def png_bomb() -> bytes:
    """A sound PNG of 16000x16000 black pixels in 750 KB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(16000 * 3 + 1)
    data = b"".join(packer.compress(row) for _ in range(16000)) + packer.flush()
    header = struct.pack(">IIBBBBB", 16000, 16000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
