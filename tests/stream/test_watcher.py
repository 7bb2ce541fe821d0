from __future__ import annotations

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
