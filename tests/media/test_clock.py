from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edgevid.media.clock import ClockRepairs, StreamClock

MS = 1_000_000
S = 1000 * MS


def _clock(base_ns: int = 0, *, strict: bool = True) -> tuple[StreamClock, ClockRepairs]:
    repairs = ClockRepairs()
    return StreamClock(base_ns=base_ns, strict=strict, repairs=repairs), repairs


def test_good_times_only_lose_the_base() -> None:
    clock, repairs = _clock(5 * S)
    assert [clock.stamp(5 * S + i * 40 * MS, 40 * MS) for i in range(3)] == [0, 40 * MS, 80 * MS]
    assert repairs == ClockRepairs()


def test_missing_times_follow_the_last_picture() -> None:
    clock, repairs = _clock()
    assert [clock.stamp(None, 40 * MS) for _ in range(3)] == [0, 40 * MS, 80 * MS]
    assert repairs.missing == 3


def test_a_doubled_time_moves_a_little_and_the_next_good_one_stands() -> None:
    clock, repairs = _clock()
    times = [clock.stamp(t * MS, 40 * MS) for t in (0, 40, 40, 80)]
    assert times == [0, 40 * MS, 41 * MS, 80 * MS]
    assert repairs.unordered == 1


def test_time_goes_on_over_a_splice() -> None:
    clock, repairs = _clock()
    times = [clock.stamp(t * MS, 40 * MS) for t in (9_000, 9_040, 0, 40, 80)]
    assert times == [9_000 * MS, 9_040 * MS, 9_080 * MS, 9_120 * MS, 9_160 * MS]
    assert repairs.splices == 1


def test_a_jump_ahead_of_hours_is_a_splice_but_a_pause_is_kept() -> None:
    clock, repairs = _clock()
    times = [clock.stamp(t, 40 * MS) for t in (0, 1800 * S, 1 << 62, (1 << 62) + 40 * MS)]
    assert times == [0, 1800 * S, 1800 * S + 40 * MS, 1800 * S + 80 * MS]
    assert repairs.splices == 1


def test_sound_may_overlap() -> None:
    clock, repairs = _clock(strict=False)
    assert [clock.stamp(t * MS, 30 * MS) for t in (0, 20, 20)] == [0, 20 * MS, 20 * MS]
    assert repairs.unordered == 0


@given(st.lists(st.one_of(st.none(), st.integers(-(1 << 62), 1 << 62)), max_size=60))
def test_any_times_come_out_increasing_from_zero_on(stamps: list[int | None]) -> None:
    clock, _ = _clock()
    times = [clock.stamp(t, 40 * MS) for t in stamps]
    assert all(t >= 0 for t in times)
    assert all(a < b for a, b in itertools.pairwise(times))
