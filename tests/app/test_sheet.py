from __future__ import annotations

import numpy as np

from edgevid.app.sheet import FrameSampler
from edgevid.core.nouns import Frame


def sampled(count: int) -> list[int]:
    sampler = FrameSampler()
    for i in range(count):
        sampler(Frame(np.zeros((1, 1, 3), np.uint8), i, i))
    return [frame.index for frame in sampler.frames()]


def test_short_streams_are_kept_whole() -> None:
    assert sampled(0) == []
    assert sampled(5) == [0, 1, 2, 3, 4]


def test_long_streams_are_covered_evenly_with_bounded_memory() -> None:
    for count in (13, 25, 100, 5000):
        chosen = sampled(count)
        assert len(chosen) == 12
        assert chosen[0] == 0
        assert chosen[-1] >= count * 0.85
        gaps = np.diff(chosen)
        assert gaps.max() <= 2 * gaps.min() + 1
