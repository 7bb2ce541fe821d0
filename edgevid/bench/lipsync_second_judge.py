"""A second judge, which others trained: does Light-ASD hold the dubbed face for the one that speaks?

It is first asked for the offset of clips that are in sync, as the first judge is, and its error is told: it
was trained to know a speaker, not an offset.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.bench.lipsync_judged import dub, fresh_parts
from edgevid.bench.report import Row
from edgevid.core.errors import EdgevidError
from edgevid.lipsync.nouns import Floats
from edgevid.media.source import open_source
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception import face_detector
from edgevid.perception.audio_intake import RATE
from edgevid.perception.face_detector import FaceDetector
from edgevid.train.lip_judge.judge import delayed
from edgevid.train.lip_judge.light_asd import FPS, SIDE, LightAsd
from edgevid.train.lip_judge.mfcc import mfcc
from edgevid.train.viseme_net.tracks import LipReader, read_sound

WEIGHTS = "models/lightasd_finetuning_TalkSet.model"
SLIDES_MS = range(-600, 601, 40)
_CLIPS = 6
_ACROSS = 0.84  # of the longer side of the detector's box: what the network was shown of a face
_BELOW = 0.24  # of it, from the middle of the box down to that of the cut
_STEADY = 13  # boxes whose median is the place of a face
_GREY = np.array([0.299, 0.587, 0.114], np.float32)

Image = npt.NDArray[np.uint8]


class FaceCutter:
    """The largest face of each picture, grey, as Light-ASD saw them; ``faces`` keeps them in order."""

    def __init__(self, detect: FaceDetector) -> None:
        self._detect = detect
        self._boxes: deque[Floats] = deque(maxlen=_STEADY)
        self.faces: list[Image] = []

    def __call__(self, image: Image) -> None:
        """See the next picture, uint8 RGB; one before the first face is left out."""
        if found := self._detect(image):
            self._boxes.append(max(found, key=lambda face: float(face.box[2] - face.box[0])).box)
        if self._boxes:
            self.faces.append(cut(image, np.median(self._boxes, axis=0)))


def cut(image: Image, box: Floats) -> Image:
    """uint8 [112, 112] around the lower face of ``box`` (x0, y0, x1, y1): four samples to a pixel."""
    longer = float(max(box[2] - box[0], box[3] - box[1]))
    steps = longer * _ACROSS * ((np.arange(2 * SIDE) + 0.5) / (2 * SIDE) - 0.5)
    x = np.rint((box[0] + box[2]) / 2 + steps).astype(int).clip(0, image.shape[1] - 1)
    y = np.rint((box[1] + box[3]) / 2 + _BELOW * longer + steps).astype(int).clip(0, image.shape[0] - 1)
    grey = image[np.ix_(y, x)] @ _GREY
    return np.asarray(np.rint(grey.reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3))), np.uint8)


def best_slide_ms(network: LightAsd, faces: Image, samples: Floats) -> int:
    """Of ``SLIDES_MS`` the one at which the face speaks most; + = the sound is late."""
    seen = network.see(faces)
    scores = [network.score(seen, network.hear(mfcc(delayed(samples, -ms)))) for ms in SLIDES_MS]
    return SLIDES_MS[int(np.argmax(scores))]


def rows(data: Path, paths: Sequence[Path]) -> Iterator[Row]:
    """Light-ASD on ``paths`` as they are and dubbed to Spanish, its weights below ``data``."""
    name = "Light-ASD, dubs held for speaking"
    if not (data / WEIGHTS).is_file():
        yield Row(name, None, "%", None, None, f"needs {WEIGHTS} of the test data")
        return
    try:
        network = LightAsd(data / WEIGHTS)
        store = ModelStore()
        detect = FaceDetector(onnx_session(store.where(face_detector.PACK)["model.onnx"]))
        originals = [_original(path, detect) for path in paths[:_CLIPS]]
        dubs = list(_dubs(paths[:_CLIPS], detect, LipReader(store)))
    except EdgevidError as error:
        yield Row(name, None, "%", None, None, str(error))
        return
    found = [best_slide_ms(network, *clip) for clip in originals]
    yield Row(
        "offset of originals by Light-ASD",
        float(np.median(np.abs(found))),
        "ms",
        None,
        None,
        f"median distance from 0 of {len(found)} clips in sync, slides of 40 ms within +-600 ms: what it"
        f" misses here it cannot find in dubs, so no offset of dubs is taken from it; found {found}",
    )
    still = [(np.repeat(faces[:1], len(faces), axis=0), samples) for faces, samples in originals]
    for name, clips in (
        ("Light-ASD, originals held for speaking", originals),
        ("Light-ASD, dubs held for speaking", dubs),
        ("Light-ASD, still pictures held for speaking", still),
    ):
        yield _speaking(network, name, clips)


def _speaking(network: LightAsd, name: str, clips: Sequence[tuple[Image, Floats]]) -> Row:
    scores = [network.score(network.see(faces), network.hear(mfcc(samples))) for faces, samples in clips]
    share = 100 * float(np.mean([score > 0 for score in scores]))
    method = (
        f"share of {len(scores)} clips whose mean score is above 0; mean score {np.mean(scores):+.2f};"
        " whole clips, the pauses too"
    )
    return Row(name, round(share, 1), "%", None, None, method)


def _original(path: Path, detect: FaceDetector) -> tuple[Image, Floats]:
    cutter = FaceCutter(detect)
    with open_source(path) as source:
        for frame in source.frames():
            cutter(frame.image)
    return _together(cutter, read_sound(path)[0])


def _dubs(paths: Sequence[Path], detect: FaceDetector, reader: LipReader) -> Iterator[tuple[Image, Floats]]:
    with fresh_parts("es") as (parts, renew):
        for path in paths:
            renew()
            cutter = FaceCutter(detect)
            clip = dub(path, parts, reader, target="es", see=cutter)
            yield _together(cutter, clip.samples)


def _together(cutter: FaceCutter, samples: Floats) -> tuple[Image, Floats]:
    """Pictures and as much sound as goes with them."""
    pictures = min(len(cutter.faces), len(samples) * FPS // RATE)
    return np.stack(cutter.faces[:pictures]), samples[: pictures * RATE // FPS]
