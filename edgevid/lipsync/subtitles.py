"""Subtitles of a dub: SubRip and WebVTT files, and when each is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgevid.core.errors import UsageError
from edgevid.lipsync.flow import Line
from edgevid.media.atomic import write_whole

_LINE = 42  # characters that are read at a glance
_LEAST_NS = 1_000_000_000
SUFFIXES = (".srt", ".vtt")


@dataclass(frozen=True, slots=True)
class Caption:
    """``text``, broken into lines, from ``start_ns`` to ``end_ns``."""

    start_ns: int
    end_ns: int
    text: str


def captions(spoken: Iterable[Line]) -> Iterator[Caption]:
    """One per clause, at least a second long where the next one leaves it."""
    previous: Line | None = None
    for clause in spoken:
        if previous is not None:
            yield _caption(previous, clause.start_ns)
        previous = clause
    if previous is not None:
        yield _caption(previous, None)


def write_subtitles(path: Path, spoken: Iterable[Line]) -> None:
    """Write a SubRip (.srt) or WebVTT (.vtt) file, whole or not at all.

    Raises:
        UsageError: another suffix.
    """
    write_whole(path, to_text(path.suffix.lower(), captions(spoken)).encode())


def to_text(suffix: str, lines: Iterable[Caption]) -> str:
    """The file's text. Raises: UsageError for an unknown suffix."""
    if suffix not in SUFFIXES:
        raise UsageError(f"subtitles as '{suffix}'", fix=f"name a file with {' or '.join(SUFFIXES)}")
    mark = "," if suffix == ".srt" else "."
    blocks = [
        (f"{number}\n" if suffix == ".srt" else "")
        + f"{_clock(line.start_ns, mark)} --> {_clock(line.end_ns, mark)}\n{_escaped(line.text, suffix)}\n"
        for number, line in enumerate(lines, 1)
    ]
    return ("WEBVTT\n\n" if suffix == ".vtt" else "") + "\n".join(blocks)


def _caption(clause: Line, next_ns: int | None) -> Caption:
    end_ns = max(clause.end_ns, clause.start_ns + _LEAST_NS)
    if next_ns is not None:
        end_ns = max(min(end_ns, next_ns), clause.start_ns + 1_000_000)
    return Caption(clause.start_ns, end_ns, _broken(clause.text))


def _broken(text: str) -> str:
    """Lines of at most 42 characters where words allow, of about equal length."""
    words = text.split()
    count = max(1, -(-len(" ".join(words)) // _LINE))
    wanted = len(" ".join(words)) / count
    line = ""
    lines: list[str] = []
    for word in words:
        if line and len(lines) < count - 1 and len(line) + len(word) / 2 >= wanted:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "\n".join([*lines, line])


def _escaped(text: str, suffix: str) -> str:
    if suffix == ".srt":
        return text
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(ns: int, mark: str) -> str:
    ms = ns // 1_000_000
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{mark}{ms % 1000:03d}"
