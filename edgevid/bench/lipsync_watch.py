"""A dub looked at again: every drawn frame beside its own, measured by the face mesh on the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.flow import DubbedFrame, DubbedSound, Talk
from edgevid.lipsync.mouth_shape import LIPS, Speaker, fit_speaker, lips_of
from edgevid.lipsync.nouns import Floats, Phoneme
from edgevid.lipsync.painting import Compositor
from edgevid.lipsync.parts import Parts
from edgevid.lipsync.seam import redness
from edgevid.lipsync.session import DubSession
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception import face_mesh
from edgevid.perception.face_mesh import FaceMesh, region_of_mesh
from edgevid.perception.faces import Face

SIDE = 128
"""Of the views of a mouth, in pixels."""
_SPAN = 0.95  # of a view, in units of the distance between the outer corners of the eyes
_BELOW_NOSE = 0.32  # where its middle lies, in the same units
_RIGHT_EYE, _LEFT_EYE, _NOSE = 33, 263, 2

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """One drawn frame.

    Attributes:
        pts_ns: of the frame.
        asked: opening that the compositor was asked for, in widths of the neutral mouth.
        redness: between the drawn lips (``seam.redness``).
        own_lips, drawn_lips: float32 [40, 2] of ``lips_of``, by the mesh on the frame before and after.
        own, drawn: uint8 RGB [SIDE, SIDE, 3]: the mouth before and after, cut out upright, alike in size and
            place by eyes and nose.
    """

    pts_ns: int
    asked: float
    redness: float
    own_lips: Floats
    drawn_lips: Floats
    own: Image
    drawn: Image


@dataclass(frozen=True, slots=True)
class Film:
    """One dubbed clip.

    Attributes:
        name: of its file.
        looks: the drawn frames in order of time.
        phonemes: what the dub says, in the time of the frames.
        speaker: the neutral mouth, by the mesh on the clip's own frames.
        frames, untouched: how many there were, and why some that should have been drawn were not.
    """

    name: str
    looks: tuple[Look, ...]
    phonemes: tuple[Phoneme, ...]
    speaker: Speaker
    frames: int
    untouched: dict[str, int]

    def phoneme_at(self, pts_ns: int) -> str:
        """Symbol of what is said at ``pts_ns``; empty in a pause."""
        return next((p.symbol for p in self.phonemes if p.start_ns <= pts_ns < p.end_ns), "")


class Witness:
    """A ``Compositor`` that keeps what another one draws."""

    def __init__(self, compositor: Compositor, mesh: FaceMesh) -> None:
        self._compositor, self._mesh = compositor, mesh
        self.looks: list[Look] = []

    def learn(self, image: Image, face: Face) -> None:
        """See ``Compositor``."""
        self._compositor.learn(image, face)

    def draw(self, image: Image, face: Face, params: Floats) -> tuple[Image, str]:
        """See ``Compositor``."""
        drawn, reason = self._compositor.draw(image, face, params)
        if not reason:
            region = region_of_mesh(face.landmarks)
            own, new = (self._mesh(picture, region).points for picture in (image, drawn))
            self.looks.append(
                Look(
                    pts_ns=0,  # of which a compositor does not know
                    asked=float(params[0]),
                    redness=redness(drawn, new[list(LIPS)]),
                    own_lips=lips_of(own),
                    drawn_lips=lips_of(new),
                    own=view(image, face.landmarks),
                    drawn=view(drawn, face.landmarks),
                )
            )
        return drawn, reason


def watch(clip: Path, parts: Parts, store: ModelStore, *, target: str = "es") -> Film:
    """Dub ``clip`` and look at the result.

    Raises:
        EdgevidError: as ``DubSession``; ``parts`` are to be without a compositor's memory of other clips.
    """
    assert parts.compositor is not None and parts.tracker is not None
    parts.tracker.reset()
    mesh = FaceMesh(onnx_session(store.where(face_mesh.PACK)["model.onnx"]))
    witness = Witness(parts.compositor, mesh)
    times: list[int] = []
    talks: list[Talk] = []
    with DubSession(clip, target=target, parts=replace(parts, compositor=witness)) as session:
        for message in session:
            item = message.payload
            if isinstance(item, DubbedSound):
                talks += item.talks
            elif isinstance(item, DubbedFrame) and item.drawn:
                times.append(item.pts_ns)
        stats = session.stats()
    looks = tuple(replace(look, pts_ns=t) for look, t in zip(witness.looks, times, strict=True))
    speaker = fit_speaker(np.stack([look.own_lips for look in looks])) if looks else Speaker(1, 0, 0)
    return Film(clip.name, looks, _said(talks), speaker, stats["frames"], stats["frames_untouched"])


def view(image: Image, landmarks: Floats) -> Image:
    """The mouth of a mesh [468, 2] in uint8 RGB [h, w, 3], upright, [SIDE, SIDE, 3]; bilinear."""
    across = landmarks[_LEFT_EYE] - landmarks[_RIGHT_EYE]
    down = np.array([-across[1], across[0]], np.float32)
    steps = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE - 0.5
    middle = landmarks[_NOSE] + _BELOW_NOSE * down
    places = middle + _SPAN * (steps[None, :, None] * across + steps[:, None, None] * down)
    height, width = image.shape[:2]
    x, y = np.clip(places[..., 0], 0, width - 1), np.clip(places[..., 1], 0, height - 1)
    x0, y0 = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    top = image[y0, x0] * (1 - fx) + image[y0, x0 + 1] * fx
    bottom = image[y0 + 1, x0] * (1 - fx) + image[y0 + 1, x0 + 1] * fx
    return np.asarray(np.rint(top * (1 - fy) + bottom * fy), np.uint8)


def _said(talks: Sequence[Talk]) -> tuple[Phoneme, ...]:
    return tuple(
        Phoneme(p.symbol, talk.spoken.start_ns + p.start_ns, talk.spoken.start_ns + p.end_ns)
        for talk in talks
        for p in talk.spoken.phonemes
    )
