"""``edgevid bench lipsync``: how late a live dub is, how well its lips keep to its sound, what parts cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.bench import lipsync_segmenter, lipsync_speech, lipsync_viseme
from edgevid.bench.lipsync_live import RATE, LiveRun, read_pictures, read_speech, run
from edgevid.bench.report import Row
from edgevid.core.errors import EdgevidError, MissingPartError
from edgevid.lipsync import parts as parts_
from edgevid.lipsync.flow import Talk
from edgevid.lipsync.nouns import CURVE_STEP_NS, Floats
from edgevid.lipsync.parts import Parts
from edgevid.lipsync.pitch import median_hz

P50_GOAL_MS, P95_GOAL_MS, RATIO_GOAL = 900.0, 1500.0, 3.1
_OFFSET_MS = (-40.0, 60.0)  # EBU R37; + = sound late
_SIDE, _PICTURES = 512, 100
_SPEECH_S = (2, 5, 10)
_HANGOVER_MS = 700
_BILABIALS = frozenset("pbm")
_SHUT, _OPEN = 0.03, 0.08  # opening in widths of the mouth
_SILENT_NS = 80_000_000


def rows(data: Path | None, *, quick: bool = False) -> Iterator[Row]:
    """All rows; what cannot run here says why."""
    if data is None:
        yield Row("latency p50", None, "ms", P50_GOAL_MS, None, "needs the clips: set EDGEVID_TEST_DATA")
        return
    try:
        parts = parts_.load(target="es")
    except MissingPartError as error:
        yield Row("latency p50", None, "ms", P50_GOAL_MS, None, str(error))
        return
    try:
        speech = [read_speech(path) for path in _recordings(data)[: 4 if quick else None]]
        pictures = read_pictures(data / "talking" / "vretalk_1.mp4", side=_SIDE, count=_PICTURES)
        live = run(speech, pictures, parts, target="es")
        yield from _latency(live, len(speech))
        yield from _sequential(parts, np.concatenate(speech), pictures, live)
        yield from _lips(live.talks)
        if not quick:
            yield from lipsync_segmenter.rows(parts.voice_activity, parts.recognizer, data)
    finally:
        parts.close()
    yield from lipsync_speech.rows()
    yield from _visemes()


def _recordings(data: Path) -> list[Path]:
    """English speech of many people, longest first of each kind."""
    talking = sorted((data / "talking").glob("*.m*"))
    grid = sorted((data / "talking" / "grid").rglob("*.mpg"))
    return [data / "audio" / "jfk.wav", *talking, *grid[:80]]


def _latency(live: LiveRun, recordings: int) -> Iterator[Row]:
    found = sorted(live.latencies_ms)
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in live.stage_ms.items())
    method = (
        "end of speech (its last voiced window of 32 ms) to the first presented frame of the clause, live"
        f" en-es, {len(found)} clauses of {recordings} recordings, pictures {_SIDE}x{_SIDE} at 25/s; median"
        f" ms per item: {stages}"
    )
    for name, share, goal in (("p50", 50, P50_GOAL_MS), ("p95", 95, P95_GOAL_MS)):
        value = round(float(np.percentile(found, share)), 1) if found else None
        yield Row(f"latency {name}", value, "ms", goal, None if value is None else value <= goal, method)
    if live.av_offsets_ms:
        low, high = _OFFSET_MS
        inside = statistics.fmean(low <= offset <= high for offset in live.av_offsets_ms)
        yield Row(
            "A/V offset within EBU R37",
            round(100 * inside, 2),
            "% of frames",
            99.0,
            inside >= 0.99,
            f"delay of the sound since its capture minus that of the frame, {len(live.av_offsets_ms)} frames"
            f" of speech, median {statistics.median(live.av_offsets_ms):.1f} ms: for whoever plays both as"
            " they come; by their time stamps both are made for the same moment",
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in live.untouched.items()) or "none"
    method = f"of {live.frames} presented; of speech and untouched: {reasons}"
    yield Row("frames drawn", live.drawn, "frames", None, None, method)


def _sequential(
    parts: Parts, speech: Floats, pictures: Sequence[npt.NDArray[np.uint8]], live: LiveRun
) -> Iterator[Row]:
    """The same warm parts, one after the other, once the pause of fixed length is over."""
    ours = statistics.median(live.latencies_ms) if live.latencies_ms else None
    for seconds in _SPEECH_S:
        spoken = speech[: seconds * RATE]
        times = [_one_by_one(parts, spoken, pictures) for _ in range(3)]
        total = statistics.median(sum(time_.values()) for time_ in times) + _HANGOVER_MS
        ratio = None if ours is None else round(total / ours, 2)
        stages = ", ".join(f"{name} {ms:.0f}" for name, ms in times[-1].items())
        yield Row(
            f"sequential / ours, {seconds} s of speech",
            ratio,
            "x",
            RATIO_GOAL,
            None if ratio is None else ratio >= RATIO_GOAL,
            f"to the first frame: {total:.0f} ms with the same parts in a row after a fixed pause of"
            f" {_HANGOVER_MS} ms ({stages}), ours the median of the live run in the same process",
        )


def _one_by_one(parts: Parts, samples: Floats, pictures: Sequence[npt.NDArray[np.uint8]]) -> dict[str, float]:
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


def _lips(talks: Sequence[Talk]) -> Iterator[Row]:
    """Of the curves of the live run: bilabials, and the mouth in the pauses of the voice."""
    closed: list[bool] = []
    open_in_silence: list[bool] = []
    for talk in talks:
        if talk.curve is None:
            continue
        opening = talk.curve.params[:, 0]
        voiced = np.zeros(len(opening), np.bool_)
        for phoneme in talk.spoken.phonemes:
            first, last = phoneme.start_ns // CURVE_STEP_NS, phoneme.end_ns // CURVE_STEP_NS
            near = opening[max(0, first - 2) : last + 3]  # one frame of 40 ms before and after
            if phoneme.symbol[:1] in _BILABIALS and near.size:
                closed.append(bool(near.min() <= _SHUT))
            margin = _SILENT_NS // CURVE_STEP_NS
            voiced[max(0, first - margin) : last + margin + 1] = True
        open_in_silence += [bool(wide) for wide in opening[~voiced] > _OPEN]
    if closed:
        share = 100 * statistics.fmean(closed)
        method = f"opening <= {_SHUT} mouth widths within one frame of {len(closed)} p, b, m of the live run"
        yield Row("bilabials closed", round(share, 1), "%", 90.0, share >= 90, method)
    method = f"opening > {_OPEN} mouth widths 80 ms and more from any phoneme, {len(open_in_silence)} steps"
    if open_in_silence:
        share = 100 * statistics.fmean(open_in_silence)
        yield Row("mouth open in silence", round(share, 2), "%", 2.0, share < 2, method)
    else:
        yield Row("mouth open in silence", None, "%", 2.0, None, f"{method}: no pauses in what was said")


def _visemes() -> Iterator[Row]:
    try:
        yield from lipsync_viseme.rows()
    except EdgevidError as error:
        yield Row("VisemeNet", None, "", None, None, str(error))
