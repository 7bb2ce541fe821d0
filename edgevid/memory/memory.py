"""``Memory``: what was seen and heard, as rows in one SQLite file (schema.py).

One connection writes, under a lock; another reads, so that a question never waits for the watcher nor the
watcher for a question. Other processes may read and write the same file at the same time.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType

from edgevid.core.errors import EdgevidError
from edgevid.core.nouns import KINDS, Kind, Observation
from edgevid.memory import erasing, files
from edgevid.memory.erasing import Removed, Retention, Selection
from edgevid.memory.records import (
    ROW_COLUMNS,
    ROW_COLUMNS_NO_BOXES,
    VIDEO_COLUMNS,
    Row,
    VideoRow,
    to_row,
    to_video,
)

__all__ = ["Memory", "Row", "VideoRow"]

_TRIM_PERIOD_S = 60.0
SYNC_PERIOD_S = 5.0
"""A loss of power costs at most the commits of this long; a killed process the open transaction alone."""


class Memory:
    """Observations of videos, kept in a file or in RAM. Safe to use from several threads.

    Args:
        path: file to open or create; None keeps everything in RAM.
        keep: what is kept for how long; applied when a file is opened and about once a minute of writing.

    Raises:
        BadInputError: the file is not a memory file, or of a newer format, or cannot be opened.
    """

    def __init__(self, path: str | Path | None = None, *, keep: Retention | None = None) -> None:
        self.path = str(path) if path is not None else ":memory:"
        if path is not None:
            files.check(Path(path))
        self._lock = threading.RLock()
        self._db = files.open_writer(self.path)
        self._in_ram = path is None
        self._reading = self._lock if self._in_ram else threading.RLock()
        self._reader = self._db if self._in_ram else files.open_reader(self.path)
        self._writer_thread: int | None = None  # the one inside ``transaction``, which reads what it wrote
        self._keep = keep
        self._trimmed_s = self._synced_s = time.monotonic()
        if keep is not None:
            self.trim(keep)

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is pending and close the file; closing twice is fine."""
        with self._reading, self._lock:
            if not self._in_ram:
                self._reader.close()
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside become visible together or not at all.

        A killed process loses the open transaction; a loss of power also those of the last ``SYNC_PERIOD_S``.
        """
        with self._lock:
            with self._committing():
                yield
            self._upkeep()

    def add_video(
        self,
        uri: str,
        *,
        width: int,
        height: int,
        has_audio: bool,
        channels: Sequence[Kind],
        wall_ns: int | None = None,
        label: str | None = None,
    ) -> int:
        """Start a video; returns its id. ``duration_ns`` stays empty until ``set_watched``."""
        kinds = json.dumps(list(channels))
        with self._lock:
            cursor = self._db.execute(
                "INSERT INTO video (uri, added_ns, wall_ns, width, height, has_audio, channels, label)"
                " VALUES (?,?,?,?,?,?,?,?)",
                (uri, time.time_ns(), wall_ns, width, height, int(has_audio), kinds, label),
            )
        return int(cursor.lastrowid or 0)

    def set_wall(self, video_id: int, wall_ns: int) -> None:
        """Record the Unix time of presentation time 0, once a live source has told it."""
        with self._lock:
            self._db.execute("UPDATE video SET wall_ns = ? WHERE id = ?", (wall_ns, video_id))

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

    def extend(self, row_id: int, *, end_ns: int, score: float) -> bool:
        """The thing seen in row ``row_id`` is still there: move its end, keep the best score.

        Returns whether there was such a row; it may have been forgotten.
        """
        with self._lock:
            cursor = self._db.execute(
                "UPDATE observation SET end_ns = max(end_ns, ?), score = max(score, ?) WHERE id = ?",
                (end_ns, score, row_id),
            )
        return cursor.rowcount > 0

    def video(self, video_id: int) -> VideoRow:
        """The video with this id; KeyError when there is none."""
        found = self._read(f"SELECT {VIDEO_COLUMNS} FROM video WHERE id = ?", (video_id,))
        if not found:
            raise KeyError(f"no video {video_id} in {self.path}")
        return to_video(found[0])

    def videos(self) -> list[VideoRow]:
        """All videos, oldest first."""
        return [to_video(record) for record in self._read(f"SELECT {VIDEO_COLUMNS} FROM video ORDER BY id")]

    def row(self, row_id: int) -> Row | None:
        """The row with this id; None when it was forgotten."""
        found = self._read(f"SELECT {ROW_COLUMNS} FROM observation WHERE id = ?", (row_id,))
        return to_row(found[0]) if found else None

    def rows(
        self,
        video_id: int,
        *,
        kinds: Iterable[Kind] = KINDS,
        start_ns: int | None = None,
        end_ns: int | None = None,
        boxes: bool = True,
    ) -> list[Row]:
        """Rows of a video in order of start; ``start_ns``/``end_ns`` keep rows that overlap that interval.

        By default all that is reported; rows of kind "faint" only when they are named. Without ``boxes``
        every row's are empty and reading takes half as long.
        """
        wanted = list(kinds)
        where = ["video_id = ?", f"kind IN ({','.join('?' * len(wanted))})"]
        args: list[object] = [video_id, *wanted]
        if start_ns is not None:
            where.append("end_ns >= ?")
            args.append(start_ns)
        if end_ns is not None:
            where.append("start_ns < ?")
            args.append(end_ns)
        columns = ROW_COLUMNS if boxes else ROW_COLUMNS_NO_BOXES
        query = f"SELECT {columns} FROM observation WHERE {' AND '.join(where)} ORDER BY start_ns, id"
        return [to_row(record) for record in self._read(query, args)]

    def version(self) -> tuple[int, int]:
        """A value that differs from an earlier one when anything may have changed since, in whatever
        process."""
        with self._reading:
            ((of_others,),) = self._reader.execute("PRAGMA data_version").fetchall()
        return int(of_others), self._db.total_changes

    def find_words(self, video_id: int, words: Sequence[str], *, limit: int = 20) -> list[Row]:
        """Speech and screen text that hold any of ``words``, best match first (BM25)."""
        if not words:
            return []
        match = " OR ".join('"' + word.replace('"', '""') + '"' for word in words)
        columns = ", ".join(f"o.{name}" for name in ROW_COLUMNS.split(", "))
        found = self._read(
            f"SELECT {columns} FROM words JOIN observation o ON o.id = words.rowid"
            " WHERE words MATCH ? AND o.video_id = ? ORDER BY bm25(words), o.start_ns LIMIT ?",
            (match, video_id, limit),
        )
        return [to_row(record) for record in found]

    def copy_to(self, path: str | Path) -> None:
        """Write everything to another file, whole or not at all."""
        target = Path(path)
        files.check(target, make=False)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".edgevid-") as folder:
            copied = Path(folder) / target.name
            copied.touch(mode=0o600)
            with self._reading, closing(sqlite3.connect(copied)) as db:
                self._reader.backup(db)
                db.execute("PRAGMA journal_mode = DELETE")
            copied.replace(target)

    def delete_video(self, video_id: int) -> None:
        """Forget a video and everything seen in it."""
        self.forget(Selection(video_id))

    def would_forget(self, selection: Selection) -> Removed:
        """What ``forget`` would remove."""
        with self._reading:
            return erasing.count(self._reader, selection)

    def forget(self, selection: Selection) -> Removed:
        """Remove rows, overwrite their bytes in the file and its log, and give the space back.

        Raises:
            EdgevidError: another program holds the old state open: the rows are gone, some bytes are not yet.
        """
        with self._reading, self._lock:
            with self._committing():
                removed = erasing.forget(self._db, selection)
            if not erasing.scrub(self._db):
                raise EdgevidError(
                    f"{removed.rows} rows are removed, but another program reads '{self.path}' and so keeps"
                    " their bytes in the log",
                    fix="close it and run the same again",
                )
        return removed

    def trim(self, keep: Retention) -> Removed:
        """Remove all that ``keep`` does not cover, in short steps, so that others can write between."""
        total = Removed()
        while (step := self._trim_step(keep)) != Removed():
            total += step
        if total != Removed():
            with self._reading, self._lock:
                erasing.scrub(self._db)
        return total

    def _trim_step(self, keep: Retention) -> Removed:
        with self._lock:
            with self._committing():
                removed = erasing.trim_step(self._db, keep, time.time_ns())
            erasing.release_step(self._db)
        return removed

    @contextmanager
    def _committing(self) -> Iterator[None]:
        """The caller holds the lock."""
        self._db.execute("BEGIN IMMEDIATE")
        self._writer_thread = threading.get_ident()
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        else:
            self._db.execute("COMMIT")
        finally:
            self._writer_thread = None

    def _upkeep(self) -> None:
        """After a commit: one step of trimming when it is due, and a checkpoint, which syncs to the disk."""
        now_s = time.monotonic()
        due = now_s - self._trimmed_s >= _TRIM_PERIOD_S
        if self._keep is not None and due and self._trim_step(self._keep) == Removed():
            self._trimmed_s = now_s  # else the next commit goes on
        if not self._in_ram and now_s - self._synced_s >= SYNC_PERIOD_S:
            self._synced_s = now_s
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _read(self, query: str, args: Sequence[object] = ()) -> list[tuple[object, ...]]:
        if self._writer_thread == threading.get_ident():
            return self._db.execute(query, args).fetchall()
        with self._reading:
            return self._reader.execute(query, args).fetchall()
