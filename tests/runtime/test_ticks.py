"""Ticks keep to the grid of their period, whatever happens between them."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from edgevid.runtime import Pipeline
from edgevid.runtime.ticks import Ticks


def test_ticks_do_not_drift() -> None:
    began = time.monotonic()
    ticks = list(itertools.islice(Ticks(0.01), 30))
    took = time.monotonic() - began
    assert all(tick.pts_ns == tick.index * 10_000_000 for tick in ticks)
    assert took >= ticks[-1].pts_ns / 1e9
    assert all(tick.late_ns >= 0 for tick in ticks)


def test_what_is_slept_through_is_left_out() -> None:
    ticks = iter(Ticks(0.01))
    assert next(ticks).index == 0
    time.sleep(0.055)
    late = next(ticks)
    assert late.index >= 5
    assert late.late_ns >= 0


def test_closing_ends_a_long_wait() -> None:
    ticks = Ticks(600)
    with Pipeline() as pipeline:
        pipeline.source("clock", ticks, interrupt=ticks.close)
        pipeline.start()
        assert pipeline.drain(30)
    assert "edgevid-clock" not in (thread.name for thread in threading.enumerate())


def test_a_period_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Ticks(0)
