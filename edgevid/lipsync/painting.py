"""The picture stages of a dub: faces, and the mouth drawn on the one who speaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import NS_PER_S, Frame
from edgevid.lipsync.flow import DubbedFrame, DubbedSound, Seen, Talk
from edgevid.lipsync.hearing import Generation
from edgevid.lipsync.mark import marked
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.visemes import at

if TYPE_CHECKING:
    from edgevid.perception.faces import Face, FaceTracker

Image = npt.NDArray[np.uint8]

_CLOSED = np.array([0, 1, 0, 0, 0, 0], np.float32)  # lips together, as wide as at rest
_CLOSING_NS = 100_000_000  # from an open mouth to a closed one, and back
_LARGER = 2.0  # of several faces the one that covers this much more than the next is the speaker's


class Compositor(Protocol):
    """Draws a mouth on a face (``compositor.py``)."""

    def learn(self, image: Image, face: Face) -> None:
        """See the speaker's own mouth."""
        ...

    def draw(self, image: Image, face: Face, params: Floats) -> tuple[Image, str]:
        """The picture with the mouth of ``params``, and ""; or ``image`` itself, and why it is untouched."""
        ...


class FaceFinder:
    """Stage: ``Frame`` -> ``Seen``."""

    def __init__(self, tracker: FaceTracker | None) -> None:
        self._tracker = tracker

    def __call__(self, frame: Frame) -> Seen | None:
        if not isinstance(frame, Frame):
            return None
        faces = () if self._tracker is None else tuple(self._tracker.update(frame.image, frame.pts_ns))
        return Seen(frame, faces)


class Painter:
    """Stage: ``Seen`` and ``DubbedSound`` in order of time -> ``DubbedFrame`` and the sound itself.

    While the source speaks its own mouth must not be seen: it is drawn as the dub moves it, else closed.
    Other frames pass. The compositor learns from the source's pictures, all of them.

    Args:
        missing: why there is no compositor.
        mark: write on every frame, drawn or not, that it was dubbed (``mark.py``).

    Attributes:
        frames, drawn: counts; ``untouched``: why frames were not drawn that should have been.
    """

    def __init__(
        self, compositor: Compositor | None, *, generation: Generation, missing: str = "", mark: bool = False
    ) -> None:
        self._compositor, self._generation = compositor, generation
        self._missing, self._mark = missing, mark
        self._talks: list[Talk] = []
        self._speaking_until_ns = 0
        self.frames = self.drawn = 0
        self.untouched: Counter[str] = Counter()

    def __call__(self, item: Seen | DubbedSound) -> Iterator[DubbedFrame | DubbedSound]:
        if isinstance(item, Seen):
            painted = self._paint(item)
            yield self._marked(painted) if self._mark else painted
            return
        self._talks.extend(item.talks)
        if item.speaking:
            self._speaking_until_ns = item.pts_ns + len(item.samples) * NS_PER_S // item.rate + _CLOSING_NS
        yield item

    def learn(self, seen: Seen) -> None:
        """See the speaker's own mouth."""
        face, _ = _speaker(seen.faces)
        if self._compositor is not None and face is not None:
            self._compositor.learn(seen.frame.image, face)

    def _paint(self, seen: Seen) -> DubbedFrame:
        self.frames += 1
        params = self._params(seen.pts_ns)
        face, reason = _speaker(seen.faces)
        self.learn(seen)
        if params is None:
            return DubbedFrame(seen.frame, False)
        if self._compositor is None:
            reason = self._missing or "no parts for lips"
        elif face is not None:
            image, reason = self._compositor.draw(seen.frame.image, face, params)
            if not reason:
                self.drawn += 1
                frame = Frame(image, seen.frame.pts_ns, seen.frame.index, seen.frame.wall_ns)
                return DubbedFrame(frame, True)
        self.untouched[reason] += 1
        return DubbedFrame(seen.frame, False, reason)

    def _marked(self, painted: DubbedFrame) -> DubbedFrame:
        return replace(painted, frame=replace(painted.frame, image=marked(painted.frame.image)))

    def _params(self, pts_ns: int) -> Floats | None:
        """The mouth at ``pts_ns``; None when the speaker's own is to be seen."""
        self._talks = [
            talk
            for talk in self._talks
            if not self._generation.stale(talk.spoken.clause) and pts_ns < _over(talk)
        ]
        for talk in self._talks:
            if talk.spoken.start_ns <= pts_ns < talk.spoken.end_ns and talk.curve is not None:
                return at(talk.curve, pts_ns)
        begun = any(talk.spoken.clause.start_ns <= pts_ns for talk in self._talks)
        return _CLOSED if begun or pts_ns < self._speaking_until_ns else None


def _speaker(faces: tuple[Face, ...]) -> tuple[Face | None, str]:
    """The face that speaks, or why nobody can tell."""
    if not faces:
        return None, "no face"
    by_size = sorted(faces, key=_area, reverse=True)
    if len(by_size) > 1 and _area(by_size[0]) < _LARGER * _area(by_size[1]):
        return None, "several faces"
    return by_size[0], ""


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def _over(talk: Talk) -> int:
    return max(talk.spoken.end_ns, talk.spoken.clause.end_ns) + _CLOSING_NS
