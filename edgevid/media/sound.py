"""Decoded sound of any rate and layout -> mono float32 chunks at one rate, without holes.

Positions are counted in output samples from the start of the source, so that rounding never adds up. Input
that starts later than expected leaves a gap, which is filled with silence; input that starts earlier
overlaps, and the overlap is dropped. Both are counted. Mixing down keeps the sum of weights at 1, so it
cannot clip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import NS_PER_S, AudioChunk

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

_TOLERANCE_NS = 18_000_000
"""Less than the shortest common packet (20 ms), more than the rounding of millisecond containers."""

_RATES = range(1000, 768_001)


@dataclass(slots=True)
class SoundRepairs:
    """``gaps``: holes filled with silence; ``gap_s``: their total; ``overlaps``: stretches dropped."""

    gaps: int = 0
    gap_s: float = 0.0
    overlaps: int = 0


class _Resampler:
    """swresample for one input format, as a filter graph: frames in, mono float32 at ``rate`` out."""

    def __init__(self, frame: AudioFrame, rate: int) -> None:
        from av.filter import Graph

        if frame.sample_rate not in _RATES:
            raise ValueError(f"sample rate {frame.sample_rate}")
        self._graph = Graph()
        source = self._graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout.name
        )
        resample = self._graph.add("aresample", sample_rate=str(rate), rematrix_maxval="1.0")
        shape = self._graph.add("aformat", sample_fmts="flt", channel_layouts="mono")
        sink = self._graph.add("abuffersink")
        source.link_to(resample)
        resample.link_to(shape)
        shape.link_to(sink)
        self._graph.configure()

    def push(self, frame: AudioFrame | None) -> Iterator[npt.NDArray[np.float32]]:
        from av.error import BlockingIOError as NotYet
        from av.error import EOFError as Ended

        self._graph.push(frame)
        while True:
            try:
                out = self._graph.pull()
            except (NotYet, Ended):
                return
            samples = out.to_ndarray().reshape(-1)
            yield np.clip(np.nan_to_num(samples), -1.0, 1.0).astype(np.float32, copy=False)


class SoundConverter:
    """Cuts a track into chunks.

    Args:
        sample_rate: Hz of the output.
        chunk_s: seconds per chunk; the last one of the track is shorter.
        start_ns, end_ns: stretch of source time to deliver.
        repairs: where to count.
    """

    def __init__(
        self, *, sample_rate: int, chunk_s: float, start_ns: int, end_ns: int, repairs: SoundRepairs
    ) -> None:
        self._rate = sample_rate
        self._chunk = max(1, round(chunk_s * sample_rate))
        self._first = self._to_samples(start_ns)
        self._end = self._to_samples(end_ns)
        self._repairs = repairs
        self._resampler: _Resampler | None = None
        self._format: tuple[str, str, int] | None = None
        self._expected_ns = 0
        self._position: int | None = None
        self._drop = 0
        self._waiting: list[npt.NDArray[np.float32]] = []
        self._waiting_size = 0
        self._waiting_start = 0

    @property
    def watermark_ns(self) -> int:
        """No chunk with an earlier time will come out any more."""
        return max(self._to_ns(self._waiting_start), self._to_ns(self._first))

    @property
    def done(self) -> bool:
        """Whether the end was reached: nothing more will come out."""
        return self._position is not None and self._position >= self._end

    def push(self, frame: AudioFrame, time_ns: int) -> Iterator[AudioChunk]:
        """Take the next decoded run of samples. Errors: ValueError, av.error.FFmpegError for odd formats."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        late_ns = time_ns - self._expected_ns
        if self._resampler is None or form != self._format or abs(late_ns) > _TOLERANCE_NS:
            yield from self._restart(frame, time_ns)
            self._format, self._expected_ns = form, time_ns
        assert self._resampler is not None
        self._expected_ns += frame.samples * NS_PER_S // frame.sample_rate
        frame.pts = None
        for samples in self._resampler.push(frame):
            yield from self._deliver(samples)

    def flush(self) -> Iterator[AudioChunk]:
        """The rest of the track."""
        yield from self._drain()
        if self._waiting_size:
            yield self._take(self._waiting_size)

    def _restart(self, frame: AudioFrame, time_ns: int) -> Iterator[AudioChunk]:
        yield from self._drain()
        target = self._to_samples(time_ns)
        if self._position is None:
            self._position = target
        missing = target - self._position
        tolerance = self._to_samples(_TOLERANCE_NS)
        if missing > tolerance:
            self._repairs.gaps += 1
            self._repairs.gap_s += missing / self._rate
        elif missing < -tolerance:
            self._repairs.overlaps += 1
        self._drop = max(0, -missing)
        while missing > 0:
            size = min(missing, self._chunk)
            yield from self._deliver(np.zeros(size, dtype=np.float32))
            missing -= size
        self._resampler = _Resampler(frame, self._rate)

    def _drain(self) -> Iterator[AudioChunk]:
        if self._resampler is not None:
            for samples in self._resampler.push(None):
                yield from self._deliver(samples)
            self._resampler = None

    def _deliver(self, samples: npt.NDArray[np.float32]) -> Iterator[AudioChunk]:
        dropped = min(self._drop, samples.size)
        self._drop -= dropped
        samples = samples[dropped:]
        assert self._position is not None
        begin, self._position = self._position, self._position + samples.size
        wanted = samples[max(0, self._first - begin) : max(0, self._end - begin)]
        if not wanted.size:
            return
        if not self._waiting_size:
            self._waiting_start = max(begin, self._first)
        self._waiting.append(wanted)
        self._waiting_size += wanted.size
        while self._waiting_size >= self._chunk:
            yield self._take(self._chunk)

    def _take(self, size: int) -> AudioChunk:
        joined = np.concatenate(self._waiting)
        chunk = AudioChunk(joined[:size].copy(), self._rate, self._to_ns(self._waiting_start))
        self._waiting = [joined[size:]] if joined.size > size else []
        self._waiting_size = joined.size - size
        self._waiting_start += size
        return chunk

    def _to_samples(self, time_ns: int) -> int:
        return (time_ns * self._rate + NS_PER_S // 2) // NS_PER_S

    def _to_ns(self, samples: int) -> int:
        return samples * NS_PER_S // self._rate
