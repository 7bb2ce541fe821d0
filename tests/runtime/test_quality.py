"""Adaptive quality on a simulated device, whose load follows the quality as told."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevid.runtime import Pipeline
from edgevid.runtime.quality import AdaptiveQuality, Quality

LEVELS = (Quality(25, 720), Quality(25, 480), Quality(12.5, 480), Quality(5, 360))


@dataclass(frozen=True)
class Item:
    pts_ns: int


Work = Callable[[Quality, float], float]  # seconds a frame costs, at a quality and a time


def simulate(quality: AdaptiveQuality, seconds: int, work_s: Work) -> list[Quality]:
    """The quality after each second; a frame takes at most all of its period."""
    chosen = []
    at_s = 0.0
    for second in range(1, seconds + 1):
        while at_s < second:
            period_s = 1 / quality.now.fps
            at_s += period_s
            spent_s = min(work_s(quality.now, at_s), period_s)
            quality.observe("detect", int(spent_s * 1e9), int(at_s * 1e9))
        chosen.append(quality.now)
    return chosen


def by_pixels(ms_at_720: float) -> Work:
    return lambda quality, at_s: ms_at_720 / 1e3 * ((quality.height or 720) / 720) ** 2


def test_an_idle_device_stays_at_its_best() -> None:
    assert set(simulate(AdaptiveQuality(LEVELS), 60, by_pixels(10))) == {LEVELS[0]}


def test_a_busy_device_steps_down_to_what_it_can_do_and_stays() -> None:
    chosen = simulate(AdaptiveQuality(LEVELS), 120, by_pixels(70))  # 31 ms at 480: 78 % at 25 fps
    assert chosen[-1] == LEVELS[1]
    assert chosen.index(LEVELS[1]) <= 5
    assert len(set(chosen[10:])) == 1


def test_it_steps_up_again_when_the_load_goes() -> None:
    heavy, light = by_pixels(400), by_pixels(10)
    chosen = simulate(
        AdaptiveQuality(LEVELS), 120, lambda quality, at_s: (heavy if at_s < 30 else light)(quality, at_s)
    )
    assert chosen[29] == LEVELS[3]
    assert chosen[-1] == LEVELS[0]


def test_a_load_that_does_not_follow_the_quality_is_tried_ever_more_rarely() -> None:
    """Each step up turns out wrong, whatever it looked like from below."""
    chosen = simulate(
        AdaptiveQuality((Quality(25), Quality(24)), up_after_s=2.0),
        600,
        lambda quality, at_s: 1.0 if quality.fps == 25 else 0.02,
    )
    ups = [n for n, (before, after) in enumerate(itertools.pairwise(chosen)) if after.fps > before.fps]
    gaps = [later - sooner for sooner, later in itertools.pairwise(ups)]
    assert len(ups) >= 3
    assert gaps[-1] >= 30 > gaps[0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_whatever_the_load_the_level_is_one_of_those_given(loads: list[float]) -> None:
    quality = AdaptiveQuality(LEVELS)
    for second, load in enumerate(loads):
        quality.observe("detect", int(load * 1e9), (second + 1) * 10**9)
        assert quality.now in LEVELS


def test_two_stages_the_busier_counts() -> None:
    quality = AdaptiveQuality(LEVELS)
    for second in range(1, 4):
        quality.observe("idle", 0, second * 10**9)
        quality.observe("busy", 10**9, second * 10**9)
    assert quality.now == LEVELS[1]


@pytest.mark.parametrize(("fps", "source_fps"), [(25, 25), (12.5, 25), (5, 30), (10, 29.97), (60, 30)])
def test_pacing_leaves_the_rate_asked_for(fps: float, source_fps: float) -> None:
    frames = [Item(int(n * 1e9 / source_fps)) for n in range(600)]
    kept = list(AdaptiveQuality([Quality(fps)]).paced(frames))
    expected = 600 * min(1.0, fps / source_fps)
    assert abs(len(kept) - expected) <= 0.02 * expected + 1
    assert kept[0] is frames[0]


def test_pacing_goes_on_after_a_gap() -> None:
    frames = [Item(0), Item(10**12), Item(10**12 + 10**8), Item(10**12 + 2 * 10**8)]
    assert list(AdaptiveQuality([Quality(10)]).paced(frames)) == frames


def test_levels_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        AdaptiveQuality([])
    with pytest.raises(ValueError, match="height"):
        AdaptiveQuality([Quality(25, 720), Quality(12)])


def test_a_stage_tells_its_load() -> None:
    """A stage that needs 1.2 s per frame steps down after two frames, by its own measured time."""
    quality = AdaptiveQuality(LEVELS, down_after_s=0.001)
    with Pipeline() as pipeline:
        frames = pipeline.source("frames", [Item(n) for n in range(3)])
        pipeline.stage("slow", lambda item: time.sleep(1.2), after=frames, quality=quality)
        pipeline.run()
    assert quality.now == LEVELS[1]
