"""The score of clause boundaries, on sounds whose ends are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.bench import lipsync_segmenter as bench
from edgevid.bench.lipsync_segmenter import Recording, score
from edgevid.core.errors import MissingPartError
from edgevid.lipsync.nouns import Floats
from edgevid.perception.audio_intake import RATE
from edgevid.perception.held_sound import WINDOW


class Level:
    """Voice is what has any level."""

    def __call__(self, windows: Floats) -> Floats:
        return np.abs(windows).max(axis=1, initial=0.0)

    def reset(self) -> None: ...


class Says:
    """A recogniser that always hears the same."""

    def __init__(self, text: str) -> None:
        self.text = text

    def recognize(self, samples: Floats, rate: int) -> str:
        return self.text

    def close(self) -> None: ...


def recording(pause: int) -> Recording:
    """Ten times a second of voice, with so many windows of pause in the middle, and 40 after."""
    loud, quiet = np.full(16 * WINDOW, 0.9, np.float32), np.zeros(WINDOW, np.float32)
    one = np.concatenate([loud, np.repeat(quiet, pause), loud, np.repeat(quiet, 40)])
    ends = tuple((i * len(one) + (32 + pause) * WINDOW) / RATE for i in range(10))
    return Recording(np.tile(one, 10), ends)


def test_all_found_and_nothing_else_is_one() -> None:
    found = score([recording(0)], Level(), None)
    assert (found.hits, found.true, found.found, found.f1) == (10, 10, 10, 1.0)
    assert found.wait_ms == pytest.approx(350, abs=32)


def test_a_fixed_pause_cuts_where_words_would_wait() -> None:
    pauses = recording(15)  # 480 ms
    fixed = score([pauses], Level(), None, config=bench._fixed(300))
    assert (fixed.hits, fixed.found) == (10, 20)
    assert fixed.f1 == pytest.approx(2 / 3)
    assert score([pauses], Level(), Says("and then the")).f1 == 1.0


def test_boundaries_are_matched_once_and_near() -> None:
    assert bench._matched([1.0, 2.0], [1.1, 1.2, 5.0]) == 1
    assert bench._matched([1.0, 2.0], [1.4, 1.6]) == 2
    assert bench._matched([], [1.0]) == 0


def test_hesitations_are_the_same_every_time(test_data: Path) -> None:
    (first,), (second,) = bench.hesitations(test_data), bench.hesitations(test_data)
    assert np.array_equal(first.samples, second.samples)
    assert first.ends_s == second.ends_s
    assert len(first.ends_s) == 40
    assert first.ends_s[-1] < len(first.samples) / RATE


def test_without_recordings_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="no recordings"):
        list(bench.rows(Level(), Says(""), tmp_path))
