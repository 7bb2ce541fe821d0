"""The live run of the lip-sync bench: every figure is there, and they hang together."""

from __future__ import annotations

import numpy as np
import pytest

from edgevid.bench.lipsync_live import RATE, run
from edgevid.core.errors import MissingPartError
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
        result = run([0.5 * speech], [np.zeros((32, 32, 3), np.uint8)], parts, target="es")
    finally:
        parts.close()
    assert len(result.latencies_ms) == len(result.talks) >= 1
    assert all(latency > 0 for latency in result.latencies_ms)
    assert result.av_offsets_ms
    assert result.drawn == 0  # there is no face
    assert sum(result.untouched.values()) <= result.frames
    assert {"cut", "listen", "interpret", "speak", "mix", "faces", "draw"} <= set(result.stage_ms)
