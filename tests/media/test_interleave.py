from __future__ import annotations

import numpy as np

from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame
from edgevid.media.interleave import Interleaver
from edgevid.media.sampler import FOREVER_NS

_PIXEL = np.zeros((1, 1, 3), dtype=np.uint8)


def _frame(time_s: float) -> Frame:
    return Frame(_PIXEL, round(time_s * NS_PER_S), 0)


def _chunk(time_s: float) -> AudioChunk:
    return AudioChunk(np.zeros(4, dtype=np.float32), 8, round(time_s * NS_PER_S))


def test_items_leave_in_order_of_time() -> None:
    merge = Interleaver()
    for time_s in (0.0, 1.0, 2.0):
        merge.put(_frame(time_s))
    for time_s in (0.0, 0.5, 1.0, 1.5):
        merge.put(_chunk(time_s))
    merge.advance("video", FOREVER_NS)
    merge.advance("audio", FOREVER_NS)
    times = [item.pts_ns / NS_PER_S for item in merge.pop()]
    assert times == [0.0, 0.0, 0.5, 1.0, 1.0, 1.5, 2.0]


def test_an_item_waits_until_the_other_track_has_passed_it() -> None:
    merge = Interleaver()
    merge.put(_frame(1.0))
    assert list(merge.pop()) == []
    merge.advance("audio", round(0.9 * NS_PER_S))
    assert list(merge.pop()) == []
    merge.advance("audio", NS_PER_S)
    assert [type(item) for item in merge.pop()] == [Frame]


def test_pictures_do_not_pile_up_when_sound_never_comes() -> None:
    merge = Interleaver()
    big = np.zeros((1024, 1024, 3), dtype=np.uint8)
    out = 0
    for number in range(100):
        merge.put(Frame(big, number, number))
        out += len(list(merge.pop()))
    assert 100 - out <= 22


def test_waiting_sound_tells_how_far_pictures_must_be_decided() -> None:
    merge = Interleaver()
    assert merge.sound_overdue_ns <= 0
    merge.put(_chunk(0.0))
    merge.put(_chunk(150.0))
    assert merge.sound_overdue_ns == 30 * NS_PER_S
