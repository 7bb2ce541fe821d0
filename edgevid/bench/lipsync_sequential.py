"""The parts of a live dub one after the other, and what each thing that makes it quicker is worth."""

from __future__ import annotations

import statistics
import time
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from edgevid.bench.lipsync_live import RATE, LiveRun
from edgevid.bench.report import Row
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.parts import Parts
from edgevid.lipsync.pitch import median_hz

RATIO_GOAL = 3.1
_SPEECH_S = (2, 5, 10)
_FIXED_MS = 700
_ABLATED_S = 5
_ROUNDS = 3


def rows(
    parts: Parts,
    speech: Floats,
    pictures: Sequence[npt.NDArray[np.uint8]],
    live: LiveRun,
    *,
    wanted: Collection[str] = ("sequential", "ablation"),
) -> Iterator[Row]:
    """``speech`` at 16 kHz through ``parts`` in a row, against ``live``, a run of the same parts."""
    if not live.latencies_ms or not live.waits_ms:
        yield Row("sequential / ours", None, "x", RATIO_GOAL, None, "the live run gave no clause")
        return
    ours, wait = statistics.median(live.latencies_ms), statistics.median(live.waits_ms)
    for seconds in _SPEECH_S:
        spoken = speech[: seconds * RATE]
        laps = [one_by_one(parts, spoken, pictures) for _ in range(_ROUNDS)]
        times = {name: statistics.median(lap[name] for lap in laps) for name in laps[0]}
        if "sequential" in wanted:
            yield from _compare(seconds, times, ours, wait)
            yield _after_the_cut(seconds, times, live.after_cut_ms)
        if "ablation" in wanted and seconds == _ABLATED_S:
            yield from ablation(times, ours, wait)


def _compare(seconds: int, times: dict[str, float], ours: float, wait: float) -> Iterator[Row]:
    work = sum(times.values())
    stages = ", ".join(f"{name} {ms:.0f}" for name, ms in times.items())
    for what, pause, goal in (
        ("ours: median of the live run", wait, RATIO_GOAL),
        (f"a fixed {_FIXED_MS} ms", _FIXED_MS, None),
    ):
        ratio = (work + pause) / ours
        name = f"sequential / ours, {seconds} s of speech" + ("" if goal else f", pause {_FIXED_MS} ms")
        yield Row(
            name,
            round(ratio, 2),
            "x",
            goal,
            None if goal is None else ratio >= goal,
            f"to the first frame: {work + pause:.0f} ms with the same parts in a row after a pause of"
            f" {pause:.0f} ms ({what}; {stages}, medians of {_ROUNDS}); ours {ours:.0f} ms, the median of the"
            " live run in the same process",
        )


def _after_the_cut(seconds: int, times: dict[str, float], after_cut_ms: Sequence[float]) -> Row:
    """Without the pause, which stands before both and which no pipeline shortens."""
    work, ours = sum(times.values()), statistics.median(after_cut_ms)
    return Row(
        f"sequential / ours after the cut, {seconds} s of speech",
        round(work / ours, 2),
        "x",
        RATIO_GOAL,
        work / ours >= RATIO_GOAL,
        "from the moment the clause is known to be over, so without the pause that both sides wait, to the"
        f" first frame: {work:.0f} ms with the same parts in a row, ours {ours:.0f} ms, median of"
        f" {len(after_cut_ms)} clauses of the live run, each measured from its own cut",
    )


def ablation(times: dict[str, float], ours: float, wait: float) -> Iterator[Row]:
    """How much later the first frame would be without each, from ``times`` of ``one_by_one`` in ms."""
    for name, without, how in (
        ("overlap with speech", times["recognise"], "words recognised after the pause, not in it"),
        ("incremental emit", times.get("pictures", 0.0), "all pictures of the clause before the first one"),
        ("segmenting by words", _FIXED_MS - wait, f"a pause of {_FIXED_MS} ms, ours has {wait:.0f} ms"),
    ):
        yield Row(
            f"first frame without {name}",
            round((ours + without) / ours, 2),
            "x of ours",
            None,
            None,
            f"computed, not run: {how}: {without:+.0f} ms at {_ABLATED_S} s of speech to our {ours:.0f} ms",
        )


def one_by_one(parts: Parts, samples: Floats, pictures: Sequence[npt.NDArray[np.uint8]]) -> dict[str, float]:
    """Milliseconds of each stage for ``samples`` at 16 kHz, one clause."""
    times: dict[str, float] = {}
    began = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal began
        now = time.perf_counter()
        times[name] = 1000 * (now - began)
        began = now

    text = parts.recognizer.recognize(samples, RATE)
    lap("recognise")
    if parts.translator is not None:
        text = parts.translator.translate(text or "hello", source="en", target="es")
    lap("translate")
    median_hz(samples, RATE)
    sound = parts.voice.speak(text or "hola", language="es")
    lap("speak")
    if parts.mouth is not None:
        curve = parts.mouth.curve(sound.samples, sound.rate, sound.phonemes)
        lap("mouth")
        if parts.tracker is not None and parts.compositor is not None:
            for n in range(len(sound.samples) * 25 // sound.rate):
                image = pictures[n % len(pictures)]
                for face in parts.tracker.update(image, n * 40_000_000)[:1]:
                    parts.compositor.draw(image, face, curve.params[min(2 * n, len(curve.params) - 1)])
            lap("pictures")
    return times
