from __future__ import annotations

import random

import pytest

from edgevid.media.live_clock import LiveClock
from edgevid.media.live_stats import LiveStats

MS = 1_000_000
S = 1000 * MS


def _run(
    clock: LiveClock, *, seconds: float, drift: float = 0.0, jitter_ms: float = 0.0, start_ns: int = 0
) -> list[int]:
    """Errors of the times of 25 pictures a second; the source's clock runs ``1 + drift`` times as fast."""
    rng = random.Random(1)
    errors = []
    for number in range(int(seconds * 25)):
        true_ns = start_ns + number * 40 * MS
        stamp_ns = 77 * S + round((true_ns - start_ns) * (1 + drift))
        arrived_ns = true_ns + 5 * MS + round(rng.expovariate(1 / jitter_ms) * MS if jitter_ms else 0)
        clock.observe(0, stamp_ns, arrived_ns)
        time_ns = clock.time_of(stamp_ns, arrived_ns)
        errors.append(time_ns + (clock.epoch_ns or 0) - true_ns)
    return errors


def test_jitter_does_not_reach_the_times() -> None:
    errors = _run(LiveClock(LiveStats()), seconds=60, jitter_ms=20)
    settled = errors[50:]
    assert max(settled) - min(settled) < 5 * MS
    assert min(settled) >= 0  # nothing is older than it can be


@pytest.mark.parametrize("ppm", [-200, 100, 500])
def test_drift_is_followed_and_measured(ppm: float) -> None:
    stats = LiveStats()
    errors = _run(LiveClock(stats), seconds=900, drift=ppm * 1e-6, jitter_ms=5)
    # Without correction the last would be off by 900 s x ppm: 90 to 450 ms.
    assert max(abs(e - 5 * MS) for e in errors[250:]) < 15 * MS
    assert stats.drift_ppm == pytest.approx(ppm, abs=20)
    assert stats.jumps == 0


@pytest.mark.parametrize("jump_s", [-3600, -1, 30, 3600])
def test_a_jump_of_the_stamps_does_not_move_time(jump_s: int) -> None:
    stats = LiveStats()
    clock = LiveClock(stats)
    times = []
    for number in range(500):
        stamp_ns = 5000 * S + number * 40 * MS + (jump_s * S if number >= 250 else 0)
        clock.observe(0, stamp_ns, number * 40 * MS)
        times.append(clock.time_of_picture(stamp_ns, number * 40 * MS))
    assert stats.jumps == 1
    assert times == pytest.approx([n * 40 * MS for n in range(500)], abs=2 * MS)


def test_time_goes_on_over_a_new_connection_and_never_back() -> None:
    clock = LiveClock(LiveStats())
    _run(clock, seconds=2)
    before = clock.time_of_picture(77 * S + 2 * S, 2 * S + 5 * MS)
    clock.restart()
    clock.observe(0, 3 * S, 12 * S)  # ten seconds later, the source counts from elsewhere
    after = clock.time_of_picture(3 * S, 12 * S)
    assert after - before == pytest.approx(10 * S, abs=20 * MS)
    again = clock.time_of_picture(1 * S, 12 * S)  # an old stamp
    assert again > after


def test_both_tracks_share_the_offset_of_the_faster() -> None:
    clock = LiveClock(LiveStats())
    for number in range(100):
        clock.observe(0, number * 40 * MS, number * 40 * MS + 90 * MS)  # pictures take 90 ms to come
        clock.observe(1, number * 40 * MS, number * 40 * MS + 10 * MS)  # sound 10 ms
    assert clock.time_of(2 * S, 5 * S) == clock.time_of(2 * S, 6 * S)
    assert clock.time_of(2 * S, 5 * S) + (clock.epoch_ns or 0) == 2 * S + 10 * MS


def test_what_has_no_stamp_gets_the_time_it_came() -> None:
    clock = LiveClock(LiveStats())
    assert [clock.time_of_picture(None, at * S) for at in (5, 6, 6)] == [0, S, S + MS]
