"""Hours of watching cost no more memory, files or threads than minutes: a live loop, asked now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame, Kind
from edgevid.media.info import SourceInfo
from edgevid.media.passage import ReadStats
from edgevid.memory.erasing import Retention
from edgevid.memory.memory import Memory
from edgevid.models.store import ModelStore
from edgevid.stream.session import StreamSession

_RATE, _CHUNK_S, _FPS = 16_000, 0.25, 8
_WARM_S, _SOAK_S, _SHORT_S = 120, 600, 20
_MOST_MB = 1.0


class LoopSource:
    """A camera that repeats two scenes and a tone in real time until it is closed."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.stats = ReadStats()
        self.info = SourceInfo(
            uri="loop",
            kind="video",
            container="test",
            duration_s=None,
            width=320,
            height=240,
            fps=_FPS,
            has_video=True,
            has_audio=True,
            video_codec="raw",
            audio_codec="raw",
            sample_rate=_RATE,
            channels=1,
            rotation=0,
            pixel_aspect=1.0,
            bytes=0,
        )
        y, x = np.mgrid[0:240, 0:320]
        self._scenes = [
            np.stack([x % 256, y, 255 - y], axis=2).astype(np.uint8),
            np.stack([255 * (x // 40 % 2), 255 * (y // 30 % 2), x % 128], axis=2).astype(np.uint8),
        ]
        self._tone = (0.1 * np.sin(np.arange(int(_RATE * _CHUNK_S)) / 5)).astype(np.float32)
        self._closed = threading.Event()

    def __enter__(self) -> LoopSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed.set()

    def read(self, **_: object) -> Iterator[Frame | AudioChunk]:
        began_s, began_ns = time.monotonic(), time.time_ns()
        i = 0
        while not self._closed.wait(max(0.0, began_s + i / _FPS - time.monotonic())):
            pts_ns = i * NS_PER_S // _FPS
            image = self._scenes[i // 24 % 2].copy()
            yield Frame(image, pts_ns, i, wall_ns=began_ns + pts_ns)
            if i % 2:
                yield AudioChunk(self._tone, _RATE, pts_ns - NS_PER_S // _FPS)
            i += 1


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def grown(counts: list[int]) -> float:
    """By how much the last third exceeds the first; what comes and goes in between is no growth."""
    third = len(counts) // 3
    return float(np.median(counts[-third:]) - np.median(counts[:third]))


def watch(
    saved: Path, *, channels: tuple[Kind, ...] | None, store: ModelStore | None, seconds: float, warm_s: float
) -> list[tuple[float, float, int, int]]:
    """Once a second from ``warm_s`` on: seconds, MB resident, open files, threads."""
    measured = []
    source = LoopSource()
    with (
        Memory(saved, keep=Retention(max_age_s=60, max_bytes=4_000_000)) as memory,
        StreamSession(memory=memory, channels=channels, store=store) as session,
    ):
        watching = threading.Thread(target=lambda: list(session.watch(source, live=True)))  # type: ignore[arg-type]
        watching.start()
        began_s = time.monotonic()
        while (now_s := time.monotonic() - began_s) < seconds:
            time.sleep(1)
            if session.watched and int(now_s) % 5 == 0:
                session.ask("How many cuts are there?")
                session.stats()
            if now_s >= warm_s:
                measured.append((now_s, _status("VmRSS") / 1e3, _files(), _status("Threads")))
        session.stop()
        watching.join(timeout=10)
        assert not watching.is_alive()
        assert memory.rows(session.video_id)
    return measured


def test_files_and_threads_do_not_grow(tmp_path: Path) -> None:
    before = threading.active_count(), _files()
    saved = tmp_path / "s.edgevid"
    measured = watch(saved, channels=("cut",), store=None, seconds=_SHORT_S, warm_s=_SHORT_S / 4)
    _, _, files, threads = (list(column) for column in zip(*measured, strict=True))
    assert grown(files) <= 0
    assert grown(threads) <= 0
    assert threading.active_count() <= before[0]
    assert _files() <= before[1]


@pytest.mark.soak
@pytest.mark.packs
def test_memory_does_not_grow_in_ten_minutes(tmp_path: Path, store: ModelStore) -> None:
    measured = watch(tmp_path / "s.edgevid", channels=None, store=store, seconds=_SOAK_S, warm_s=_WARM_S)
    seconds, mb, files, threads = (list(column) for column in zip(*measured, strict=True))
    growth_mb = float(np.polyfit(seconds, mb, 1)[0]) * (seconds[-1] - seconds[0])
    print(f"RSS {mb[0]:.1f} -> {mb[-1]:.1f} MB, fitted growth {growth_mb:.2f} MB")
    assert growth_mb < _MOST_MB
    assert grown(files) <= 0
    assert grown(threads) <= 0
