"""A watch that is told to end, or is killed: it ends in time, and what it told of is in the file."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from edgevid.memory.memory import Memory
from tests.reliability import cutting_video

_FRAMES = 60_000
_EXIT_S = 3.0  # after SIGTERM


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cutting_video.write(tmp_path_factory.mktemp("video") / "cuts.y4m", frames=_FRAMES)


def ended(video: Path, saved: Path, number: signal.Signals, after_s: float) -> tuple[int, str, float]:
    """Exit code, what was printed, and seconds from the signal to the end."""
    process = cutting_video.start(video, saved)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(after_s)
    process.send_signal(number)
    began_s = time.monotonic()
    rest, err = process.communicate(timeout=60)
    took_s = time.monotonic() - began_s
    assert "Traceback" not in err
    return process.returncode, first + rest, took_s


def rows_kept(saved: Path) -> set[int]:
    """Rows of the file, after SQLite has found it whole."""
    with closing(sqlite3.connect(saved)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    with Memory(saved) as memory:
        (video,) = memory.videos()
        return {row.id for row in memory.rows(video.id)}


def terminate(video: Path, folder: Path, run: int) -> None:
    saved = folder / f"{run}.edgevid"
    after_s = random.Random(run).uniform(0, 1.5)
    code, out, took_s = ended(video, saved, signal.SIGTERM, after_s)
    assert code == 143
    assert took_s <= _EXIT_S
    told = cutting_video.rows_told(out)
    assert told
    assert set(told) <= rows_kept(saved)
    with Memory(saved) as memory:
        assert memory.videos()[0].duration_ns is not None  # finished, not broken off
    assert sorted(path.name for path in folder.iterdir()) == [saved.name]
    saved.unlink()


def kill(video: Path, folder: Path, run: int) -> None:
    saved = folder / f"{run}.edgevid"
    code, out, _ = ended(video, saved, signal.SIGKILL, random.Random(run).uniform(0, 1.5))
    assert code == -signal.SIGKILL
    told = cutting_video.rows_told(out)
    assert told
    assert set(told) <= rows_kept(saved)  # told once committed: not even the tail is lost
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize("run", range(3))
def test_sigterm_ends_a_watch_within_3_s_with_its_rows(video: Path, tmp_path: Path, run: int) -> None:
    terminate(video, tmp_path, run)


@pytest.mark.parametrize("run", range(5))
def test_a_killed_watch_leaves_a_whole_memory(video: Path, tmp_path: Path, run: int) -> None:
    kill(video, tmp_path, run)


@pytest.mark.soak
def test_sigterm_100_of_100(video: Path, tmp_path: Path) -> None:
    for run in range(100, 200):
        terminate(video, tmp_path, run)


@pytest.mark.soak
def test_kill_100_of_100(video: Path, tmp_path: Path) -> None:
    for run in range(100, 200):
        kill(video, tmp_path, run)
