"""From decoded frames to ``Frame`` and ``AudioChunk``: the path every reading of a source takes.

reader -> clock -> sampler -> picture converter -+
                \\-> sound converter -------------+-> interleaver -> caller
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevid.core.errors import LimitError, UsageError
from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame
from edgevid.media.clock import LONGEST_STEP_NS, ClockRepairs, StreamClock
from edgevid.media.info import SourceInfo
from edgevid.media.interleave import Interleaver
from edgevid.media.live_stats import LiveStats
from edgevid.media.picture import PictureConverter
from edgevid.media.reader import to_ns
from edgevid.media.sampler import FOREVER_NS, FrameSampler
from edgevid.media.sound import SoundConverter, SoundRepairs

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.video.frame import VideoFrame

    from edgevid.media.reader import Decoded


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """What one reading of a source delivers; the fields are the options of ``Source.read``.

    Errors: UsageError for a value out of range.
    """

    video: bool
    audio: bool
    fps: float | None
    max_side: int | None
    sample_rate: int
    chunk_s: float
    start_ns: int
    end_ns: int
    exact: bool

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("fps", self.fps, 1e-4, 1000.0),
            ("max_side", self.max_side, 1, 1 << 16),
            ("sample_rate", self.sample_rate, 1000, 384_000),
            ("chunk_s", self.chunk_s, 0.001, 3600.0),
        ):
            if value is not None and not low <= value <= high:
                raise UsageError(f"{name}={value:g} is out of range", fix=f"choose {low:g} to {high:g}")
        if not 0 <= self.start_ns <= self.end_ns:
            raise UsageError("start_s must not be negative nor after end_s", fix="give start_s < end_s")


@dataclass(slots=True)
class ReadStats:
    """Counts over all readings of a source: pictures decoded, damage skipped, times and sound repaired.

    ``live`` is set for live sources only.
    """

    pictures: int = 0
    damaged: int = 0
    video_clock: ClockRepairs = field(default_factory=ClockRepairs)
    audio_clock: ClockRepairs = field(default_factory=ClockRepairs)
    sound: SoundRepairs = field(default_factory=SoundRepairs)
    live: LiveStats | None = None


class Passage:
    """Converts one pass of decoded frames.

    Args:
        info: of the source.
        plan: what to deliver.
        base_ns: container time that becomes 0.
        max_duration_ns: LimitError beyond this source time.
        stats: where to count.
    """

    def __init__(
        self, *, info: SourceInfo, plan: ReadPlan, base_ns: int, max_duration_ns: int, stats: ReadStats
    ) -> None:
        self._info = info
        self._plan = plan
        self._stats = stats
        self._max_duration_ns = max_duration_ns
        self.video_clock = StreamClock(base_ns=base_ns, strict=True, repairs=stats.video_clock)
        self.audio_clock = StreamClock(base_ns=base_ns, strict=False, repairs=stats.audio_clock)
        self._sampler: FrameSampler[tuple[int, VideoFrame]] = FrameSampler(
            fps=plan.fps, start_ns=plan.start_ns, end_ns=plan.end_ns
        )
        self._pictures = PictureConverter(
            max_side=plan.max_side,
            # Frames are scaled before they are turned, so the stored aspect is needed.
            pixel_aspect=1 / info.pixel_aspect if info.rotation in (90, 270) else info.pixel_aspect,
        )
        self._sound = SoundConverter(
            sample_rate=plan.sample_rate,
            chunk_s=plan.chunk_s,
            start_ns=plan.start_ns,
            end_ns=plan.end_ns,
            repairs=stats.sound,
        )
        self._merge = Interleaver()
        self._index: int | None = None
        self._last: Frame | None = None

    def items(self, decoded: Iterable[Decoded]) -> Iterator[Frame | AudioChunk]:
        """Deliver what ``plan`` asks for. Errors: LimitError past the longest duration."""
        from av.audio.frame import AudioFrame

        if not self._plan.video:
            self._merge.advance("video", FOREVER_NS)
        if not self._plan.audio:
            self._merge.advance("audio", FOREVER_NS)
        for frame in decoded:
            if isinstance(frame, AudioFrame):
                self._on_sound(frame)
            else:
                self._on_picture(frame)
            yield from self._merge.pop()
            if self._done():
                break
        self._finish()
        yield from self._merge.pop()

    def _done(self) -> bool:
        return (not self._plan.video or self._sampler.done) and (not self._plan.audio or self._sound.done)

    def _on_picture(self, frame: VideoFrame) -> None:
        self._stats.pictures += 1
        pts_ns, period_ns = to_ns(frame.pts, frame.time_base), self._info.period_ns
        shown_ns = to_ns(frame.duration or None, frame.time_base) or 0
        if pts_ns is not None and 0 < shown_ns <= LONGEST_STEP_NS:  # without a time a duration is made up too
            period_ns = shown_ns
        time_ns = self.video_clock.stamp(pts_ns, period_ns)
        self._check_duration(time_ns)
        if self._index is None:
            # After a seek the number of pictures before this one is known only by the nominal rate.
            self._index = round(time_ns / self._info.period_ns) if self._plan.start_ns else 0
        else:
            self._index += 1
        for tick_ns, (index, picture) in self._sampler.push(time_ns, (self._index, frame)):
            self._put_picture(tick_ns, index, picture)
        self._merge.advance("video", self._sampler.watermark_ns)

    def _on_sound(self, frame: AudioFrame) -> None:
        from av.error import FFmpegError

        duration_ns = frame.samples * NS_PER_S // max(1, frame.sample_rate)
        time_ns = self.audio_clock.stamp(to_ns(frame.pts, frame.time_base), duration_ns)
        self._check_duration(time_ns)
        try:
            for chunk in self._sound.push(frame, time_ns):
                self._merge.put(chunk)
        except (FFmpegError, ValueError):
            self._stats.damaged += 1
        self._merge.advance("audio", FOREVER_NS if self._sound.done else self._sound.watermark_ns)
        overdue_ns = self._merge.sound_overdue_ns
        if overdue_ns > 0:
            for tick_ns, (index, picture) in self._sampler.hold(overdue_ns):
                self._put_picture(tick_ns, index, picture)
            self._merge.advance("video", overdue_ns)

    def _put_picture(self, tick_ns: int, index: int, picture: VideoFrame) -> None:
        from av.error import FFmpegError

        if self._last is None or self._last.index != index:
            try:
                self._last = Frame(self._pictures.convert(picture), tick_ns, index)
            except (FFmpegError, ValueError):
                self._stats.damaged += 1
                return
        self._merge.put(Frame(self._last.image, tick_ns, index))

    def _check_duration(self, time_ns: int) -> None:
        if time_ns > self._max_duration_ns:
            limit_s = self._max_duration_ns / NS_PER_S
            raise LimitError(
                f"{self._info.uri}: longer than the limit of {limit_s:g} s",
                fix="set end_s or raise max_duration_s",
            )

    def _finish(self) -> None:
        from av.error import FFmpegError

        if self._plan.video:
            for tick_ns, (index, picture) in self._sampler.hold(self.video_clock.next_ns):
                self._put_picture(tick_ns, index, picture)
        try:
            for chunk in self._sound.flush():
                self._merge.put(chunk)
        except (FFmpegError, ValueError):
            self._stats.damaged += 1
        self._merge.advance("video", FOREVER_NS)
        self._merge.advance("audio", FOREVER_NS)
