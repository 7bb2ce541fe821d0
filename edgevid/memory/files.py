"""Opening a memory file: foreign bytes are refused, new files are private, deleted bytes are overwritten."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edgevid.core.errors import BadInputError
from edgevid.memory import schema

_SQLITE_MAGIC = b"SQLite format 3\0"
_BUSY_S = 10.0  # how long a writer waits for another process to finish its transaction
_WAL_BYTES = 4 << 20  # what a finished write-ahead log may keep of the disk


def check(path: Path, *, make: bool = True) -> None:
    """Refuse foreign bytes; make a new file readable by its owner alone, for it holds what was said.

    SQLite gives ``-wal`` and ``-shm`` beside the file the mode of the file itself.

    Raises:
        BadInputError: the path cannot be a memory file.
    """
    if not path.parent.is_dir():
        raise BadInputError(
            f"folder '{path.parent}' of the memory file does not exist", fix=f"mkdir -p {path.parent}"
        )
    if path.is_dir():
        raise BadInputError(f"memory file '{path}' is a folder", fix="name a file")
    if path.exists() and not path.is_file():
        raise BadInputError(f"memory file '{path}' is a device or a pipe", fix="name a file")
    try:
        if not make and not path.exists():
            return
        path.touch(mode=0o600, exist_ok=True)
        with path.open("rb") as file:
            head = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise BadInputError(
            f"memory file '{path}' cannot be written: {error.strerror}", fix="check the path"
        ) from error
    if head and head != _SQLITE_MAGIC:
        raise BadInputError(f"'{path}' is not a memory file", fix="name another file")


def open_writer(path: str) -> sqlite3.Connection:
    """The connection that writes: made, checked or brought to this version; deleted bytes are overwritten.

    Raises:
        BadInputError: not a memory file, of a newer format, or it cannot be opened.
    """
    db = _connect(path)
    try:
        db.execute("PRAGMA secure_delete = ON")
        schema.prepare(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error as error:
        db.close()
        raise _cannot_open(path, error) from error
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: str) -> sqlite3.Connection:
    """A connection that sees the last commit and never waits for the writer."""
    db = _connect(path)
    db.execute("PRAGMA query_only = ON")
    return db


def _connect(path: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=_BUSY_S)
    except sqlite3.Error as error:
        raise _cannot_open(path, error) from error


def _cannot_open(path: str, error: sqlite3.Error) -> BadInputError:
    return BadInputError(f"memory file '{path}' cannot be opened: {error}", fix="check the path")
