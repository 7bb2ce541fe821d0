"""The memory file: SQLite, one file for all videos and streams of a user.

Layout (docs/FORMATS.md)::

    video 1 ──< observation n ──(FTS5 over the words of speech and screen text)── words

``application_id`` marks the file as ours, ``user_version`` its schema. An older file is brought to this
version when it is opened; a newer or foreign one is refused, never altered.
"""

from __future__ import annotations

import sqlite3

from edgevid.core.errors import BadInputError

APPLICATION_ID = 0x45564944  # "EVID"
VERSION = 2
_INCREMENTAL = 2  # of PRAGMA auto_vacuum: freed pages can be given back without rewriting the file

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
  channels    TEXT NOT NULL,              -- JSON list of the kinds that were watched for
  label       TEXT                        -- the user's name for the source
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
CREATE INDEX observation_wall ON observation (wall_ns) WHERE wall_ns IS NOT NULL;
CREATE VIRTUAL TABLE words USING fts5 (label, content = 'observation', content_rowid = 'id');
CREATE TRIGGER words_insert AFTER INSERT ON observation WHEN new.kind IN ('speech', 'text') BEGIN
  INSERT INTO words (rowid, label) VALUES (new.id, new.label);
END;
CREATE TRIGGER words_delete AFTER DELETE ON observation WHEN old.kind IN ('speech', 'text') BEGIN
  INSERT INTO words (words, rowid, label) VALUES ('delete', old.id, old.label);
END;
"""

_UPGRADES = {  # from version -> statements that make it the next one
    1: """
ALTER TABLE video ADD COLUMN label TEXT;
CREATE INDEX observation_wall ON observation (wall_ns) WHERE wall_ns IS NOT NULL;
""",
}


def prepare(db: sqlite3.Connection, path: str) -> None:
    """Create the tables in an empty database, or check that an existing one is ours and bring it up to date.

    Raises:
        BadInputError: another program's database, or a newer format.
    """
    try:
        (application_id,) = db.execute("PRAGMA application_id").fetchone()
        version = _version(db)
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise BadInputError(
            f"'{path}' is not a memory file: {error}", fix="name another file, or delete this one"
        ) from error
    if application_id == APPLICATION_ID and version > VERSION:
        raise BadInputError(
            f"memory file '{path}' has format {version}, this edgevid reads up to {VERSION}",
            fix="pip install -U edgevid",
        )
    if application_id != APPLICATION_ID and tables:
        raise BadInputError(f"'{path}' is another program's database", fix="name another file")
    if application_id != APPLICATION_ID:
        _create(db)
    elif version < VERSION:
        _upgrade(db)
    _allow_shrinking(db)


def _create(db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    db.execute("BEGIN IMMEDIATE")
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:  # else another process made them while this one waited
        for statement in _statements(_TABLES):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _upgrade(db: sqlite3.Connection) -> None:
    """All steps in one transaction: a file is of one version or of the other."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for version in range(_version(db), VERSION):
            for statement in _statements(_UPGRADES[version]):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version + 1}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _allow_shrinking(db: sqlite3.Connection) -> None:
    """Files of version 1 could only grow; rewriting one once lets it shrink from then on."""
    (mode,) = db.execute("PRAGMA auto_vacuum").fetchone()
    if mode != _INCREMENTAL:
        db.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        db.execute("VACUUM")


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _statements(script: str) -> list[str]:
    """``script`` split where SQLite says a statement is complete; ``executescript`` would commit first."""
    found, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found
