"""``edgevid bench lipsync``: how late a live dub is, how well its lips keep to its sound, what parts cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgevid.bench import (
    lipsync_barge,
    lipsync_compositor,
    lipsync_frames,
    lipsync_judge,
    lipsync_segmenter,
    lipsync_sequential,
    lipsync_speech,
    lipsync_viseme,
)
from edgevid.bench.lipsync_live import LiveRun, read_pictures, read_speech, run
from edgevid.bench.report import Row
from edgevid.core.errors import EdgevidError, MissingPartError, UsageError
from edgevid.lipsync import parts as parts_
from edgevid.lipsync.flow import Talk
from edgevid.lipsync.nouns import CURVE_STEP_NS

PARTS = (
    "latency",
    "sequential",
    "ablation",
    "clauses",
    "speech",
    "visemes",
    "barge",
    "judge",
    "frames",
    "compositor",
)
_LIVE = PARTS[:4]
P50_GOAL_MS, P95_GOAL_MS = 900.0, 1500.0
_LEAST_CLAUSES, _FEW, _COMMANDS = 100, 4, 96
_COLD = "from nothing loaded to all parts open and warm, in the first use by this process"
_OFFSET_MS = (-40.0, 60.0)  # EBU R37; + = sound late
_SIDE, _PICTURES = 512, 100
_BILABIALS = frozenset("pbm")
_SHUT, _OPEN = 0.03, 0.08  # opening in widths of the mouth
_SILENT_NS = 80_000_000


def rows(
    data: Path | None, *, quick: bool = False, only: Collection[str] = (), strips: Path | None = None
) -> Iterator[Row]:
    """Rows of the parts named in ``only``, by default of all ``PARTS``; what cannot run here says why.

    Args:
        strips: folder for pictures of the mouths, which the part ``frames`` draws.

    Raises:
        UsageError: ``only`` names no part.
    """
    if unknown := sorted(set(only) - set(PARTS)):
        raise UsageError(f"no part {unknown[0]!r} of this bench", fix=f"one of {', '.join(PARTS)}")
    wanted = set(only) or set(PARTS) - ({"judge", "frames"} if quick else set())
    if wanted & set(_LIVE):
        yield from _live(data, wanted, quick=quick)
    if "speech" in wanted:
        yield from lipsync_speech.rows()
    if "ablation" in wanted:
        yield from _visemes(lipsync_viseme.ablation)
    if "visemes" in wanted:
        yield from _visemes(lipsync_viseme.rows)
    if "barge" in wanted:
        yield from lipsync_barge.rows(data)
    if "judge" in wanted:
        yield from lipsync_judge.rows(data, quick=quick)
    if "frames" in wanted:
        yield from lipsync_frames.rows(data, strips=strips)
    if "compositor" in wanted:
        yield from lipsync_compositor.rows(data, quick=quick)


def _live(data: Path | None, wanted: Collection[str], *, quick: bool) -> Iterator[Row]:
    """What needs the parts of a dub, most of it one live run."""
    if data is None:
        yield Row("latency p50", None, "ms", P50_GOAL_MS, None, "needs the clips: set EDGEVID_TEST_DATA")
        return
    began = time.perf_counter()
    try:
        parts = parts_.load(target="es")
    except MissingPartError as error:
        yield Row("latency p50", None, "ms", P50_GOAL_MS, None, str(error))
        return
    cold_ms = 1000 * (time.perf_counter() - began)
    try:
        if {"latency", "sequential", "ablation"} & set(wanted):
            few = quick or "latency" not in wanted
            speech = [read_speech(path) for path in _recordings(data)[: _FEW if few else None]]
            pictures = read_pictures(data / "talking" / "vretalk_1.mp4", side=_SIDE, count=_PICTURES)
            live = run(speech, pictures, parts, target="es")
            if "latency" in wanted:
                yield Row("parts ready, cold", round(cold_ms), "ms", None, None, _COLD)
                yield from _latency(live, len(speech))
                yield from _lips(live.talks)
            if {"sequential", "ablation"} & set(wanted):
                sound = np.concatenate(speech)
                yield from lipsync_sequential.rows(parts, sound, pictures, live, wanted=wanted)
        if "clauses" in wanted:
            yield from lipsync_segmenter.rows(parts.voice_activity, parts.recognizer, data)
    finally:
        parts.close()


def _recordings(data: Path) -> list[Path]:
    """English speech of many people: those who talk freely and read first, then commands."""
    talking = sorted((data / "talking").glob("*.m*"))
    read = sorted((data / "audio" / "librivox").glob("*.wav"))
    grid = sorted((data / "talking" / "grid").rglob("*.mpg"))
    return [data / "audio" / "jfk.wav", *talking, *read, *grid[:_COMMANDS]]


def _latency(live: LiveRun, recordings: int) -> Iterator[Row]:
    found = live.latencies_ms[1:]
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in live.stage_ms.items())
    method = (
        "end of speech (its last voiced window of 32 ms) to the first presented frame of the clause, live"
        f" en-es, {len(found)} clauses ({_LEAST_CLAUSES} needed to judge) of {recordings} recordings,"
        f" pictures {_SIDE}x{_SIDE} at 25/s; median ms per item: {stages}"
    )
    for name, share, goal in (("p50", 50, P50_GOAL_MS), ("p95", 95, P95_GOAL_MS)):
        value = round(float(np.percentile(found, share)), 1) if found else None
        enough = value is not None and len(found) >= _LEAST_CLAUSES
        yield Row(f"latency {name}", value, "ms", goal, value <= goal if enough and value else None, method)
    if live.latencies_ms:
        first = round(live.latencies_ms[0], 1)
        yield Row("latency of the first clause", first, "ms", None, None, "same run, left out of the others")
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


def _visemes(figures: Callable[[], list[Row]]) -> Iterator[Row]:
    try:
        yield from figures()
    except EdgevidError as error:
        yield Row("VisemeNet", None, "", None, None, str(error))
