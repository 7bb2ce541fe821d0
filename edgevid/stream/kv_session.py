"""The decoder's KV cache beside a timeline: which file, and which point of the timeline it stands at."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.memory.erasing import Retention

_PTS_BITS = 40  # milliseconds: 34 years
_NS_PER_MS = 1_000_000


class Point(NamedTuple):
    """Where a stream stands: the row of its video in memory, and presentation time."""

    video_id: int
    pts_ns: int

    def to_mark(self) -> int:
        """As session files keep it (``NativeSequence.mark``)."""
        return self.video_id << _PTS_BITS | max(self.pts_ns, 0) // _NS_PER_MS

    @classmethod
    def of_mark(cls, mark: int) -> Point:
        """The point of ``to_mark``, to the millisecond."""
        return cls(mark >> _PTS_BITS, (mark & (1 << _PTS_BITS) - 1) * _NS_PER_MS)


def kv_file(timeline: Path, name: str | None = None) -> Path:
    """Session file of the decoder that follows the source called ``name``, beside the timeline's file."""
    middle = f".{re.sub(r'[^0-9A-Za-z_-]', '_', name)}" if name else ""
    return timeline.with_name(f"{timeline.name}{middle}.kv")


def kv_files(timeline: Path) -> list[Path]:
    """All that ``kv_file`` may have named for this timeline and exist."""
    return sorted(path for path in timeline.parent.glob("*.kv") if path.name.startswith(f"{timeline.name}."))


def beside(timeline: Path, kv: KVConfig | None, name: str | None = None) -> KVConfig:
    """``kv`` with its session file beside the timeline, unless it names one.

    Without ``kv`` retrieval is on: what is sealed then outlives a killed process.
    """
    kv = kv or KVConfig(retrieval=RetrievalConfig())
    return kv if kv.session_file is not None else replace(kv, session_file=kv_file(timeline, name))


def forget_old(path: Path, keep: Retention | None) -> None:
    """Remove a session file that was last written longer ago than is kept, or is larger.

    A file in use is bounded by the decoder's window: what leaves that is overwritten.
    """
    if keep is None or not path.is_file():
        return
    found = path.stat()
    old = keep.max_age_s is not None and found.st_mtime < time.time() - keep.max_age_s
    if old or (keep.max_bytes is not None and found.st_size > keep.max_bytes):
        path.unlink()
