"""A source of timestamped pictures and sound: the one way video comes into edgevid.

with open_source("clip.mp4") as source:
    for item in source.read(fps=1.0, max_side=512):
        ...  # Frame or AudioChunk, in order of time
"""

from __future__ import annotations

import os
from pathlib import Path

from edgevid.core.errors import UsageError
from edgevid.core.limits import MediaLimits
from edgevid.media.base import Source
from edgevid.media.live import open_live, open_paced
from edgevid.media.recorded import open_file, open_sequence
from edgevid.media.uri import list_files, parse_uri

__all__ = ["Source", "list_sources", "open_source"]

_DEFAULT_LIMITS = MediaLimits()
_MAX_DECODER_THREADS = 4


def list_sources(uri: str | Path) -> tuple[str, ...]:
    """The sources ``uri`` stands for: itself, or each video and sound file of a folder, in natural order.

    Errors: BadInputError when it names nothing; UsageError, MissingPartError as ``parse_uri`` and
    ``list_files``.
    """
    parsed = parse_uri(uri)
    if parsed.live:
        return (str(uri),)
    listing = list_files(parsed)
    return tuple(str(p) for p in listing.media) if listing.media else (str(uri),)


def open_source(
    uri: str | Path,
    *,
    limits: MediaLimits = _DEFAULT_LIMITS,
    threads: int | None = None,
    image_fps: float = 25.0,
    paced: bool = False,
) -> Source:
    """Open one source and prove that it decodes.

    Args:
        uri: see ``edgevid.media.uri``; a folder or glob of several videos is refused, ``list_sources``
            splits it.
        limits: what the source may cost; checked before it is decoded, and while.
        threads: threads of the video decoder, default up to 4.
        image_fps: rate of an image sequence.
        paced: read a file as if it came live, in real time; its own times are kept.

    A live source that gives nothing fails within 10 s; a WebRTC peer is waited for two minutes.

    Errors: BadInputError (missing, empty, not media, damaged beyond use), LimitError, UsageError,
    MissingPartError; each names the source in one line.
    """
    if threads is None:
        threads = min(_MAX_DECODER_THREADS, os.cpu_count() or 1)
    if not (1 <= threads <= 256 and 1e-3 <= image_fps <= 1000.0):
        raise UsageError(
            "threads or image_fps is out of range", fix="threads 1 to 256, image_fps 0.001 to 1000"
        )
    parsed = parse_uri(uri)
    if parsed.live:
        return open_live(parsed, limits=limits, threads=threads)
    listing = list_files(parsed)
    if listing.images:
        if paced:
            raise UsageError(f"{uri}: pictures cannot be paced", fix="make a video of them first")
        return open_sequence(str(uri), listing.images, fps=image_fps, limits=limits)
    if len(listing.media) > 1:
        raise UsageError(
            f"{uri}: stands for {len(listing.media)} videos",
            fix=f"name one of them, such as {listing.media[0]}",
        )
    source = open_file(str(uri), listing.media[0], limits=limits, threads=threads)
    return open_paced(source, listing.media[0], limits=limits, threads=threads) if paced else source
