from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from edgevid.core.nouns import NS_PER_S, Frame, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory
from edgevid.runtime import CpuBudget
from edgevid.stream.stats import StageTimes
from edgevid.stream.watcher import Watcher

PICTURE = np.zeros((4, 4, 3), np.uint8)


def frames(fps: int, seconds: int) -> Iterator[Frame]:
    for i in range(fps * seconds):
        yield Frame(PICTURE, i * NS_PER_S // fps, i)


class Says:
    """A channel that reports ``label`` for every frame it is shown, or only for those listed."""

    model_id = "test"

    def __init__(self, kind: Kind, label: str, only: set[int] | None = None) -> None:
        self.kind = kind
        self.seen: list[int] = []
        self._label, self._only = label, only

    def observe(self, frame: Frame, *, period_ns: int) -> list[Observation]:
        self.seen.append(frame.index)
        if self._only is not None and frame.index not in self._only:
            return []
        span = TimeSpan(frame.pts_ns, frame.pts_ns + period_ns)
        return [Observation(self.kind, self._label, span, 0.5, model_id=self.model_id)]

    def reset(self) -> None:
        pass


def watch(memory: Memory, *, glancing: Says, looking: Says) -> list[str]:
    video = memory.add_video("x", width=4, height=4, has_audio=False, channels=["object", "cut"])
    watcher = Watcher(
        memory,
        video,
        fps=2.0,
        looks=4,
        glancing=[glancing],
        looking=[looking],
        listening=[],
        follower=None,
        stages=StageTimes(),
        budget=CpuBudget(cores=2),
    )
    return [event.observation.label for event in watcher.follow(frames(8, 2))]


def test_a_cut_is_looked_at_at_once_and_counting_starts_anew() -> None:
    cuts, objects = Says("cut", "cut", only={6}), Says("object", "dog")
    with Memory() as memory:
        assert watch(memory, glancing=cuts, looking=objects) == ["dog", "cut"]
    assert cuts.seen == list(range(16))
    assert objects.seen == [0, 4, 6, 10, 14]


def test_without_cuts_every_fourth_glimpse_is_a_look() -> None:
    objects = Says("object", "dog")
    with Memory() as memory:
        watch(memory, glancing=Says("cut", "cut", only=set()), looking=objects)
    assert objects.seen == [0, 4, 8, 12]


def test_faint_things_are_remembered_but_are_no_event() -> None:
    with Memory() as memory:
        assert watch(memory, glancing=Says("cut", "cut", only=set()), looking=Says("faint", "cat")) == []
        (row,) = memory.rows(memory.videos()[0].id, kinds=("faint",))
        assert (row.observation.label, row.observation.span.end_ns) == ("cat", 2 * NS_PER_S)


class Slow(Says):
    """Takes as long as ten frames; notes how high each picture was."""

    def __init__(self) -> None:
        super().__init__("object", "dog")
        self.heights: list[int] = []

    def observe(self, frame: Frame, *, period_ns: int) -> list[Observation]:
        self.heights.append(frame.image.shape[0])
        time.sleep(0.25)
        return super().observe(frame, period_ns=period_ns)


def test_a_slow_eye_costs_a_live_source_frames_and_pixels_but_no_delay() -> None:
    began_s = time.monotonic()

    def camera() -> Iterator[Frame]:
        for i in range(160):  # 40 a second for 4 s
            time.sleep(max(0.0, began_s + i / 40 - time.monotonic()))
            yield Frame(np.zeros((600, 800, 3), np.uint8), i * NS_PER_S // 40, i, wall_ns=time.time_ns())

    slow = Slow()
    with Memory() as memory:
        video = memory.add_video("x", width=4, height=4, has_audio=False, channels=["object"])
        stages = StageTimes()
        watcher = Watcher(
            memory,
            video,
            fps=40.0,
            looks=1,
            glancing=[],
            looking=[slow],
            listening=[],
            follower=None,
            stages=stages,
            budget=CpuBudget(cores=2),
            live=True,
        )
        events = list(watcher.follow(camera()))
        (row,) = memory.rows(video)  # one dog all the time, though most looks were dropped
    assert len(events) == 1
    assert row.observation.span.end_ns > 3 * NS_PER_S
    assert slow.heights[0] == 540
    assert slow.heights[-1] < 540
    channel = watcher.pipeline.metrics().channel("eye")
    assert channel.dropped > 50
    assert channel.entered == channel.left + channel.dropped
    assert stages.summary()["age"]["p50_ms"] < 4000 / 2  # queues of 4 s of frames would be later than that


def test_a_duration_that_is_not_true_is_not_told() -> None:
    with Memory() as memory:
        assert _told(memory, duration_s=1.9) == 1_900_000_000  # within the last frame's period
        assert _told(memory, duration_s=0.5) == 2_000_000_000
        assert _told(memory, duration_s=9.0) == 2_000_000_000


def _told(memory: Memory, *, duration_s: float) -> int:
    video = memory.add_video("x", width=4, height=4, has_audio=False, channels=["object"])
    watcher = Watcher(
        memory,
        video,
        fps=2.0,
        looks=4,
        glancing=[],
        looking=[Says("object", "dog")],
        listening=[],
        follower=None,
        stages=StageTimes(),
        budget=CpuBudget(cores=2),
        duration_s=duration_s,
    )
    list(watcher.follow(frames(8, 2)))
    return watcher.media_ns
