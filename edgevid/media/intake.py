"""From what a live connection decodes to what its reader gets: stamped on one clock, kept in a mailbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from edgevid.core.nouns import NS_PER_S, AudioChunk
from edgevid.media.live_clock import LiveClock
from edgevid.media.live_stats import LiveStats
from edgevid.media.mailbox import Mailbox, Picture
from edgevid.media.passage import ReadPlan, ReadStats
from edgevid.media.sound import SoundConverter

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.video.frame import VideoFrame

_HOLE_NS = NS_PER_S // 2
"""A longer hole in the sound is a gap in its times; a shorter one is filled with silence."""


class Intake:
    """Thread-safe. Between connections time goes on; without a reader everything is let go.

    Args:
        stats: of the source; its ``live`` must be set.
    """

    def __init__(self, stats: ReadStats) -> None:
        assert stats.live is not None
        self.stats: LiveStats = stats.live
        self.clock = LiveClock(self.stats)
        self._all_stats = stats
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._mailbox: Mailbox | None = None
        self._plan: ReadPlan | None = None
        self._sound: _SoundTrack | None = None
        self._index = -1
        self._ended = False
        self._error: Exception | None = None

    def attach(self, plan: ReadPlan) -> Mailbox | None:
        """The mailbox of a new reading; None while another one is going on."""
        with self._lock:
            if self._mailbox is not None:
                return None
            self._mailbox = Mailbox(self.stats, fps=plan.fps, start_ns=plan.start_ns)
            self._plan = plan
            self._sound = _SoundTrack(plan, self._all_stats) if plan.audio else None
            if self._ended:
                self._mailbox.end(self._error)
            self._wanted.set()
            return self._mailbox

    def detach(self) -> None:
        """The reading has ended."""
        with self._lock:
            if self._mailbox is not None:
                self._mailbox.close()
            self._mailbox = None

    def wait_for_reader(self) -> None:
        """Return once somebody reads, or the end has come."""
        self._wanted.wait()

    def restart(self, epoch_ns: int | None = None) -> None:
        """A new connection begins; ``epoch_ns``: monotonic time of its source time 0, if it says."""
        with self._lock:
            self.clock.restart()
            if self.clock.epoch_ns is None:
                self.clock.epoch_ns = epoch_ns

    def observe(self, track: int, stamp_ns: int | None, arrived_ns: int) -> None:
        """A packet of ``track`` came; see ``LiveClock.observe``."""
        if stamp_ns is not None:
            with self._lock:
                self.clock.observe(track, stamp_ns, arrived_ns)

    def picture(self, frame: VideoFrame, stamp_ns: int | None, arrived_ns: int) -> None:
        """A decoded picture."""
        with self._lock:
            self._index += 1
            self._all_stats.pictures += 1
            if self._mailbox is None or self._plan is None or not self._plan.video:
                return
            time_ns = self.clock.time_of_picture(stamp_ns, arrived_ns)
            self._mailbox.put_picture(Picture(frame, time_ns, self.clock.wall_ns(time_ns), self._index))

    def sound(self, frame: AudioFrame, stamp_ns: int | None, arrived_ns: int) -> None:
        """A decoded run of samples."""
        from av.error import FFmpegError

        with self._lock:
            if self._mailbox is None or self._sound is None:
                return
            try:
                for chunk in self._sound.push(frame, self.clock.time_of(stamp_ns, arrived_ns)):
                    self._mailbox.put_sound(replace(chunk, wall_ns=self.clock.wall_ns(chunk.pts_ns)))
            except (FFmpegError, ValueError):
                self._all_stats.damaged += 1
            if self._sound.done and self._plan is not None and not self._plan.video:
                self._mailbox.end()

    def end(self, error: Exception | None = None) -> None:
        """Nothing comes any more; readers get what waits, then the end (or ``error``)."""
        from av.error import FFmpegError

        with self._lock:
            if self._ended:
                return
            if self._mailbox is not None and self._sound is not None:
                try:
                    for chunk in self._sound.flush():
                        self._mailbox.put_sound(replace(chunk, wall_ns=self.clock.wall_ns(chunk.pts_ns)))
                except (FFmpegError, ValueError):
                    self._all_stats.damaged += 1
            self._ended, self._error = True, error
            self._wanted.set()
            if self._mailbox is not None:
                self._mailbox.end(error)


class _SoundTrack:
    """Chunks without holes inside; a long hole ends a chunk early and is a jump to the next one's time."""

    def __init__(self, plan: ReadPlan, stats: ReadStats) -> None:
        self._plan = plan
        self._stats = stats
        self._converter = self._new_converter()
        self._expected_ns: int | None = None

    def push(self, frame: AudioFrame, time_ns: int) -> Iterator[AudioChunk]:
        if self._expected_ns is not None and time_ns - self._expected_ns > _HOLE_NS:
            self._stats.sound.gaps += 1
            self._stats.sound.gap_s += (time_ns - self._expected_ns) / NS_PER_S
            yield from self._converter.flush()
            self._converter = self._new_converter()
        self._expected_ns = time_ns + frame.samples * NS_PER_S // max(1, frame.sample_rate)
        yield from self._converter.push(frame, time_ns)

    @property
    def done(self) -> bool:
        return self._converter.done

    def flush(self) -> Iterator[AudioChunk]:
        yield from self._converter.flush()

    def _new_converter(self) -> SoundConverter:
        return SoundConverter(
            sample_rate=self._plan.sample_rate,
            chunk_s=self._plan.chunk_s,
            start_ns=self._plan.start_ns,
            end_ns=self._plan.end_ns,
            repairs=self._stats.sound,
        )
