"""A dub from file to file, or to a live output: what a session gives, written where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgevid.core.errors import BadInputError, UsageError
from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync.dub_writer import DubWriter, dub_tags
from edgevid.lipsync.flow import DubbedFrame, DubbedSound
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.session import DubSession
from edgevid.lipsync.subtitles import SUFFIXES, captions, write_subtitles
from edgevid.media.atomic import reported

_FPS = 25.0  # nominal, where the source tells none
_TOLERATED_NS = 40_000_000  # between the time of a chunk and that of its first sample in the file


class Sink(Protocol):
    """``VideoWriter`` and ``LiveSink``."""

    def write(self, image: Any, *, pts_ns: int | None = None) -> None: ...

    def write_audio(self, samples: Floats) -> None: ...


def dub_file(
    source: str | Path,
    output: str | Path,
    *,
    target: str,
    language: str = "en",
    keep_original: bool = False,
    subtitles: str | Path | None = None,
    mark: bool = False,
) -> dict[str, Any]:
    """Dub one file into another; returns the session's ``stats``.

    Args:
        source: a file with pictures and speech.
        output: .mp4, .mov, .mkv or .webm; appears whole, or not at all.
        target, language: ISO 639-1 codes of the dub and of the source.
        keep_original: keep the original sound as the second track.
        subtitles: a .srt or .vtt file to write too; the output then has a track of them as well.
        mark: write on every picture that it was dubbed.

    Raises:
        EdgevidError: as ``DubSession``, ``VideoWriter`` and ``write_subtitles``.
    """
    with DubSession(source, target=target, language=language, mark=mark) as session:
        write_dub(session, output, keep_original=keep_original, subtitles=subtitles)
        return session.stats()


def write_dub(
    session: DubSession,
    output: str | Path,
    *,
    keep_original: bool = False,
    subtitles: str | Path | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Run ``session`` into a file; ``on_progress`` is told the seconds done. See ``dub_file``."""
    path, info = Path(output), session.source.info
    _check(session, path, None if subtitles is None else Path(subtitles))
    writer = DubWriter(
        path,
        width=info.width,
        height=info.height,
        fps=info.fps or _FPS,
        sample_rate=session.rate,
        language=session.target,
        original_language=session.language,
        original=keep_original,
        subtitles=subtitles is not None,
        lips=session.parts.compositor is not None,
    )
    with writer:
        dub = Gapless(session.rate, writer.write_audio)
        original = Gapless(session.rate, writer.write_original) if keep_original else None
        for message in session:
            item = message.payload
            if isinstance(item, DubbedFrame):
                writer.write(item.frame.image, pts_ns=item.pts_ns)
                if on_progress is not None:
                    on_progress(item.pts_ns / NS_PER_S)
                continue
            dub.write(item.pts_ns, item.samples)
            if original is not None:
                original.write(item.pts_ns, item.original)
        if subtitles is not None:
            for caption in captions(session.spoken):
                writer.write_caption(caption)
    if subtitles is not None:
        write_subtitles(Path(subtitles), session.spoken)


def stream_dub(
    session: DubSession, target: str | Path, *, on_progress: Callable[[float], None] | None = None
) -> None:
    """Run a live ``session`` into a network address, a window, a live playlist or a file, as ``open_sink``.

    Where the output has a name or tags, they say that it is a dub.
    Ctrl-C and SIGTERM end it; a file holds what was dubbed until then.
    """
    from edgevid.media.sink import open_sink

    info = session.source.info
    if not info.has_video:
        raise BadInputError(f"{info.uri}: has no pictures", fix="choose a source with pictures")
    sink = open_sink(
        target,
        width=info.width,
        height=info.height,
        fps=info.fps or _FPS,
        sample_rate=session.rate,
        metadata=dub_tags(session.target, lips=session.parts.compositor is not None),
    )
    ended: BaseException | None = None
    with sink as opened:
        try:
            _pump(session, opened, on_progress)
        except (KeyboardInterrupt, SystemExit) as signal:  # how a live dub ends: what was written is kept
            ended = signal
    if ended is not None:
        raise ended


def _pump(session: DubSession, sink: Sink, on_progress: Callable[[float], None] | None) -> None:
    sound = Gapless(session.rate, sink.write_audio)
    last_ns = -1
    for message in session:
        item = message.payload
        if isinstance(item, DubbedSound):
            sound.write(item.pts_ns, item.samples)
        elif item.pts_ns > last_ns:
            last_ns = item.pts_ns
            sink.write(item.frame.image, pts_ns=last_ns)
            if on_progress is not None:
                on_progress(last_ns / NS_PER_S)


class Gapless:
    """Brings stretches of sound with times to a track without any: silence into gaps, overlaps cut off."""

    def __init__(self, rate: int, write: Callable[[Floats], None]) -> None:
        self._rate, self._write = rate, write
        self._written = 0

    def write(self, pts_ns: int, samples: Floats) -> None:
        """Add ``samples``, float32 [n], whose first is heard at ``pts_ns``."""
        late_ns = pts_ns - self._written * NS_PER_S // self._rate
        if late_ns > _TOLERATED_NS:
            for size in _pieces(late_ns * self._rate // NS_PER_S, self._rate):
                self._give(np.zeros(size, np.float32))
        elif late_ns < -_TOLERATED_NS:
            samples = samples[-late_ns * self._rate // NS_PER_S :]
        self._give(samples)

    def _give(self, samples: Floats) -> None:
        self._written += samples.size
        if samples.size:
            self._write(samples)


def _pieces(total: int, most: int) -> Iterator[int]:
    while total > 0:
        yield min(total, most)
        total -= most


def _check(session: DubSession, path: Path, subtitles: Path | None) -> None:
    """What would fail at the end, after all the work, fails now."""
    info = session.source.info
    if not info.has_video:
        raise BadInputError(f"{info.uri}: has no pictures", fix="dub a file with pictures and sound")
    if subtitles is not None and subtitles.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{subtitles}: no subtitle file", fix=f"use {' or '.join(SUFFIXES)}")
    for target in filter(None, (path, subtitles)):
        if not target.parent.is_dir():
            raise BadInputError(f"folder '{target.parent}' does not exist", fix=f"mkdir -p {target.parent}")
    if Path(info.uri).exists() and path.exists() and path.samefile(info.uri):
        raise UsageError(f"{path}: would replace the source", fix="name another output")
    with reported(path):
        path.parent.stat()
