"""Forgetting: rows leave the file by age, by size or because the user says so, and their bytes with them.

SQLite overwrites deleted cells with zeros (``PRAGMA secure_delete``, files.py). Two more places hold words
that were said: the full-text index, which marks deleted entries and drops them only when its segments are
merged (``forget``), and the write-ahead log, which a checkpoint empties (``scrub``).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edgevid.core.nouns import NS_PER_S, TimeSpan

STEP_ROWS = 2000  # rows that one step of ``trim`` removes: a watcher waits for no longer than that
MOST_AGE_S = 100 * 365 * 86_400
_STEP_PAGES = 500
_SLACK = 0.9  # trimming by size goes on to this share of the limit, so that it is rare


@dataclass(frozen=True, slots=True)
class Retention:
    """How much a memory keeps; the oldest rows go first. None: no limit.

    Attributes:
        max_age_s: rows whose time is longer ago. Rows of a live source count from their own wall clock, those
            of a file from when it was watched.
        max_bytes: size of the file; the write-ahead log beside it (at most about 4 MiB) comes on top.
    """

    max_age_s: float | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.max_age_s is not None and not 0 < self.max_age_s <= MOST_AGE_S:
            raise ValueError(f"max_age_s is {self.max_age_s}, must be above 0 and at most 100 years")
        if self.max_bytes is not None and self.max_bytes < 0:
            raise ValueError(f"max_bytes is {self.max_bytes}, must not be negative")


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows, and videos with all that is known of them, were removed (or would be)."""

    rows: int = 0
    videos: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.rows + other.rows, self.videos + other.videos)


@dataclass(frozen=True, slots=True)
class Selection:
    """What to forget: every row that touches the interval, in presentation time or on the wall clock.

    Attributes:
        video_id: only rows of this video; None = of all.
        span: presentation time ``[start_ns, end_ns)``, or None.
        wall: Unix time ``[start_ns, end_ns)``, or None; rows of files have none and are left alone.

    With neither interval the video goes whole.
    """

    video_id: int | None = None
    span: TimeSpan | None = None
    wall: TimeSpan | None = None

    def where(self) -> tuple[str, list[int]]:
        """SQL condition on ``observation`` and its arguments."""
        parts, args = ["1"], []
        if self.video_id is not None:
            parts.append("video_id = ?")
            args.append(self.video_id)
        for span, start, end in (
            (self.span, "start_ns", "end_ns"),
            (self.wall, "wall_ns", "wall_ns + end_ns - start_ns"),
        ):
            if span is not None:
                parts.append(f"{start} < ? AND ({end} > ? OR {start} >= ?)")
                args += [span.end_ns, span.start_ns, span.start_ns]
        return " AND ".join(parts), args

    @property
    def whole(self) -> bool:
        """Whether videos go too."""
        return self.span is None and self.wall is None


def count(db: sqlite3.Connection, selection: Selection) -> Removed:
    """What ``forget`` would remove."""
    where, args = selection.where()
    (rows,) = db.execute(f"SELECT count(*) FROM observation WHERE {where}", args).fetchone()
    if not selection.whole:
        return Removed(rows)
    video_id = selection.video_id
    (videos,) = db.execute("SELECT count(*) FROM video WHERE ? IS NULL OR id = ?", [video_id] * 2).fetchone()
    return Removed(rows, videos)


def forget(db: sqlite3.Connection, selection: Selection) -> Removed:
    """Remove what ``selection`` names; the caller holds a transaction and calls ``scrub`` after it."""
    removed = count(db, selection)
    where, args = selection.where()
    db.execute(f"DELETE FROM observation WHERE {where}", args)
    if selection.whole:
        db.execute("DELETE FROM video WHERE ? IS NULL OR id = ?", [selection.video_id] * 2)
    db.execute("INSERT INTO words (words) VALUES ('optimize')")
    return removed


def scrub(db: sqlite3.Connection) -> bool:
    """Give free pages back and empty the log; False while another program still reads the old state."""
    _release(db, 0)
    (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def trim_step(db: sqlite3.Connection, keep: Retention, now_ns: int) -> Removed:
    """Remove up to ``STEP_ROWS`` rows that ``keep`` no longer covers, and finished videos left without any.

    The caller holds a transaction. Nothing removed: all that is left may stay.
    """
    doomed: list[tuple[int, int]] = []
    cut_ns = None if keep.max_age_s is None else now_ns - int(keep.max_age_s * NS_PER_S)
    if cut_ns is not None:
        doomed = _aged(db, cut_ns)
    if not doomed and keep.max_bytes is not None:
        doomed = _oldest(db, keep.max_bytes)
    db.executemany("DELETE FROM observation WHERE id = ?", [(row_id,) for row_id, _ in doomed])
    videos = 0
    for video_id in sorted({video_id for _, video_id in doomed}):
        videos += db.execute(f"DELETE FROM video WHERE id = ? AND {_EMPTY}", (video_id,)).rowcount
    if cut_ns is not None:
        videos += db.execute(
            f"DELETE FROM video WHERE added_ns + duration_ns < ? AND {_EMPTY}", (cut_ns,)
        ).rowcount
    if doomed:
        db.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (-_STEP_PAGES,))
    return Removed(len(doomed), videos)


def release_step(db: sqlite3.Connection) -> None:
    """Give a bounded number of free pages back to the disk; outside a transaction."""
    _release(db, _STEP_PAGES)


def _release(db: sqlite3.Connection, pages: int) -> None:
    # A script, for the pragma frees one page per row without columns, and ``execute`` takes only the first.
    db.executescript(f"PRAGMA incremental_vacuum({pages})")


# Finished and without rows; one that is being watched may find something yet.
_EMPTY = (
    "duration_ns IS NOT NULL AND NOT EXISTS (SELECT 1 FROM observation WHERE observation.video_id = video.id)"
)


def _aged(db: sqlite3.Connection, cut_ns: int) -> list[tuple[int, int]]:
    live = db.execute(
        "SELECT id, video_id FROM observation WHERE wall_ns < ? AND wall_ns + end_ns - start_ns < ? LIMIT ?",
        (cut_ns, cut_ns, STEP_ROWS),
    ).fetchall()
    return (
        live
        or db.execute(
            "SELECT o.id, o.video_id FROM video v JOIN observation o ON o.video_id = v.id"
            " WHERE v.added_ns < ? AND o.wall_ns IS NULL LIMIT ?",
            (cut_ns, STEP_ROWS),
        ).fetchall()
    )


def _oldest(db: sqlite3.Connection, max_bytes: int) -> list[tuple[int, int]]:
    """Rows in order of writing, as many as stand for the excess by their share of the file."""
    used = used_bytes(db)
    if used <= max_bytes:
        return []
    (rows,) = db.execute("SELECT count(*) FROM observation").fetchone()
    excess = -int(-rows * (used - _SLACK * max_bytes) // used)
    return db.execute(
        "SELECT id, video_id FROM observation ORDER BY id LIMIT ?", (min(STEP_ROWS, excess),)
    ).fetchall()
