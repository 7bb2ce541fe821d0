"""From chunks of any rate, size and quality to the steady 16 kHz every audio channel listens at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadInputError
from edgevid.core.nouns import NS_PER_S, AudioChunk

if TYPE_CHECKING:
    import soxr

RATE = 16_000
"""Hz: what the speech and sound models take."""

_RATES = range(1_000, 384_001)
_JITTER_NS = 100_000_000
_MENDABLE_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class Block:
    """A run of samples on the 16 kHz clock.

    Attributes:
        samples: float32 [n], finite, in [-1, 1], n >= 1.
        pts_ns: time of the first sample.
        restart: the stream broke off before this block (seek, long gap, new rate); what was pending is over.
    """

    samples: npt.NDArray[np.float32]
    pts_ns: int
    restart: bool


class AudioIntake:
    """Cleans, resamples and clocks the chunks of one stream.

    Samples are counted from the first chunk; a chunk's own ``pts_ns`` corrects the count only when both
    differ by more than 100 ms, so that time stamps rounded by a container do no harm. A gap up to 1 s is
    filled with silence, an overlap up to 1 s is dropped, anything else restarts the clock. How the sound is
    cut into chunks does not change the samples that come out.
    """

    def __init__(self) -> None:
        self._rate = 0
        self._resampler: soxr.ResampleStream | None = None
        self._origin_ns = 0
        self._taken = 0  # samples in since the origin, at self._rate
        self._given = 0  # samples out since the origin, at RATE
        self._restart = False

    def push(self, chunk: AudioChunk) -> Iterator[Block]:
        """Take the next chunk; yield what has become available at 16 kHz.

        Raises:
            BadInputError: the samples are not one-dimensional, or the rate is not between 1 and 384 kHz.
        """
        samples = _clean(chunk)
        if not samples.size:
            return
        late_ns = chunk.pts_ns - self._clock_ns()
        if self._rate != chunk.sample_rate or abs(late_ns) > _MENDABLE_NS:
            yield from self._begin(chunk)
        elif late_ns > _JITTER_NS:
            silence = np.zeros(late_ns * self._rate // NS_PER_S, np.float32)
            samples = np.concatenate([silence, samples])
        elif late_ns < -_JITTER_NS:
            samples = samples[-late_ns * self._rate // NS_PER_S :]
        self._taken += samples.size
        yield from self._emit(samples)

    def flush(self) -> Iterator[Block]:
        """The stream ended: yield what the resampler still holds; the next chunk starts a new clock."""
        if self._resampler is not None:
            yield from self._emit(np.zeros(0, np.float32), last=True)
        self._rate, self._resampler, self._restart = 0, None, False

    def _begin(self, chunk: AudioChunk) -> Iterator[Block]:
        running = self._rate > 0
        yield from self.flush()
        self._restart = running
        self._rate, self._origin_ns = chunk.sample_rate, chunk.pts_ns
        self._taken = self._given = 0
        if chunk.sample_rate != RATE:
            import soxr

            self._resampler = soxr.ResampleStream(chunk.sample_rate, RATE, 1, dtype="float32", quality="HQ")

    def _emit(self, samples: npt.NDArray[np.float32], *, last: bool = False) -> Iterator[Block]:
        if self._resampler is not None:
            resampled: npt.NDArray[np.float32] = self._resampler.resample_chunk(samples, last=last)
            samples = np.clip(resampled, -1.0, 1.0)
        if samples.size:
            pts_ns = self._origin_ns + self._given * NS_PER_S // RATE
            self._given += samples.size
            yield Block(samples, pts_ns, self._restart)
            self._restart = False

    def _clock_ns(self) -> int:
        return self._origin_ns + (self._taken * NS_PER_S // self._rate if self._rate else 0)


def _clean(chunk: AudioChunk) -> npt.NDArray[np.float32]:
    if chunk.sample_rate not in _RATES:
        raise BadInputError(f"a sample rate of {chunk.sample_rate} Hz is not between 1 and 384 kHz")
    if chunk.samples.ndim != 1:
        raise BadInputError(f"audio samples have shape {chunk.samples.shape}, not one dimension")
    samples = np.asarray(chunk.samples, np.float32)
    return np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)


def level_dbfs(samples: npt.NDArray[np.float32]) -> float:
    """Root mean square in dB below full scale; -inf for silence or nothing."""
    power = _power(samples)
    return 10.0 * math.log10(power) if power > 0.0 else -math.inf


def rms(samples: npt.NDArray[np.float32]) -> float:
    """Root mean square; 0 for silence or nothing."""
    return math.sqrt(_power(samples))


def _power(samples: npt.NDArray[np.float32]) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
