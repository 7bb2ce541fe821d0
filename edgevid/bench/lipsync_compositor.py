"""Face track, VisemeNet and compositor on one core at 512 x 512: frames a second, and if they keep up."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.bench.lipsync_live import RATE, read_pictures, read_speech
from edgevid.bench.report import Row
from edgevid.core.errors import EdgevidError
from edgevid.lipsync.compositor import MouthCompositor
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.visemes import VisemeNet
from edgevid.models.store import ModelStore
from edgevid.perception.faces import face_tracker

FPS = 25
_SIDE, _PICTURES = 512, 100
_SECONDS, _QUICK_SECONDS = 600, 20
_WINDOW_S = 10
_STEPS_AHEAD = 4  # the network's curve lags its sound by 80 ms: a frame hears so many steps of 20 ms more
_DRIFT_GOAL_MS = 1000 / FPS

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Times:
    """Per frame, float64 [frames] in ms.

    Attributes:
        track, viseme, composite: what each stage took.
        late: when the frame was ready, after its sound began.
        drawn: how many got a mouth.
        processor_s: seconds of the processor that all stages took.
    """

    track: npt.NDArray[np.float64]
    viseme: npt.NDArray[np.float64]
    composite: npt.NDArray[np.float64]
    late: npt.NDArray[np.float64]
    drawn: int
    processor_s: float

    @property
    def busy(self) -> npt.NDArray[np.float64]:
        """All stages together."""
        return self.track + self.viseme + self.composite


def rows(data: Path | None, *, quick: bool = False) -> Iterator[Row]:
    """Ten minutes in real time, 20 s when ``quick``; what cannot run here says why."""
    name = f"face track + viseme + composite, {_SIDE}x{_SIDE}, one core"
    if data is None:
        yield Row(name, None, "fps", FPS, None, "needs the clips: set EDGEVID_TEST_DATA")
        return
    seconds = _QUICK_SECONDS if quick else _SECONDS
    try:
        pictures = read_pictures(data / "talking" / "vretalk_1.mp4", side=_SIDE, count=_PICTURES)
        times = play(pictures, read_speech(data / "audio" / "jfk.wav"), seconds=seconds)
    except EdgevidError as error:
        yield Row(name, None, "fps", FPS, None, str(error))
        return
    yield from report(times, name)


def report(times: Times, name: str) -> Iterator[Row]:
    """Rows of a run."""
    frames = len(times.late)
    window = min(_WINDOW_S * FPS, frames)
    sums = np.convolve(times.busy, np.ones(window), "valid")
    fps, worst = 1000 * frames / float(times.busy.sum()), 1000 * window / float(sums.max())
    each = ", ".join(
        f"{stage} {np.median(getattr(times, stage)):.2f}" for stage in ("track", "viseme", "composite")
    )
    method = (
        f"{frames / FPS:.0f} s in real time, {times.drawn} of {frames} frames drawn, pinned to a core;"
        f" frames by busy time ({frames / times.processor_s:.1f} by processor time);"
        f" slowest {window / FPS:.0f} s {worst:.1f} fps; median ms: {each};"
        f" 99th percentile of a frame {np.quantile(times.busy, 0.99):.1f} ms"
    )
    yield Row(name, round(fps, 1), "fps", FPS, worst >= FPS, method)
    part = min(60 * FPS, frames // 2)
    first, last = float(np.median(times.late[:part])), float(np.median(times.late[-part:]))
    yield Row(
        "drift of the pictures against the sound",
        round(last - first, 2),
        "ms",
        _DRIFT_GOAL_MS,
        abs(last - first) <= _DRIFT_GOAL_MS,
        f"same run: frames were ready {first:.1f} ms after their sound began in the first {part / FPS:.0f} s,"
        f" {last:.1f} ms in the last, medians",
    )


def play(pictures: list[Image], speech: Floats, *, seconds: float) -> Times:
    """Draw the mouth of ``speech`` (at 16 kHz, again and again) on ``pictures``, forth and back, each frame
    when its time has come, on one core.

    Raises:
        MissingPartError: a pack or the native core is missing.
    """
    net, tracker = VisemeNet(), face_tracker(ModelStore())
    compositor, stream = MouthCompositor(net.basis), net.stream()
    swing = [*pictures, *pictures[-2:0:-1]]
    for n, image in enumerate(pictures):
        for face in tracker.update(image, n * 1_000_000_000 // FPS)[:1]:
            compositor.learn(image, face)
    tracker.reset()
    total = round(seconds * FPS)
    spans = np.zeros((3, total))
    late, drawn, processor = np.zeros(total), 0, 0.0
    params: Floats | None = None
    heard = 0
    with _one_core():
        began = time.perf_counter()
        for n in range(total):
            due = began + n / FPS
            time.sleep(max(0.0, due - time.perf_counter()))
            marks, spent = [time.perf_counter()], time.thread_time()
            image = swing[n % len(swing)]
            faces = tracker.update(image, n * 1_000_000_000 // FPS)
            marks.append(time.perf_counter())
            until = (n + 1) * RATE // FPS + _STEPS_AHEAD * RATE // 50
            if len(steps := stream.push(_stretch(speech, heard, until))):
                params = steps[-1]
            heard = until
            marks.append(time.perf_counter())
            if faces and params is not None:
                compositor.learn(image, faces[0])
                drawn += not compositor.draw(image, faces[0], params)[1]
            marks.append(time.perf_counter())
            processor += time.thread_time() - spent
            spans[:, n] = 1000 * np.diff(marks)
            late[n] = 1000 * (marks[-1] - due)
    return Times(spans[0], spans[1], spans[2], late, drawn, processor)


def _stretch(speech: Floats, first: int, end: int) -> Floats:
    """Samples ``first`` to ``end`` of endless repetitions."""
    return speech[np.arange(first, end) % len(speech)]


@contextmanager
def _one_core() -> Iterator[None]:
    """This thread stays on one of its cores, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
