"""The hand of a watch: joins what eye and ear made of each tick, and writes it down in order of time."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from edgevid.core.nouns import NS_PER_S, Frame, Observation
from edgevid.memory.memory import Memory
from edgevid.stream.events import Event
from edgevid.stream.senses import Part, Sense
from edgevid.stream.stats import StageTimes
from edgevid.stream.ticks import Tick
from edgevid.stream.timeline import Timeline

_MOST_UNSEEN_NS = 3 * NS_PER_S  # after a longer gap what is there has come anew


@dataclass(frozen=True, slots=True)
class Written:
    """One tick as it stands in memory: the rows that began, and the frame they came from."""

    pts_ns: int
    frame: Frame | None
    events: tuple[Event, ...]


class Scribe:
    """Takes ticks and parts in any order between the senses, in order of ``number`` within each.

    A tick is written when every sense has spoken of it or of a later one: what a sense has let go, because a
    newer frame came or it crashed, holds nothing up.

    Args:
        senses: whose parts come, besides the ticks themselves.
        label: name of the source, for events.
    """

    def __init__(
        self,
        memory: Memory,
        video_id: int,
        *,
        period_ns: int,
        senses: Collection[Sense],
        stages: StageTimes,
        label: str | None,
    ) -> None:
        self._memory = memory
        self._video_id = video_id
        self._timeline = Timeline(memory, video_id)
        self._period_ns = period_ns
        self._stages = stages
        self._label = label
        self._newest: dict[str, int] = dict.fromkeys(("tick", *senses), -1)
        self._ticks: dict[int, Tick] = {}
        self._parts: dict[int, list[Part]] = {}
        self._looked_ns = 0  # presentation time of the newest look
        self._wall_offset_ns: int | None = None  # wall clock minus presentation time

    def __call__(self, item: Tick | Part) -> Iterator[Written]:
        """Take one; gives the ticks that are complete now."""
        if isinstance(item, Tick):
            self._newest["tick"] = item.number
            self._ticks[item.number] = replace(item, sound=())
        else:
            self._newest[item.sense] = item.number
            self._parts.setdefault(item.number, []).append(item)
        return self._write_until(min(self._newest.values()))

    def flush(self) -> Iterator[Written]:
        """The source has ended: what is still held."""
        return self._write_until(max(self._ticks, default=-1))

    def _write_until(self, number: int) -> Iterator[Written]:
        for due in sorted(n for n in self._ticks if n <= number):
            yield self._write(self._ticks.pop(due), self._parts.pop(due, []))

    def _write(self, tick: Tick, parts: list[Part]) -> Written:
        if tick.wall_offset_ns is not None:
            self._set_clock(tick.wall_offset_ns)
        in_order = sorted(parts, key=lambda part: part.sense != "eye")  # whoever was quicker
        found = [*tick.glanced, *(o for part in in_order for o in part.observations)]
        text_period_ns = max((part.text_period_ns for part in parts), default=0) or self._period_ns
        unseen_ns = self._unseen_ns(parts)
        events = []
        with self._stages.measure("remember"), self._memory.transaction():
            for o in sorted(map(self._on_wall_clock, found), key=lambda o: o.span.start_ns):
                period_ns = text_period_ns if o.kind == "text" else self._period_ns
                row_id = self._timeline.add(o, period_ns=period_ns, unseen_ns=unseen_ns)
                if row_id is not None and o.kind != "faint":
                    events.append(Event(row_id, o, self._label))
        if tick.frame is not None and tick.frame.wall_ns is not None:
            self._stages.record("age", time.time() - tick.frame.wall_ns / 1e9)
        return Written(tick.pts_ns, tick.frame, tuple(events))

    def _unseen_ns(self, parts: list[Part]) -> int:
        """How long before this look nobody looked, beyond a period: live frames that had to be dropped."""
        looks = [part.pts_ns for part in parts if part.looked]
        if not looks:
            return 0
        before_ns, self._looked_ns = self._looked_ns, looks[0]
        return min(max(0, looks[0] - before_ns - self._period_ns), _MOST_UNSEEN_NS)

    def _set_clock(self, offset_ns: int) -> None:
        if self._wall_offset_ns is None:
            self._memory.set_wall(self._video_id, offset_ns)
        self._wall_offset_ns = offset_ns

    def _on_wall_clock(self, observation: Observation) -> Observation:
        if observation.wall_ns is not None or self._wall_offset_ns is None:
            return observation
        return replace(observation, wall_ns=observation.span.start_ns + self._wall_offset_ns)
