from __future__ import annotations

import os
import sqlite3
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edgevid.core.errors import BadInputError
from edgevid.core.nouns import Box, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory

S = 1_000_000_000


def observation(kind: Kind, label: str, start_s: float, end_s: float, **more: object) -> Observation:
    return Observation(kind, label, TimeSpan(int(start_s * S), int(end_s * S)), 0.5, **more)  # type: ignore[arg-type]


def make_video(memory: Memory) -> int:
    return memory.add_video("a.mp4", width=64, height=48, has_audio=True, channels=["object", "speech"])


def test_rows_come_back_as_they_went_in_ordered_by_time() -> None:
    with Memory() as memory:
        video = make_video(memory)
        late = observation("speech", "hello world", 5, 6, model_id="asr", wall_ns=7)
        early = observation(
            "object", "person", 0, 2, count=2, boxes=(Box(0.1, 0.2, 0.5, 1.0), Box(0, 0, 1, 1))
        )
        late_id, early_id = memory.add(video, late), memory.add(video, early)
        rows = memory.rows(video)
        assert [row.id for row in rows] == [early_id, late_id]
        assert [row.observation for row in rows] == [early, late]
        assert memory.rows(video, kinds=["speech"])[0].observation == late
        assert memory.rows(video, start_ns=3 * S)[0].id == late_id
        assert memory.rows(video, end_ns=5 * S)[0].id == early_id
        assert memory.rows(video + 1) == []


def test_rows_may_be_read_without_boxes() -> None:
    with Memory() as memory:
        video = make_video(memory)
        seen = observation("object", "person", 0, 2, boxes=(Box(0.1, 0.2, 0.5, 1.0),))
        memory.add(video, seen)
        assert [row.observation for row in memory.rows(video, boxes=False)] == [replace(seen, boxes=())]


@pytest.mark.parametrize("in_file", [False, True])
def test_the_version_differs_after_every_change(tmp_path: Path, in_file: bool) -> None:
    path = tmp_path / "m.db" if in_file else None
    with Memory(path) as memory:
        versions = [memory.version()]
        video = make_video(memory)
        versions.append(memory.version())
        row = memory.add(video, observation("object", "person", 0, 2))
        versions.append(memory.version())
        assert memory.version() == versions[-1]
        memory.rows(video)
        assert memory.version() == versions[-1]
        memory.extend(row, end_ns=3 * S, score=0.9)
        versions.append(memory.version())
        memory.set_watched(video, 3 * S)
        versions.append(memory.version())
        if path is not None:
            with Memory(path) as other:
                other.add(video, observation("object", "dog", 0, 2))
            versions.append(memory.version())
        memory.delete_video(video)
        versions.append(memory.version())
        assert len(set(versions)) == len(versions)


def test_extend_moves_the_end_and_keeps_the_best_score() -> None:
    with Memory() as memory:
        video = make_video(memory)
        row_id = memory.add(video, observation("object", "dog", 0, 1))
        memory.extend(row_id, end_ns=4 * S, score=0.4)
        memory.extend(row_id, end_ns=3 * S, score=0.9)
        (row,) = memory.rows(video)
        assert row.observation.span == TimeSpan(0, 4 * S)
        assert row.observation.score == 0.9


def test_words_are_found_in_speech_and_text_only() -> None:
    with Memory() as memory:
        video = make_video(memory)
        said = memory.add(video, observation("speech", "ask not what your country can do", 0, 1))
        memory.add(video, observation("object", "country", 0, 1))
        read = memory.add(video, observation("text", 'COUNTRY "ROADS"', 2, 3))
        assert {row.id for row in memory.find_words(video, ["country"])} == {said, read}
        assert [row.id for row in memory.find_words(video, ['"roads"'])] == [read]
        assert memory.find_words(video, []) == []
        assert memory.find_words(video, ["NOT", "*", "("])[0].id == said


def test_a_file_survives_closing_is_private_and_deletes_cascade(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        video = make_video(memory)
        memory.add(video, observation("text", "EXIT", 0, 1))
        memory.set_watched(video, 9 * S)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Memory(path) as memory:
        (row,) = memory.videos()
        assert (row.uri, row.duration_ns, row.channels) == ("a.mp4", 9 * S, ("object", "speech"))
        memory.delete_video(row.id)
        assert memory.rows(row.id) == []
        assert memory.find_words(row.id, ["exit"]) == []
        with pytest.raises(KeyError):
            memory.video(row.id)


def test_a_failed_transaction_leaves_nothing() -> None:
    with Memory() as memory:
        video = make_video(memory)
        with pytest.raises(RuntimeError, match="stop"), memory.transaction():
            memory.add(video, observation("object", "cat", 0, 1))
            raise RuntimeError("stop")
        assert memory.rows(video) == []


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one" * 30, b"x"])
def test_foreign_bytes_are_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="not a memory file"):
        Memory(path)
    assert path.read_bytes() == content


def test_another_programs_database_and_a_newer_format_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE t (x)")
    with pytest.raises(BadInputError, match="another program"):
        Memory(other)
    newer = tmp_path / "newer.db"
    Memory(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(BadInputError, match="format 99"):
        Memory(newer)


def test_missing_folder_and_folder_as_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="does not exist"):
        Memory(tmp_path / "no" / "m.db")
    with pytest.raises(BadInputError, match="is a folder"):
        Memory(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInputError, match="a device or a pipe"):
        Memory(tmp_path / "pipe")


def test_threads_may_write_together(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        video = make_video(memory)

        def write(name: str) -> None:
            for i in range(100):
                memory.add(video, observation("object", name, i, i + 1))

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(memory.rows(video)) == 400


def test_copy_to_writes_everything_and_replaces_an_old_copy(tmp_path: Path) -> None:
    copy = tmp_path / "copy.edgevid"
    with Memory() as memory:
        video = make_video(memory)
        for label in ("dog", "cat"):
            memory.add(video, observation("object", label, 0, 1))
            memory.copy_to(copy)
    with Memory(copy) as opened:
        assert [row.observation.label for row in opened.rows(video)] == ["dog", "cat"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["copy.edgevid"]


def test_copy_to_leaves_foreign_files_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("precious")
    with Memory() as memory, pytest.raises(BadInputError, match="not a memory file"):
        memory.copy_to(notes)
    assert notes.read_text() == "precious"
