"""The memory file: SQLite, one file for all videos and streams of a user.

Layout (docs/FORMATS.md)::

    video 1 ──< observation n ──(FTS5 over the words of speech and screen text)── words

``application_id`` marks the file as ours, ``user_version`` its schema; a newer or foreign file is refused,
never altered.
"""

from __future__ import annotations

import sqlite3

from edgevid.core.errors import BadInputError

APPLICATION_ID = 0x45564944  # "EVID"
VERSION = 1

_TABLES = """
CREATE TABLE video (
  id          INTEGER PRIMARY KEY,
  uri         TEXT NOT NULL,
  added_ns    INTEGER NOT NULL,           -- Unix time the row was made
  wall_ns     INTEGER,                    -- Unix time of pts 0 for live sources
  duration_ns INTEGER,                    -- presentation time watched; NULL while the first watch runs
  width       INTEGER NOT NULL,
  height      INTEGER NOT NULL,
  has_audio   INTEGER NOT NULL,
  channels    TEXT NOT NULL               -- JSON list of the kinds that were watched for
);
CREATE TABLE observation (
  id       INTEGER PRIMARY KEY,
  video_id INTEGER NOT NULL REFERENCES video(id) ON DELETE CASCADE,
  kind     TEXT NOT NULL,
  label    TEXT NOT NULL,
  start_ns INTEGER NOT NULL,
  end_ns   INTEGER NOT NULL CHECK (end_ns >= start_ns),
  score    REAL NOT NULL,
  count    INTEGER NOT NULL,
  boxes    TEXT NOT NULL,                 -- JSON [[x0, y0, x1, y1], ...] in fractions of the frame
  model_id TEXT NOT NULL,
  wall_ns  INTEGER
);
CREATE INDEX observation_time ON observation (video_id, start_ns);
CREATE INDEX observation_label ON observation (video_id, kind, label);
CREATE VIRTUAL TABLE words USING fts5 (label, content = 'observation', content_rowid = 'id');
CREATE TRIGGER words_insert AFTER INSERT ON observation WHEN new.kind IN ('speech', 'text') BEGIN
  INSERT INTO words (rowid, label) VALUES (new.id, new.label);
END;
CREATE TRIGGER words_delete AFTER DELETE ON observation WHEN old.kind IN ('speech', 'text') BEGIN
  INSERT INTO words (words, rowid, label) VALUES ('delete', old.id, old.label);
END;
"""


def prepare(db: sqlite3.Connection, path: str) -> None:
    """Create the tables in an empty database, or check that an existing one is ours and of this version."""
    try:
        (application_id,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise BadInputError(
            f"'{path}' is not a memory file: {error}", fix="name another file, or delete this one"
        ) from error
    if application_id == APPLICATION_ID and version == VERSION:
        return
    if application_id == APPLICATION_ID and version > 0:
        raise BadInputError(
            f"memory file '{path}' has format {version}, this edgevid reads {VERSION}",
            fix="pip install -U edgevid",
        )
    if tables:
        raise BadInputError(f"'{path}' is another program's database", fix="name another file")
    db.executescript(
        f"BEGIN; {_TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
    )
