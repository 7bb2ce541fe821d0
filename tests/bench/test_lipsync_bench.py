"""The live run of the lip-sync bench: every figure is there, and they hang together."""

from __future__ import annotations

import numpy as np
import pytest

from edgevid.bench import lipsync, lipsync_sequential
from edgevid.bench.lipsync_live import RATE, run
from edgevid.core.errors import MissingPartError, UsageError
from edgevid.lipsync import parts as parts_
from edgevid.models.store import ModelStore


@pytest.mark.packs
def test_a_live_run_measures_every_clause(store: ModelStore) -> None:
    for pack in ("moonshine-tiny-en", "silero-vad"):
        store.where(pack)
    try:
        parts = parts_.load(target="es")
    except MissingPartError as error:
        pytest.skip(str(error))
    try:
        import soxr

        spoken = parts.voice.speak("Good morning to all of you. I have a red house.", language="en-us")
        speech = soxr.resample(spoken.samples, spoken.rate, RATE)
        pictures = [np.zeros((32, 32, 3), np.uint8)]
        result = run([0.5 * speech], pictures, parts, target="es")
        apart = {row.measure: row for row in lipsync_sequential.rows(parts, 0.5 * speech, pictures, result)}
    finally:
        parts.close()
    assert len(result.latencies_ms) == len(result.talks) >= 1
    assert all(latency > 0 for latency in result.latencies_ms)
    # Each clause's pause lies before its cut: what is left after it is less than the whole.
    together = zip(result.after_cut_ms, result.latencies_ms, strict=True)
    assert all(0 < after < whole for after, whole in together)
    assert result.av_offsets_ms
    assert result.drawn == 0  # there is no face
    assert sum(result.untouched.values()) <= result.frames
    assert {"cut", "listen", "interpret", "speak", "mix", "faces", "draw"} <= set(result.stage_ms)
    # The same work with a longer pause takes longer, and both are there at each length of speech.
    for seconds in (2, 5, 10):
        ours = apart[f"sequential / ours, {seconds} s of speech"].value
        fixed = apart[f"sequential / ours, {seconds} s of speech, pause 700 ms"].value
        assert isinstance(ours, float) and isinstance(fixed, float)
        assert ours > 0
        assert (ours < fixed) == (np.median(result.waits_ms) < 700)
        after = apart[f"sequential / ours after the cut, {seconds} s of speech"].value
        assert isinstance(after, float) and after > 0


def test_what_each_part_saves_is_told_against_the_whole() -> None:
    times = {"recognise": 60.0, "translate": 2.0, "speak": 8.0, "pictures": 400.0}
    rows = {row.measure: row.value for row in lipsync_sequential.ablation(times, 400.0, 300.0)}
    assert rows == {
        "first frame without overlap with speech": 1.15,
        "first frame without incremental emit": 2.0,
        "first frame without segmenting by words": 2.0,
    }


def test_parts_of_the_bench_are_named_or_refused() -> None:
    with pytest.raises(UsageError, match="no part 'nonsense'"):
        next(lipsync.rows(None, only=["nonsense"]))
    only = list(lipsync.rows(None, only=["latency", "barge"]))
    assert [row.measure for row in only] == ["latency p50", "stale frames after barge-in"]
    assert all(row.value is None and "EDGEVID_TEST_DATA" in row.method for row in only)
