"""A network source that is killed, frozen and brought back while it is read."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from edgevid.core.nouns import AudioChunk, Frame
from edgevid.media.connect import STALL_S
from edgevid.media.source import Source, open_source

_BACK_S = 5.0
_PATIENCE_S = 60.0


class Reading(threading.Thread):
    """Reads a source to its end and keeps the times of what came."""

    def __init__(self, source: Source) -> None:
        super().__init__(name="test reader")
        self.frames: list[tuple[float, int, int]] = []  # arrival (monotonic s), pts_ns, wall_ns
        self.chunks: list[AudioChunk] = []
        self._source = source

    def run(self) -> None:
        for item in self._source.read(chunk_s=0.2):
            if isinstance(item, Frame):
                assert item.wall_ns is not None
                self.frames.append((time.monotonic(), item.pts_ns, item.wall_ns))
            else:
                self.chunks.append(item)

    def wait_for_frames(self, count: int, *, after_s: float = 0.0) -> float:
        """Wait until ``count`` more frames came; returns when the first frame after ``after_s`` did."""
        goal, limit_s = len(self.frames) + count, time.monotonic() + _PATIENCE_S
        while len(self.frames) < goal:
            assert time.monotonic() < limit_s, "no frames come"
            time.sleep(0.02)
        return next(at for at, _, _ in self.frames if at > after_s)


@contextmanager
def reading(url: str) -> Iterator[tuple[Source, Reading]]:
    """A source that is being read; at the end everything must have stopped and be accounted for."""
    source = open_source(url)
    reader = Reading(source)
    reader.start()
    try:
        yield source, reader
    finally:
        source.close()
        reader.join(5.0)
    assert not reader.is_alive()
    live = source.stats.live
    assert live is not None
    assert live.received == live.delivered + live.dropped + live.skipped
    pts = [pts for _, pts, _ in reader.frames]
    assert all(b > a for a, b in pairwise(pts))
    starts = [chunk.pts_ns for chunk in reader.chunks]
    assert all(b > a for a, b in pairwise(starts))


def _kill_and_restart(server: Any, times: int) -> list[float]:
    """Seconds from each time the server was up again until a new frame was read."""
    back_s = []
    with reading(server.url + "/cam") as (source, reader):
        for _ in range(times):
            reader.wait_for_frames(10)
            server.kill()
            killed_s = time.monotonic()
            time.sleep(1.0)
            up_s = server.start()
            back_s.append(reader.wait_for_frames(1, after_s=max(up_s, killed_s + 0.5)) - up_s)
        reader.wait_for_frames(5)
        live = source.stats.live
        assert live is not None
        assert live.reconnects == live.gaps == times
        assert live.connected
        arrived_s, pts_ns, wall_ns = reader.frames[-1]
        first_s, first_pts_ns, first_wall_ns = reader.frames[0]
        # Time went on while nothing came: one timeline, that of the wall clock.
        assert (pts_ns - first_pts_ns) / 1e9 == pytest.approx(arrived_s - first_s, abs=1.5)
        assert (wall_ns - first_wall_ns) / 1e9 == pytest.approx(arrived_s - first_s, abs=1.5)
    return back_s


@pytest.mark.slow
def test_a_killed_server_comes_back(rtsp_server: Any, record_property: Callable[[str, object], None]) -> None:
    back_s = _kill_and_restart(rtsp_server, 3)
    record_property("back_s", back_s)
    assert max(back_s) <= _BACK_S


@pytest.mark.soak
def test_a_server_killed_twenty_times_comes_back_twenty_times(
    rtsp_server: Any, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    back_s = sorted(_kill_and_restart(rtsp_server, 20))
    record_property("back_s", back_s)
    with capsys.disabled():
        print(f"\nRTSP back after SIGKILL, 20 of 20: median {back_s[10]:.2f} s, longest {back_s[-1]:.2f} s")
    assert back_s[-1] <= _BACK_S


@pytest.mark.slow
def test_a_frozen_server_is_noticed_and_picked_up_again(rtsp_server: Any) -> None:
    with reading(rtsp_server.url + "/mute") as (source, reader):
        live = source.stats.live
        assert live is not None
        reader.wait_for_frames(10)
        rtsp_server.signal(signal.SIGSTOP)
        frozen_s = time.monotonic()
        while live.connected:
            assert time.monotonic() - frozen_s < STALL_S + 3, "the watchdog sleeps"
            time.sleep(0.05)
        assert "silent" in str(live.last_error) or "broke" in str(live.last_error)
        rtsp_server.signal(signal.SIGCONT)
        reader.wait_for_frames(10)
        assert live.reconnects == 1


@pytest.mark.slow
@pytest.mark.parametrize("state", ["running", "frozen", "gone"])
def test_close_returns_within_a_second(rtsp_server: Any, state: str) -> None:
    with reading(rtsp_server.url + "/mute") as (source, reader):
        reader.wait_for_frames(5)
        if state == "frozen":
            rtsp_server.signal(signal.SIGSTOP)
        elif state == "gone":
            rtsp_server.kill()
            time.sleep(0.7)
        began_s = time.monotonic()
        source.close()
        assert time.monotonic() - began_s <= 1.0
        reader.join(1.0)
        assert not reader.is_alive()


def test_a_slow_reader_always_gets_the_newest_frame(rtsp_server: Any) -> None:
    with open_source(rtsp_server.url + "/mute") as source:
        ages_s = []
        for frame in source.frames(end_s=4.0):
            assert frame.wall_ns is not None
            ages_s.append(time.time() - frame.wall_ns / 1e9)
            time.sleep(0.25)  # six times too slow
        live = source.stats.live
        assert live is not None
        assert live.received == live.delivered + live.dropped
        assert live.dropped > 2 * live.delivered
        # Ages would grow to 3 s if frames queued up.
        assert sorted(ages_s)[len(ages_s) // 2] < 0.5
