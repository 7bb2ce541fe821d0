"""A dub in real time, as a caller has it: recorded speech by the clock, pictures of a face beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame
from edgevid.lipsync.clauses import Cut, Draft
from edgevid.lipsync.flow import DubbedFrame, DubbedSound, Said, Settled, Talk, Translated
from edgevid.lipsync.hearing import Cutter, Generation
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.parts import Parts
from edgevid.lipsync.pipeline import build_live, make_stages
from edgevid.lipsync.protocols import Translator
from edgevid.lipsync.speaking import Interpreter
from edgevid.media.source import open_source
from edgevid.runtime import CpuBudget, Pipeline

RATE = 16_000
_CHUNK = RATE // 50
_FPS = 25
_PAUSE_S = 1.2  # between recordings: the longest hangover and a breath


@dataclass(slots=True)
class LiveRun:
    """What came out, and when.

    Attributes:
        latencies_ms: per clause, from its last voiced window to the first presented frame that shows it.
        after_cut_ms: the same from the moment at which the clause was known to be over.
        waits_ms: per clause that gave words, the pause after which it was known to be over.
        av_offsets_ms: per presented frame of speech: how late after its capture its sound came, minus how
            late it came itself.
        talks: all clauses.
        frames, drawn: presented.
        untouched: why frames of speech were not drawn.
        stage_ms: median time of each stage per item.
    """

    latencies_ms: list[float] = field(default_factory=list)
    after_cut_ms: list[float] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)
    av_offsets_ms: list[float] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    frames: int = 0
    drawn: int = 0
    untouched: dict[str, int] = field(default_factory=dict)
    stage_ms: dict[str, float] = field(default_factory=dict)


def read_speech(path: Path) -> Floats:
    """All sound of a file at 16 kHz."""
    with open_source(path) as source:
        return np.concatenate([chunk.samples for chunk in source.audio(sample_rate=RATE)])


def read_pictures(path: Path, *, side: int, count: int) -> list[npt.NDArray[np.uint8]]:
    """The first pictures of a film, each padded or cut to ``side`` x ``side``."""
    pictures = []
    with open_source(path) as source:
        for frame in source.frames(max_side=side, end_s=count / _FPS + 1):
            square = np.zeros((side, side, 3), np.uint8)
            height, width = frame.image.shape[:2]
            square[:height, :width] = frame.image
            pictures.append(square)
            if len(pictures) == count:
                break
    return pictures


def run(
    recordings: Sequence[Floats], pictures: Sequence[npt.NDArray[np.uint8]], parts: Parts, *, target: str
) -> LiveRun:
    """Dub ``recordings``, English, one after the other in real time."""
    pause = np.zeros(round(_PAUSE_S * RATE), np.float32)
    sound = np.concatenate([part for recording in recordings for part in (recording, pause)])
    generation = Generation()
    stages = make_stages(parts, source="en", target=target, generation=generation, live=True)
    listening = _WaitingInterpreter(parts.translator, target=target, generation=generation)
    cutter = _NotingCutter(stages.cutter)
    stages = replace(stages, cutter=cutter, interpreter=listening)
    capture = _Capture(sound, pictures)
    result = LiveRun()
    budget = CpuBudget()
    with Pipeline("dub", budget=budget) as pipeline:
        output = build_live(pipeline, stages, capture, threads=budget.threads("soft"), interrupt=None)
        pipeline.start()
        waiting: list[Talk] = []
        shown: list[tuple[int, int]] = []  # pts and arrival of frames of which the sound has not come
        for message in output:
            now_ns = time.monotonic_ns()
            item = message.payload
            if isinstance(item, DubbedSound):
                waiting += item.talks
                result.talks += item.talks
                shown = _match(shown, item, now_ns, result)
                continue
            assert isinstance(item, DubbedFrame)
            while waiting and item.pts_ns >= waiting[0].spoken.start_ns:
                clause = waiting.pop(0).spoken.clause
                result.latencies_ms.append((now_ns - capture.epoch_ns - clause.end_ns) / 1e6)
                result.after_cut_ms.append((now_ns - cutter.cut_ns[clause.seq]) / 1e6)
            if any(t.spoken.start_ns <= item.pts_ns < t.spoken.end_ns for t in result.talks[-4:]):
                shown.append((item.pts_ns, now_ns))
        pipeline.wait()
        metrics = pipeline.metrics()
    result.frames, result.drawn = stages.painter.frames, stages.painter.drawn
    result.waits_ms = listening.waits_ms
    result.untouched = dict(stages.painter.untouched)
    result.stage_ms = {stage.name: stage.run_p50_ms for stage in metrics.stages}
    return result


def _match(
    shown: list[tuple[int, int]], sound: DubbedSound, now_ns: int, result: LiveRun
) -> list[tuple[int, int]]:
    """Note the offset of the frames that ``sound`` goes with; give back those that still wait."""
    end_ns = sound.pts_ns + sound.samples.size * NS_PER_S // sound.rate
    late_ns = now_ns - sound.pts_ns
    result.av_offsets_ms += [
        (late_ns - (came_ns - pts_ns)) / 1e6 for pts_ns, came_ns in shown if pts_ns < end_ns
    ]
    return [entry for entry in shown if entry[0] >= end_ns]


class _NotingCutter(Cutter):
    """Another cutter, and when it made each cut: monotonic ns by the number of the clause."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self.cut_ns: dict[int, int] = {}

    def __call__(self, chunk: AudioChunk) -> Iterator[Draft | Cut | Settled]:
        yield from self._noted(self._cutter(chunk))

    def flush(self) -> Iterator[Draft | Cut | Settled]:
        yield from self._noted(self._cutter.flush())

    def _noted(self, items: Iterator[Draft | Cut | Settled]) -> Iterator[Draft | Cut | Settled]:
        for item in items:
            if isinstance(item, Cut):
                self.cut_ns[item.number] = time.monotonic_ns()
            yield item


class _WaitingInterpreter(Interpreter):
    """Notes what pause each clause took."""

    def __init__(self, translator: Translator | None, *, target: str, generation: Generation) -> None:
        super().__init__(translator, target=target, generation=generation)
        self.waits_ms: list[float] = []

    def __call__(self, item: Said | Settled) -> Translated | Settled | None:
        if isinstance(item, Said) and item.clause.text:
            self.waits_ms.append((item.cut_at_ns - item.clause.end_ns) / 1e6)
        return super().__call__(item)


class _Capture:
    """Sound and pictures, each given when it would have been captured."""

    def __init__(self, sound: Floats, pictures: Sequence[npt.NDArray[np.uint8]]) -> None:
        self._sound, self._pictures = sound, pictures
        self.epoch_ns = 0

    def __iter__(self) -> Iterator[AudioChunk | Frame]:
        self.epoch_ns = time.monotonic_ns()
        frames = 0
        for start in range(0, len(self._sound), _CHUNK):
            samples = self._sound[start : start + _CHUNK]
            end_ns = (start + len(samples)) * NS_PER_S // RATE
            while (pts_ns := frames * NS_PER_S // _FPS) < end_ns:
                self._wait(pts_ns)
                yield Frame(self._pictures[frames % len(self._pictures)], pts_ns, frames)
                frames += 1
            self._wait(end_ns)  # a chunk is there once its last sample is
            yield AudioChunk(samples, RATE, start * NS_PER_S // RATE)

    def _wait(self, pts_ns: int) -> None:
        time.sleep(max(0.0, (self.epoch_ns + pts_ns - time.monotonic_ns()) / 1e9))
