"""What is forgotten is gone: from answers, from the index of words, and from the bytes of the file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edgevid.core.errors import EdgevidError
from edgevid.core.nouns import Observation, TimeSpan
from edgevid.memory.erasing import Removed, Selection
from edgevid.memory.memory import Memory

S = 1_000_000_000


def spoken(text: str, start_s: float, end_s: float, *, wall_s: float | None = None) -> Observation:
    wall_ns = None if wall_s is None else int(wall_s * S)
    return Observation("speech", text, TimeSpan(int(start_s * S), int(end_s * S)), 0.5, wall_ns=wall_ns)


def video_of(memory: Memory) -> int:
    return memory.add_video("cam", width=1, height=1, has_audio=True, channels=["speech"])


def span(start_s: float, end_s: float) -> TimeSpan:
    return TimeSpan(int(start_s * S), int(end_s * S))


def bytes_beside(path: Path) -> bytes:
    """The file with its log and index, as they are on the disk."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))


def test_every_row_that_touches_the_span_goes_and_no_other() -> None:
    with Memory() as memory:
        video, other = video_of(memory), video_of(memory)
        for name, start_s, end_s in (("before", 0, 10), ("over", 5, 40), ("in", 12, 13), ("after", 20, 30)):
            memory.add(video, spoken(name, start_s, end_s))
        memory.add(video, spoken("point", 10, 10))
        memory.add(other, spoken("elsewhere", 12, 13))
        selection = Selection(video, span=span(10, 20))
        assert memory.would_forget(selection) == memory.forget(selection) == Removed(3, 0)
        assert [row.observation.label for row in memory.rows(video)] == ["before", "after"]
        assert len(memory.rows(other)) == 1


def test_wall_clock_selects_rows_of_live_sources_of_any_video() -> None:
    with Memory() as memory:
        for video in (video_of(memory), video_of(memory)):
            memory.add(video, spoken("then", 0, 5, wall_s=1000))
            memory.add(video, spoken("later", 50, 55, wall_s=1050))
            memory.add(video, spoken("file", 0, 5))
        assert memory.forget(Selection(wall=span(900, 1004))) == Removed(2, 0)
        labels = [row.observation.label for video in memory.videos() for row in memory.rows(video.id)]
        assert sorted(labels) == ["file", "file", "later", "later"]


def test_a_whole_video_goes_with_its_name() -> None:
    with Memory() as memory:
        video = video_of(memory)
        memory.add(video, spoken("word", 0, 5))
        assert memory.forget(Selection(video)) == Removed(1, 1)
        assert memory.videos() == []


@pytest.mark.parametrize("checkpointed", [True, False], ids=["in the file", "in the log"])
def test_no_byte_of_it_is_left(tmp_path: Path, checkpointed: bool) -> None:
    path = tmp_path / "m.edgevid"
    secrets = [f"zanzibarpassword{i:04d}" for i in range(400)]
    with Memory(path) as memory:
        video = video_of(memory)
        for i, secret in enumerate(secrets):
            memory.add(video, spoken(f"the {secret} is said among other words", i, i + 1))
        memory.add(video, spoken("keepsake stays", 1000, 1001))
        if checkpointed:
            memory._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = len(bytes_beside(path))
        assert b"zanzibarpassword" in bytes_beside(path)
        assert memory.forget(Selection(video, span=span(0, 500))) == Removed(400, 0)
        left = bytes_beside(path)
        assert b"zanzibar" not in left
        assert b"password" not in left
        assert b"keepsake" in left
        assert len(left) < size
        assert memory.find_words(video, ["keepsake"])


def test_a_reader_elsewhere_that_keeps_the_bytes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.edgevid"
    with Memory(path) as memory:
        memory._db.execute("PRAGMA busy_timeout = 100")
        video = video_of(memory)
        memory.add(video, spoken("word", 0, 5))
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM observation").fetchone()
        with pytest.raises(EdgevidError, match="another program reads"):
            memory.forget(Selection(video))
        reader.close()
        assert memory.forget(Selection(video)) == Removed()
        assert b"word" not in bytes_beside(path).replace(b"words", b"")
