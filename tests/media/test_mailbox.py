from __future__ import annotations

import random
import threading
import time
from typing import Any

import numpy as np
import pytest

from edgevid.core.nouns import AudioChunk
from edgevid.media.live_stats import LiveStats
from edgevid.media.mailbox import MAX_SOUND_S, Mailbox, Picture

MS = 1_000_000


def _picture(number: int, time_ns: int | None = None) -> Picture:
    frame: Any = None
    return Picture(frame, number * 40 * MS if time_ns is None else time_ns, 0, number)


def _chunk(number: int) -> AudioChunk:
    return AudioChunk(np.zeros(1600, np.float32), 16000, number * 100 * MS)


def _taken(box: Mailbox) -> list[Picture | AudioChunk]:
    return list(iter(box.take, None))


def test_the_newest_picture_wins_and_every_other_is_counted() -> None:
    stats = LiveStats()
    box = Mailbox(stats)
    for number in range(10):
        box.put_picture(_picture(number))
    box.end()
    box.put_picture(_picture(10))  # too late to count
    assert [p.index for p in _taken(box) if isinstance(p, Picture)] == [9]
    assert (stats.received, stats.delivered, stats.dropped, stats.skipped) == (10, 1, 9, 0)


def test_sound_keeps_its_order_and_loses_its_oldest() -> None:
    stats = LiveStats()
    box = Mailbox(stats)
    count = round(MAX_SOUND_S / 0.1) + 25
    for number in range(count):
        box.put_sound(_chunk(number))
    box.end()
    starts = [item.pts_ns for item in _taken(box) if isinstance(item, AudioChunk)]
    assert starts == [n * 100 * MS for n in range(25, count)]
    assert stats.sound_dropped_s == pytest.approx(2.5)
    assert stats.sound_s == pytest.approx(count * 0.1)


def test_the_earlier_of_picture_and_sound_goes_first() -> None:
    box = Mailbox(LiveStats())
    box.put_picture(_picture(3))  # 120 ms
    for number in range(3):
        box.put_sound(_chunk(number))
    box.end()
    assert [p.time_ns if isinstance(p, Picture) else p.pts_ns for p in _taken(box)] == [
        0,
        100 * MS,
        120 * MS,
        200 * MS,
    ]


@pytest.mark.parametrize("fps", [1.0, 2.0, 10.0, 24.0])
def test_a_rate_passes_the_first_picture_of_each_tick(fps: float) -> None:
    stats = LiveStats()
    box = Mailbox(stats, fps=fps)
    times = []
    for number in range(250):
        box.put_picture(_picture(number))
        box_item = stats.received - stats.skipped - stats.delivered
        if box_item:
            item = box.take()
            assert isinstance(item, Picture)
            times.append(item.time_ns)
    ticks = [int((t + MS // 2) * fps / 1e9) for t in times]
    assert ticks == list(range(round(10 * fps)))
    assert stats.received == stats.delivered + stats.skipped == 250


def test_an_error_comes_after_what_waits() -> None:
    box = Mailbox(LiveStats())
    box.put_picture(_picture(1))
    box.end(ValueError("over"))
    assert isinstance(box.take(), Picture)
    with pytest.raises(ValueError, match="over"):
        box.take()


def test_counts_are_exact_between_threads() -> None:
    stats = LiveStats()
    box = Mailbox(stats, fps=400.0)
    rng = random.Random(3)

    def send() -> None:
        for number in range(2000):
            box.put_picture(_picture(number, number * MS))
            if rng.random() < 0.02:
                time.sleep(0.001)
        box.end()

    sender = threading.Thread(target=send, name="test sender")
    sender.start()
    indices = [item.index for item in _taken(box) if isinstance(item, Picture)]
    sender.join()
    assert indices == sorted(set(indices))
    assert indices[-1] >= 1995
    assert stats.received == 2000 == stats.delivered + stats.dropped + stats.skipped
    assert stats.delivered == len(indices)
