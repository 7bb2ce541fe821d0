"""A memory file of version 1, as the first release wrote it, is brought up to date and keeps its rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgevid.memory import schema
from edgevid.memory.erasing import Selection
from edgevid.memory.memory import Memory

_VERSION_1 = """
CREATE TABLE video (id INTEGER PRIMARY KEY, uri TEXT NOT NULL, added_ns INTEGER NOT NULL, wall_ns INTEGER,
  duration_ns INTEGER, width INTEGER NOT NULL, height INTEGER NOT NULL, has_audio INTEGER NOT NULL,
  channels TEXT NOT NULL);
CREATE TABLE observation (id INTEGER PRIMARY KEY,
  video_id INTEGER NOT NULL REFERENCES video(id) ON DELETE CASCADE, kind TEXT NOT NULL, label TEXT NOT NULL,
  start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL CHECK (end_ns >= start_ns), score REAL NOT NULL,
  count INTEGER NOT NULL, boxes TEXT NOT NULL, model_id TEXT NOT NULL, wall_ns INTEGER);
CREATE INDEX observation_time ON observation (video_id, start_ns);
CREATE INDEX observation_label ON observation (video_id, kind, label);
CREATE VIRTUAL TABLE words USING fts5 (label, content = 'observation', content_rowid = 'id');
CREATE TRIGGER words_insert AFTER INSERT ON observation WHEN new.kind IN ('speech', 'text') BEGIN
  INSERT INTO words (rowid, label) VALUES (new.id, new.label);
END;
CREATE TRIGGER words_delete AFTER DELETE ON observation WHEN old.kind IN ('speech', 'text') BEGIN
  INSERT INTO words (words, rowid, label) VALUES ('delete', old.id, old.label);
END;
INSERT INTO video VALUES (1, 'a.mp4', 5, NULL, 9000000000, 64, 48, 1, '["object", "speech"]');
INSERT INTO observation VALUES (7, 1, 'speech', 'hello world', 0, 5, 0.5, 1, '[]', 'asr', NULL);
INSERT INTO observation VALUES (8, 1, 'object', 'dog', 3, 9, 0.5, 2, '[[0.1, 0.1, 0.5, 0.5]]', 'eye', NULL);
PRAGMA application_id = 1163282756;
PRAGMA user_version = 1;
"""


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_version_1_is_upgraded_with_its_rows(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "old.edgevid"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.executescript(_VERSION_1)
    with Memory(path) as memory:
        (video,) = memory.videos()
        assert (video.uri, video.label, video.duration_ns) == ("a.mp4", None, 9_000_000_000)
        assert [row.id for row in memory.rows(1)] == [7, 8]
        assert memory.find_words(1, ["world"])[0].id == 7
        memory.add_video("b.mp4", width=1, height=1, has_audio=False, channels=["cut"], label="door")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    with Memory(path) as memory:
        assert [video.label for video in memory.videos()] == [None, "door"]
        memory.forget(Selection(1))
        assert [video.id for video in memory.videos()] == [2]


def test_an_upgraded_file_has_the_same_tables_as_a_new_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old.edgevid", tmp_path / "new.edgevid"
    with closing(sqlite3.connect(old)) as db:
        db.executescript(_VERSION_1)
    for path in (old, new):
        Memory(path).close()

    def shape(path: Path) -> dict[str, object]:
        with closing(sqlite3.connect(path)) as db:
            names = db.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'words_%'").fetchall()
            return {
                name: [column[1:4] for column in db.execute(f"PRAGMA table_info('{name}')")]
                for (name,) in names
            }

    assert shape(old) == shape(new)
