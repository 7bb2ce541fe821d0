"""Starting in the middle: decoded frames from a point at or before the one asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from edgevid.core.nouns import NS_PER_S
from edgevid.media.reader import Reader, to_ns

if TYPE_CHECKING:
    from edgevid.media.reader import Decoded

_BACK_S = (0.0, 10.0, 60.0)
_MOST_SOUNDS = 2000  # frames, about 40 s; with so much sound before a picture no picture belongs there


def seek_before(reader: Reader, start_ns: int, *, video: bool, audio: bool) -> Iterator[Decoded] | None:
    """Decoded frames that begin at or before ``start_ns``; None when no seek lands there.

    Formats without an index seek to a guess, and decoding may begin only at the next key picture: what comes
    out first is checked, and the seek repeated from further back.
    """
    for back_s in _BACK_S:
        if not reader.seek(max(0, start_ns - round(back_s * NS_PER_S))):
            return None
        decoded = reader.decode(video=video, audio=audio)
        head = _until_main_track(decoded, video=video)
        first_ns = to_ns(head[-1].pts, head[-1].time_base) if head else None
        if first_ns is None or head[-1].is_corrupt:
            continue  # a picture marked as key that needs earlier ones
        if first_ns - reader.start_ns <= start_ns:
            return chain(head, decoded)
    return None


def _until_main_track(decoded: Iterator[Decoded], *, video: bool) -> list[Decoded]:
    """Frames up to and including the first picture (sound without ``video``); empty when none comes soon."""
    from av.video.frame import VideoFrame

    head: list[Decoded] = []
    for frame in islice(decoded, _MOST_SOUNDS):
        head.append(frame)
        if isinstance(frame, VideoFrame) == video:
            return head
    return []
