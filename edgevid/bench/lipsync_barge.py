"""Barge-in: how many frames still show the mouth of what was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edgevid.bench.report import Row
from edgevid.core.errors import EdgevidError
from edgevid.lipsync import parts as parts_
from edgevid.lipsync.flow import DubbedSound
from edgevid.lipsync.nouns import Floats, SpokenClause
from edgevid.lipsync.painting import Compositor, Image
from edgevid.lipsync.session import DubSession
from edgevid.perception.faces import Face

CLIPS = ("vretalk_1.mp4", "vretalk_4.mp4")
GOAL = 1
_OPEN = 0.02  # in mouth widths: frames by which an interruption can be seen
_WITHIN_NS = 200_000_000  # of either end of a clause nobody interrupts here


class Asked:
    """A ``Compositor`` that keeps the opening asked of each frame another one draws."""

    def __init__(self, compositor: Compositor) -> None:
        self._compositor = compositor
        self.openings: list[float] = []

    def learn(self, image: Image, face: Face) -> None:
        """See ``Compositor``."""
        self._compositor.learn(image, face)

    def draw(self, image: Image, face: Face, params: Floats) -> tuple[Image, str]:
        """See ``Compositor``."""
        drawn, reason = self._compositor.draw(image, face, params)
        if not reason:
            self.openings.append(float(params[0]))
        return drawn, reason


def rows(data: Path | None) -> Iterator[Row]:
    """Interrupts live dubs of ``CLIPS`` in every clause; what cannot run here says why."""
    name = "stale frames after barge-in"
    if data is None:
        yield Row(name, None, "frames", GOAL, None, "needs the clips: set EDGEVID_TEST_DATA")
        return
    stale: list[int] = []
    try:
        parts = parts_.load(target="es")
        try:
            if parts.compositor is None:
                raise parts.missing[0]
            for clip in CLIPS:
                asked = Asked(parts.compositor)
                with DubSession(
                    data / "talking" / clip,
                    target="es",
                    live=True,
                    parts=replace(parts, compositor=asked),
                ) as session:
                    stale += interrupted(session, asked)
        finally:
            parts.close()
    except EdgevidError as error:
        yield Row(name, None, "frames", GOAL, None, str(error))
        return
    method = (
        f"most frames presented after interrupt() that show an open mouth of the interrupted clause, of"
        f" {len(stale)} interruptions of live dubs of {len(CLIPS)} clips, each while the mouth was open"
    )
    worst = max(stale, default=None)
    yield Row(name, worst, "frames", GOAL, None if worst is None else worst <= GOAL, method)


def interrupted(session: DubSession, asked: Asked) -> list[int]:
    """Interrupt each clause of ``session`` once; stale frames after each."""
    stale: list[int] = []
    said: SpokenClause | None = None
    counting, drawn = False, 0
    for message in session:
        item = message.payload
        if isinstance(item, DubbedSound):
            if item.talks:
                said, counting = item.talks[-1].spoken, False
            continue
        if not item.drawn:
            continue
        wide = asked.openings[drawn] > _OPEN
        drawn += 1
        if said is None or not wide:
            continue
        if counting:
            stale[-1] += said.start_ns <= item.pts_ns < said.end_ns
        elif said.start_ns + _WITHIN_NS <= item.pts_ns < said.end_ns - _WITHIN_NS:
            session.interrupt()
            stale.append(0)
            counting = True
    return stale
