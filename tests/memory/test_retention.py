"""Rows leave by age and by size, oldest first, and the file really gets smaller."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from edgevid.core.nouns import Observation, TimeSpan
from edgevid.memory import erasing
from edgevid.memory.erasing import Removed, Retention
from edgevid.memory.memory import Memory

S = 1_000_000_000
DAY_S = 24 * 3600


def fill(memory: Memory, video: int, rows: int, *, wall_ns: int | None = None, words: int = 30) -> None:
    with memory.transaction():
        for i in range(rows):
            said = " ".join(f"w{i}x{j}" for j in range(words))
            wall = None if wall_ns is None else wall_ns + i * S
            memory.add(video, Observation("speech", said, TimeSpan(i * S, (i + 1) * S), 0.5, wall_ns=wall))


def video_of(memory: Memory, uri: str = "cam", **more: int) -> int:
    return memory.add_video(uri, width=1, height=1, has_audio=True, channels=["speech"], **more)


def test_live_rows_age_by_their_own_clock_and_finished_empty_videos_go() -> None:
    now_ns = time.time_ns()
    with Memory() as memory:
        old, new = video_of(memory, "old"), video_of(memory, "new")
        fill(memory, old, 50, wall_ns=now_ns - 3 * DAY_S * S)
        fill(memory, new, 50, wall_ns=now_ns - 60 * S)
        memory.set_watched(old, 50 * S)
        assert memory.trim(Retention(max_age_s=DAY_S)) == Removed(50, 1)
        assert [video.uri for video in memory.videos()] == ["new"]
        assert len(memory.rows(new)) == 50
        assert memory.trim(Retention(max_age_s=DAY_S)) == Removed()


def test_a_row_that_began_long_ago_but_still_lasts_stays() -> None:
    now_ns = time.time_ns()
    with Memory() as memory:
        video = video_of(memory)
        parked = Observation("object", "car", TimeSpan(0, 1), 0.9, wall_ns=now_ns - 9 * DAY_S * S)
        row = memory.add(video, parked)
        memory.extend(row, end_ns=9 * DAY_S * S, score=0.9)
        assert memory.trim(Retention(max_age_s=DAY_S)) == Removed()
        assert memory.row(row) is not None


def test_rows_of_files_age_from_when_they_were_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    with Memory() as memory:
        with monkeypatch.context() as long_ago:
            long_ago.setattr(time, "time_ns", lambda: 0)
            old = video_of(memory, "old.mp4")
        new = video_of(memory, "new.mp4")
        for video in (old, new):
            fill(memory, video, 5)
            memory.set_watched(video, 5 * S)
        assert memory.trim(Retention(max_age_s=DAY_S)) == Removed(5, 1)
        assert [video.uri for video in memory.videos()] == ["new.mp4"]


def test_a_video_that_is_being_watched_is_kept_without_rows() -> None:
    with Memory() as memory:
        video = video_of(memory)
        fill(memory, video, 5, wall_ns=0)
        assert memory.trim(Retention(max_age_s=DAY_S)) == Removed(5, 0)
        fill(memory, video, 1)
        assert len(memory.rows(video)) == 1


def test_bytes_shrink_below_the_limit_and_the_newest_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "m.edgevid"
    limit = 1_000_000
    with Memory(path) as memory:
        first, second = video_of(memory, "first"), video_of(memory, "second")
        fill(memory, first, 3000)
        memory.set_watched(first, 3000 * S)
        fill(memory, second, 3000)
    before = path.stat().st_size
    assert before > 2 * limit
    with Memory(path, keep=Retention(max_bytes=limit)) as memory:
        kept = memory.rows(second)
        assert [video.uri for video in memory.videos()] == ["second"]
        assert 300 < len(kept) < 3000
        assert kept[-1].observation.label.startswith("w2999x0 ")
        assert memory.find_words(second, ["w2999x3"])[0].id == kept[-1].id
        assert memory.find_words(second, ["w5x3"]) == []
    assert path.stat().st_size <= limit


def test_one_step_removes_a_bounded_number_of_rows() -> None:
    with Memory() as memory:
        fill(memory, video_of(memory), erasing.STEP_ROWS + 10, wall_ns=0, words=1)
        step = memory._trim_step(Retention(max_age_s=DAY_S))
        assert step == Removed(erasing.STEP_ROWS, 0)


def test_writing_trims_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevid.memory.memory._TRIM_PERIOD_S", 0.0)
    with Memory(keep=Retention(max_age_s=DAY_S)) as memory:
        video = video_of(memory)
        fill(memory, video, 3, wall_ns=0)
        assert memory.rows(video) == []


@pytest.mark.parametrize("age_s", [0.0, -1.0, math.inf, math.nan])
def test_ages_without_measure_are_refused(age_s: float) -> None:
    with pytest.raises(ValueError, match="max_age_s"):
        Retention(max_age_s=age_s)
