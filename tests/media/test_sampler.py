from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevid.media.sampler import FOREVER_NS, FrameSampler

MS = 1_000_000
S = 1000 * MS


def _sample(
    times_ns: list[int],
    *,
    fps: float | None,
    start_ns: int = 0,
    end_ns: int = FOREVER_NS,
    last_ns: int = 40 * MS,
) -> list[tuple[int, int]]:
    sampler: FrameSampler[int] = FrameSampler(fps=fps, start_ns=start_ns, end_ns=end_ns)
    out = []
    for number, time_ns in enumerate(times_ns):
        out += list(sampler.push(time_ns, number))
    return out + list(sampler.hold(times_ns[-1] + last_ns))


def test_one_picture_per_second_of_25() -> None:
    out = _sample([i * 40 * MS for i in range(250)], fps=1.0)
    assert out == [(k * S, 25 * k) for k in range(10)]


def test_the_source_rate_gives_every_picture_once() -> None:
    times = [i * 1001 * S // 30000 for i in range(100)]
    out = _sample(times, fps=30000 / 1001, last_ns=33 * MS)
    assert [n for _, n in out] == list(range(100))


def test_millisecond_rounding_does_not_shift_pictures() -> None:
    times = [round(i * 1000 / 30) * MS for i in range(90)]
    assert [n for _, n in _sample(times, fps=30.0, last_ns=33 * MS)] == list(range(90))


def test_a_long_picture_is_given_at_each_tick() -> None:
    assert _sample([0, 3500 * MS], fps=1.0) == [(0, 0), (S, 0), (2 * S, 0), (3 * S, 0)]


def test_ticks_before_the_first_picture_give_nothing() -> None:
    assert _sample([1500 * MS, 1540 * MS, 2100 * MS], fps=1.0) == [(2 * S, 1)]


def test_without_a_rate_pictures_keep_their_times_within_the_stretch() -> None:
    out = _sample([0, 10 * MS, 35 * MS, 90 * MS], fps=None, start_ns=10 * MS, end_ns=90 * MS)
    assert out == [(10 * MS, 1), (35 * MS, 2)]


@given(
    st.lists(st.integers(0, 5000), min_size=1, max_size=40, unique=True).map(sorted),
    st.sampled_from([0.5, 1.0, 3.0, 7.3, 30.0]),
    st.integers(0, 3000),
)
def test_each_tick_gets_the_newest_picture_at_or_before_it(
    times_ms: list[int], fps: float, start_ms: int
) -> None:
    times = [t * MS for t in times_ms]
    got = _sample(times, fps=fps, start_ns=start_ms * MS, last_ns=40 * MS)
    rate = Fraction(fps).limit_denominator(100_000)
    want, k = [], 0
    while (tick := start_ms * MS + k * S * rate.denominator // rate.numerator) < times[-1] + 40 * MS:
        shown = [n for n, t in enumerate(times) if t <= tick + MS // 2]
        if shown:
            want.append((tick, shown[-1]))
        k += 1
    assert got == want


@pytest.mark.parametrize("fps", [None, 2.0])
def test_nothing_comes_out_below_the_watermark(fps: float | None) -> None:
    sampler: FrameSampler[int] = FrameSampler(fps=fps)
    floor = 0
    for number in range(100):
        for time_ns, _ in sampler.push(number * 40 * MS, number):
            assert time_ns >= floor
        floor = sampler.watermark_ns


def test_done_once_the_end_is_decided() -> None:
    sampler: FrameSampler[int] = FrameSampler(fps=1.0, end_ns=2 * S)
    list(sampler.push(0, 0))
    assert not sampler.done
    list(sampler.push(1100 * MS, 1))
    assert sampler.done
