"""The scribe joins what arrives in any order between the senses, and waits for nothing that was dropped."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from edgevid.core.nouns import NS_PER_S, Frame, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory
from edgevid.stream.scribe import Scribe, Written
from edgevid.stream.senses import Part, Sense
from edgevid.stream.stats import StageTimes
from edgevid.stream.ticks import Tick

S = NS_PER_S
PICTURE = np.zeros((2, 2, 3), np.uint8)


def tick(n: int, *, wall_ns: int | None = None) -> Tick:
    frame = Frame(PICTURE, n * S, n, wall_ns)
    return Tick(n, n * S, frame, (), (), wall_offset_ns=None if wall_ns is None else wall_ns - n * S)


def part(sense: Sense, n: int, kind: Kind, label: str) -> Part:
    seen = Observation(kind, label, TimeSpan(n * S, (n + 1) * S), 0.5)
    return Part(sense, n, n * S, (seen,), looked=sense == "eye")


def write(memory: Memory, items: Iterable[Tick | Part]) -> tuple[list[list[str]], int]:
    """Labels of the events of each written tick, and the video."""
    video = memory.add_video("x", width=2, height=2, has_audio=True, channels=["object", "speech"])
    scribe = Scribe(memory, video, period_ns=S, senses=("eye", "ear"), stages=StageTimes(), label="door")
    written: list[Written] = []
    for item in items:
        written += scribe(item)
    written += scribe.flush()
    assert [w.pts_ns for w in written] == sorted(w.pts_ns for w in written)
    return [[event.observation.label for event in w.events] for w in written], video


EYE = [part("eye", n, "object", f"o{n}") for n in range(4)]
EAR = [part("ear", n, "speech", f"s{n}") for n in range(4)]
TICKS = [tick(n) for n in range(4)]
WHOLE = [["o0", "s0"], ["o1", "s1"], ["o2", "s2"], ["o3", "s3"]]


@pytest.mark.parametrize(
    "items",
    [
        [item for items in zip(TICKS, EYE, EAR, strict=True) for item in items],
        [*TICKS, *EAR, *EYE],
        [*EYE, *EAR, *TICKS],
        [*EAR, *TICKS[:2], *EYE[:3], *TICKS[2:], *EYE[3:]],
    ],
)
def test_any_order_between_the_senses_gives_the_same_rows(items: list[Tick | Part]) -> None:
    with Memory() as memory:
        assert write(memory, items)[0] == WHOLE


def test_a_dropped_look_holds_nothing_up() -> None:
    with Memory() as memory:
        labels, _ = write(memory, [*TICKS, *EAR, EYE[0], EYE[3]])
        assert labels == [["o0", "s0"], ["s1"], ["s2"], ["o3", "s3"]]


def test_rows_of_live_sources_carry_the_wall_clock_also_of_what_was_heard() -> None:
    wall_ns = 1_800_000_000 * S
    with Memory() as memory:
        _, video = write(memory, [tick(0, wall_ns=wall_ns), tick(1, wall_ns=wall_ns + S), *EAR[:2], *EYE[:2]])
        assert memory.video(video).wall_ns == wall_ns
        walls = {row.observation.label: row.observation.wall_ns for row in memory.rows(video)}
        assert walls == {"o0": wall_ns, "s0": wall_ns, "o1": wall_ns + S, "s1": wall_ns + S}
