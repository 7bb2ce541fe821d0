"""Opening a source: from what the user named to a ``Source`` that has shown it can be decoded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.core.errors import BadInputError, UsageError
from edgevid.core.limits import MediaLimits
from edgevid.media.info import describe_file, describe_sequence
from edgevid.media.picture import hdr_curve
from edgevid.media.reader import FileReader, Reader
from edgevid.media.sequence import SequenceReader, read_picture
from edgevid.media.source import Source
from edgevid.media.uri import list_files, parse_uri

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_DEFAULT_LIMITS = MediaLimits()
_MAX_DECODER_THREADS = 4
_PROBE_SOUNDS = 2000


def list_sources(uri: str | Path) -> tuple[str, ...]:
    """The sources ``uri`` stands for: itself, or each video and sound file of a folder or glob, in natural
    order.

    Errors: BadInputError when it names nothing; UsageError, MissingPartError as ``parse_uri`` and
    ``list_files``.
    """
    listing = list_files(parse_uri(uri))
    return tuple(str(p) for p in listing.media) if listing.media else (str(uri),)


def open_source(
    uri: str | Path,
    *,
    limits: MediaLimits = _DEFAULT_LIMITS,
    threads: int | None = None,
    image_fps: float = 25.0,
) -> Source:
    """Open one source and prove that it decodes.

    Args:
        uri: see ``edgevid.media.uri``; a folder or glob of several videos is refused, ``list_sources``
            splits it.
        limits: what the source may cost; checked before it is decoded, and while.
        threads: threads of the video decoder, default up to 4.
        image_fps: rate of an image sequence.

    Errors: BadInputError (missing, empty, not media, damaged beyond use), LimitError, UsageError,
    MissingPartError; each names the source in one line.
    """
    if threads is None:
        threads = min(_MAX_DECODER_THREADS, os.cpu_count() or 1)
    if not (1 <= threads <= 256 and 1e-3 <= image_fps <= 1000.0):
        raise UsageError(
            "threads or image_fps is out of range", fix="threads 1 to 256, image_fps 0.001 to 1000"
        )
    listing = list_files(parse_uri(uri))
    if listing.images:
        return _open_sequence(str(uri), listing.images, fps=image_fps, limits=limits)
    if len(listing.media) > 1:
        raise UsageError(
            f"{uri}: stands for {len(listing.media)} videos",
            fix=f"name one of them, such as {listing.media[0]}",
        )
    return _open_file(str(uri), listing.media[0], limits=limits, threads=threads)


def _open_file(uri: str, path: Path, *, limits: MediaLimits, threads: int) -> Source:
    def open_reader(exact: bool) -> Reader:
        return FileReader.open(path, limits=limits, threads=threads, exact=exact)

    reader = FileReader.open(path, limits=limits, threads=threads, exact=True)
    try:
        picture, has_sound = _probe(reader)
        if picture is None and not has_sound:
            raise BadInputError(
                f"{uri}: nothing in it can be decoded", fix="record or copy it again, or convert it to mp4"
            )
        warnings = []
        if picture is None and reader.video is not None:
            warnings.append(f"{uri}: no picture can be decoded, only sound")
            reader.video = None
        curve = hdr_curve(picture) if picture is not None else None
        if curve:
            warnings.append(f"{uri}: HDR ({curve}) colours are not tone-mapped")
        info = describe_file(uri, path, reader, picture)
    finally:
        reader.close()
    return Source(info, open_reader, limits=limits, warnings=warnings)


def _probe(reader: FileReader) -> tuple[VideoFrame | None, bool]:
    """(first decoded picture if any, whether any sound was decoded before it)."""
    from av.video.frame import VideoFrame

    sounds = 0
    for frame in reader.decode(video=True, audio=True):
        if isinstance(frame, VideoFrame):
            return frame, sounds > 0
        sounds += 1
        if reader.video is None or sounds >= _PROBE_SOUNDS:
            break
    return None, sounds > 0


def _open_sequence(uri: str, paths: tuple[Path, ...], *, fps: float, limits: MediaLimits) -> Source:
    first = read_picture(paths[0], limits=limits)
    info = describe_sequence(uri, paths, fps=fps, first=first)
    return Source(info, lambda exact: SequenceReader(paths, fps, limits), limits=limits, warnings=[])
