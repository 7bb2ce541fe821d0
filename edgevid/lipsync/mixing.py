"""The dub over the original: ambience and music stay, the speaker's own voice goes.

::

    original   ~~~~~~~~SPEECH~SPEECH~~~~~~~~music~~~
    kept       ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~music~~~   where speech is dubbed: without it (ambience.py)
    dub                HABLA HABLA HABLA

Live there is no time to take speech out: there the original is turned down while somebody speaks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgevid.core.nouns import NS_PER_S, AudioChunk
from edgevid.lipsync.ambience import without_speech
from edgevid.lipsync.clauses import Cut, Draft
from edgevid.lipsync.flow import DubbedSound, Settled, Talk
from edgevid.lipsync.hearing import Generation
from edgevid.lipsync.nouns import Floats

_RAMP_NS = 60_000_000
_MARGIN_NS = 120_000_000  # soft sounds before and after what the voice activity takes for speech
_FADE_S = 0.01
_ALL_NS = 1 << 62
_RECENT_S = 2.0  # of the original, to know its ambience by
_LIVE_DB = -18.0


class Mixer:
    """Stage: ``AudioChunk`` with ``Talk`` and ``Settled`` -> ``DubbedSound``, all of the original, in order.

    A file's sound waits until it is settled. Live sound waits for the voice activity alone, and a clause is
    placed where the mix has got to, ``lead_ns`` ahead.

    Args:
        live: see above.
        lead_ns: time for the pictures to learn of a clause before it is heard.

    Attributes:
        talks: clauses placed so far.
    """

    def __init__(self, *, generation: Generation, live: bool = False, lead_ns: int = 0) -> None:
        self._generation, self._live, self._lead_ns = generation, live, lead_ns
        self._down = np.float32(10 ** (_LIVE_DB / 20) if live else 0.0)
        self._waiting: deque[AudioChunk] = deque()
        self._spans: deque[tuple[int, int]] = deque()  # where the original steps back
        self._kept: list[tuple[int, Floats]] = []  # the original without its speech, from a time on
        self._recent = np.zeros(0, np.float32)
        self._talks: list[tuple[Talk, Floats]] = []  # with its samples at the rate of the original
        self._untold: list[Talk] = []
        self._settled_ns = 0
        self._speaking = False
        self._rate = 0
        self._end_ns = 0
        self.talks = 0

    @property
    def now_ns(self) -> int:
        """When a clause that came now could be heard, were nothing else being said."""
        return self._end_ns + self._lead_ns

    @property
    def _free_ns(self) -> int:
        """When all that was placed and is not stale is over."""
        ends = (t.spoken.end_ns for t, _ in self._talks if not self._generation.stale(t.spoken.clause))
        return max(ends, default=0)

    def __call__(self, item: AudioChunk | Talk | Settled | Draft | Cut) -> Iterator[DubbedSound]:
        if isinstance(item, AudioChunk):
            self._rate = self._rate or item.sample_rate
            self._waiting.append(item)
        elif isinstance(item, Talk):
            self._place(item)
        elif isinstance(item, Settled):
            self._settle(item)
        yield from self._give()

    def flush(self) -> Iterator[DubbedSound]:
        """The source ended: give the rest, and what the dub still has to say."""
        self._settled_ns = _ALL_NS
        yield from self._give()
        end_ns = max((_end(talk, samples, self._rate) for talk, samples in self._talks), default=0)
        left = (end_ns - self._end_ns) * self._rate // NS_PER_S
        if left > 0:
            yield self._mix(AudioChunk(np.zeros(left, np.float32), self._rate, self._end_ns))

    def _place(self, talk: Talk) -> None:
        if self._generation.stale(talk.spoken.clause) or not self._rate:
            return
        if self._live:
            talk = _moved(talk, max(self.now_ns, self._free_ns))
        else:
            clause = talk.spoken.clause
            span = clause.start_ns - _MARGIN_NS, clause.end_ns + _MARGIN_NS
            self._spans.append(span)
            self._keep_ambience(span[0] - _RAMP_NS, span[1] + _RAMP_NS)
        self.talks += 1
        self._talks.append((talk, _at_rate(talk.spoken.samples, talk.spoken.rate, self._rate)))
        self._untold.append(talk)

    def _keep_ambience(self, start_ns: int, end_ns: int) -> None:
        """All of the stretch waits here: it was not settled before its clause came."""
        chunks = [c for c in self._waiting if start_ns < _chunk_end(c) and c.pts_ns < end_ns]
        if not chunks:
            return
        first, last = (round((ns - chunks[0].pts_ns) * self._rate / NS_PER_S) for ns in (start_ns, end_ns))
        first = max(0, first)
        speech = np.concatenate([chunk.samples for chunk in chunks])[first:last]
        kept_ns = chunks[0].pts_ns + first * NS_PER_S // self._rate
        self._kept.append((kept_ns, without_speech(speech, self._rate, self._recent)))

    def _settle(self, mark: Settled) -> None:
        if self._live:
            self._speaking = mark.speaking
            mark_ns = _ALL_NS  # the voice activity has heard all that waits here
        else:
            mark_ns = mark.pts_ns - _MARGIN_NS - _RAMP_NS
        self._settled_ns = max(self._settled_ns, mark_ns)

    def _give(self) -> Iterator[DubbedSound]:
        while self._waiting and _chunk_end(self._waiting[0]) <= self._settled_ns:
            chunk = self._waiting.popleft()
            if self._live and self._speaking:
                self._spans.append((chunk.pts_ns, _chunk_end(chunk) + _MARGIN_NS))
            yield self._mix(chunk)
        if self._live:
            self._settled_ns = 0

    def _mix(self, chunk: AudioChunk) -> DubbedSound:
        start_ns, count = chunk.pts_ns, chunk.samples.size
        gain = self._gain(start_ns, count)
        mixed = chunk.samples * gain + self._ambience(start_ns, count) * (1 - gain)
        self._recent = np.concatenate([self._recent, chunk.samples])[-int(_RECENT_S * self._rate) :]
        speaking = any(begin < _chunk_end(chunk) and start_ns < end for begin, end in self._spans)
        kept = []
        for talk, samples in self._talks:
            offset = (start_ns - talk.spoken.start_ns) * self._rate // NS_PER_S
            if self._generation.stale(talk.spoken.clause):
                _add(mixed, _faded(samples, max(offset, 0), self._rate), offset)
                continue
            _add(mixed, samples, offset)
            if offset + count < len(samples):
                kept.append((talk, samples))
        self._talks = kept
        self._end_ns = _chunk_end(chunk)
        told = tuple(talk for talk in self._untold if _begin(talk) < self._end_ns)
        self._untold = self._untold[len(told) :]
        while self._spans and self._spans[0][1] + _RAMP_NS < self._end_ns:
            self._spans.popleft()
        return DubbedSound(start_ns, np.clip(mixed, -1, 1), chunk.samples, self._rate, told, speaking)

    def _ambience(self, start_ns: int, count: int) -> Floats:
        """float32 [count]: the newest of what is kept of the original here; silence where nothing is."""
        found = np.zeros(count, np.float32)
        for kept_ns, samples in self._kept:
            offset = round((start_ns - kept_ns) * self._rate / NS_PER_S)
            into, first = max(0, -offset), max(0, offset)
            part = samples[first : first + max(0, count - into)]
            found[into : into + len(part)] = part
        end_ns = start_ns + count * NS_PER_S // self._rate
        self._kept = [
            entry for entry in self._kept if entry[0] + len(entry[1]) * NS_PER_S // self._rate > end_ns
        ]
        return found

    def _gain(self, start_ns: int, count: int) -> Floats:
        """float32 [count]: 1 outside the spans, ramps before and after them."""
        times = start_ns + np.arange(count) * (NS_PER_S / self._rate)
        depth = np.zeros(count)
        for begin_ns, end_ns in self._spans:
            edge = np.minimum(times - (begin_ns - _RAMP_NS), (end_ns + _RAMP_NS) - times) / _RAMP_NS
            np.maximum(depth, np.clip(edge, 0, 1), out=depth)
        return np.asarray(1 - depth * (1 - self._down), np.float32)


def _add(mixed: Floats, samples: Floats, offset: int) -> None:
    """Add to ``mixed`` what of ``samples`` is heard in it; index 0 of ``mixed`` is their index ``offset``."""
    into, first = max(0, -offset), max(0, offset)
    part = samples[first : first + max(0, len(mixed) - into)]
    mixed[into : into + len(part)] += part


def _faded(samples: Floats, at: int, rate: int) -> Floats:
    """``samples`` with an end within 10 ms after index ``at``."""
    ramp = np.linspace(1, 0, int(_FADE_S * rate), dtype=np.float32)
    tail = samples[at : at + len(ramp)]
    return np.concatenate([samples[:at], tail * ramp[: len(tail)]])


def _moved(talk: Talk, start_ns: int) -> Talk:
    curve = None if talk.curve is None else replace(talk.curve, start_ns=start_ns)
    return Talk(replace(talk.spoken, start_ns=start_ns), curve)


def _begin(talk: Talk) -> int:
    return talk.spoken.clause.start_ns - _MARGIN_NS


def _end(talk: Talk, samples: Floats, rate: int) -> int:
    return talk.spoken.start_ns + len(samples) * NS_PER_S // rate


def _chunk_end(chunk: AudioChunk) -> int:
    return chunk.pts_ns + chunk.samples.size * NS_PER_S // chunk.sample_rate


def _at_rate(samples: Floats, rate: int, wanted: int) -> Floats:
    if rate == wanted:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate, wanted), np.float32)
