"""``Memory``: what was seen and heard, as rows in one SQLite file (schema.py)."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from edgevid.core.errors import BadInputError
from edgevid.core.nouns import Box, Kind, Observation, TimeSpan
from edgevid.memory import schema


@dataclass(frozen=True, slots=True)
class VideoRow:
    """One watched video or stream; ``channels`` are the kinds it was watched for."""

    id: int
    uri: str
    wall_ns: int | None
    duration_ns: int | None
    width: int
    height: int
    has_audio: bool
    channels: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """An observation with its row id, the number that answers cite."""

    id: int
    video_id: int
    observation: Observation


_SQLITE_MAGIC = b"SQLite format 3\0"
_COLUMNS = "id, video_id, kind, label, start_ns, end_ns, score, count, boxes, model_id, wall_ns"
_VIDEO_COLUMNS = "id, uri, wall_ns, duration_ns, width, height, has_audio, channels"


def _row(record: tuple[Any, ...]) -> Row:
    row_id, video_id, kind, label, start_ns, end_ns, score, count, boxes, model_id, wall_ns = record
    observation = Observation(
        kind=kind,
        label=label,
        span=TimeSpan(start_ns, end_ns),
        score=score,
        count=count,
        boxes=tuple(Box(*box) for box in json.loads(boxes)),
        model_id=model_id,
        wall_ns=wall_ns,
    )
    return Row(row_id, video_id, observation)


class Memory:
    """Observations of videos, kept in a file or in RAM. Safe to use from several threads.

    Args:
        path: file to open or create; None keeps everything in RAM.

    Raises:
        BadInputError: the file is not a memory file, or of a newer format, or cannot be opened.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = str(path) if path is not None else ":memory:"
        self._lock = threading.RLock()
        if path is not None:
            _check_file(Path(path))
        try:
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10.0)
        except sqlite3.Error as error:
            raise BadInputError(
                f"memory file '{path}' cannot be opened: {error}", fix="check the path"
            ) from error
        try:
            schema.prepare(self._db, self.path)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is pending and close the file; closing twice is fine."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside become durable together or not at all."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def add_video(
        self,
        uri: str,
        *,
        width: int,
        height: int,
        has_audio: bool,
        channels: Sequence[Kind],
        wall_ns: int | None = None,
    ) -> int:
        """Start a video; returns its id. ``duration_ns`` stays empty until ``finish_video``."""
        with self._lock:
            cursor = self._db.execute(
                "INSERT INTO video (uri, added_ns, wall_ns, width, height, has_audio, channels)"
                " VALUES (?,?,?,?,?,?,?)",
                (uri, time.time_ns(), wall_ns, width, height, int(has_audio), json.dumps(list(channels))),
            )
        return int(cursor.lastrowid or 0)

    def set_watched(self, video_id: int, duration_ns: int) -> None:
        """Record how much presentation time of the video has been watched."""
        with self._lock:
            self._db.execute("UPDATE video SET duration_ns = ? WHERE id = ?", (duration_ns, video_id))

    def add(self, video_id: int, observation: Observation) -> int:
        """Append one row; returns its id."""
        o = observation
        boxes = json.dumps([[round(v, 4) for v in (b.x0, b.y0, b.x1, b.y1)] for b in o.boxes])
        with self._lock:
            cursor = self._db.execute(
                "INSERT INTO observation"
                " (video_id, kind, label, start_ns, end_ns, score, count, boxes, model_id, wall_ns)"
                " VALUES (?,?,?,?,?,?,?,?,?,?)",
                (
                    *(video_id, o.kind, o.label, o.span.start_ns, o.span.end_ns),
                    *(o.score, o.count, boxes, o.model_id, o.wall_ns),
                ),
            )
        return int(cursor.lastrowid or 0)

    def extend(self, row_id: int, *, end_ns: int, score: float) -> None:
        """The thing seen in row ``row_id`` is still there: move its end, keep the best score."""
        with self._lock:
            self._db.execute(
                "UPDATE observation SET end_ns = max(end_ns, ?), score = max(score, ?) WHERE id = ?",
                (end_ns, score, row_id),
            )

    def video(self, video_id: int) -> VideoRow:
        """The video with this id; KeyError when there is none."""
        with self._lock:
            record = self._db.execute(
                f"SELECT {_VIDEO_COLUMNS} FROM video WHERE id = ?", (video_id,)
            ).fetchone()
        if record is None:
            raise KeyError(f"no video {video_id} in {self.path}")
        return _video(record)

    def videos(self) -> list[VideoRow]:
        """All videos, oldest first."""
        with self._lock:
            records = self._db.execute(f"SELECT {_VIDEO_COLUMNS} FROM video ORDER BY id").fetchall()
        return [_video(record) for record in records]

    def rows(
        self,
        video_id: int,
        *,
        kinds: Iterable[Kind] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> list[Row]:
        """Rows of a video in order of start; ``start_ns``/``end_ns`` keep rows that overlap that interval."""
        where = ["video_id = ?"]
        args: list[object] = [video_id]
        if kinds is not None:
            wanted = list(kinds)
            where.append(f"kind IN ({','.join('?' * len(wanted))})")
            args += wanted
        if start_ns is not None:
            where.append("end_ns >= ?")
            args.append(start_ns)
        if end_ns is not None:
            where.append("start_ns < ?")
            args.append(end_ns)
        query = f"SELECT {_COLUMNS} FROM observation WHERE {' AND '.join(where)} ORDER BY start_ns, id"
        with self._lock:
            return [_row(record) for record in self._db.execute(query, args).fetchall()]

    def find_words(self, video_id: int, words: Sequence[str], *, limit: int = 20) -> list[Row]:
        """Speech and screen text that hold any of ``words``, best match first (BM25)."""
        if not words:
            return []
        match = " OR ".join('"' + word.replace('"', '""') + '"' for word in words)
        columns = ", ".join(f"o.{name}" for name in _COLUMNS.split(", "))
        with self._lock:
            records = self._db.execute(
                f"SELECT {columns} FROM words JOIN observation o ON o.id = words.rowid"
                " WHERE words MATCH ? AND o.video_id = ? ORDER BY bm25(words), o.start_ns LIMIT ?",
                (match, video_id, limit),
            ).fetchall()
        return [_row(record) for record in records]

    def copy_to(self, path: str | Path) -> None:
        """Write everything to another file, whole or not at all."""
        target = Path(path)
        _check_file(target, make=False)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".edgevid-") as folder:
            copied = Path(folder) / target.name
            copied.touch(mode=0o600)
            with self._lock, closing(sqlite3.connect(copied)) as db:
                self._db.backup(db)
                db.execute("PRAGMA journal_mode = DELETE")
            copied.replace(target)

    def delete_video(self, video_id: int) -> None:
        """Forget a video and everything seen in it."""
        with self._lock:
            self._db.execute("DELETE FROM video WHERE id = ?", (video_id,))


def _video(record: tuple[Any, ...]) -> VideoRow:
    video_id, uri, wall_ns, duration_ns, width, height, has_audio, channels = record
    return VideoRow(
        id=video_id,
        uri=uri,
        wall_ns=wall_ns,
        duration_ns=duration_ns,
        width=width,
        height=height,
        has_audio=bool(has_audio),
        channels=tuple(json.loads(channels)),
    )


def _check_file(path: Path, *, make: bool = True) -> None:
    """Refuse foreign bytes; make a new file readable by its owner alone, for it holds what was said."""
    if not path.parent.is_dir():
        raise BadInputError(
            f"folder '{path.parent}' of the memory file does not exist", fix=f"mkdir -p {path.parent}"
        )
    if path.is_dir():
        raise BadInputError(f"memory file '{path}' is a folder", fix="name a file")
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
