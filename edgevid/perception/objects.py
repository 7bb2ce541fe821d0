"""Objects with counts and boxes: CenterNet-MobileNetV3 over the 80 COCO classes (pack centernet-coco).

CenterNet (Zhou et al., arXiv 1904.07850) marks each object by a peak of its class's heat map; at the peak
four distances give the box.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import Box, Frame, Kind, Observation, TimeSpan
from edgevid.models.session import Session, onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception.scaling import resize

PACK = "centernet-coco"
COCO_LABELS: tuple[str, ...] = tuple(
    (
        "person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign"
        "|parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella"
        "|handbag|tie|suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard"
        "|surfboard|tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange"
        "|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|potted plant|bed|dining table|toilet|tv|laptop"
        "|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase|scissors"
        "|teddy bear|hair drier|toothbrush"
    ).split("|")
)
_SIDE = 512
_GREY = 127
_STRIDE = 4  # pixels of the network's input per cell of the heat map
_CANDIDATES = 100
_PERSON = COCO_LABELS.index("person")


@dataclass(frozen=True, slots=True)
class Detection:
    """One object: index into ``COCO_LABELS``, score and box."""

    label: int
    score: float
    box: Box


class ObjectDetector:
    """Finds objects in single pictures.

    They keep their shape and are padded to a square: standing people in wide pictures then score 0.7 to 0.8;
    squashed to a square, 0.2 to 0.7.
    """

    def __init__(self, session: Session, *, floor: float = 0.2) -> None:
        self._session = session
        self._floor = floor

    def __call__(self, image: npt.NDArray[np.uint8]) -> list[Detection]:
        """Detections above the floor in uint8 RGB [h, w, 3], best first; boxes in fractions of the
        picture."""
        square, frame = letterbox(image, _SIDE)
        heat, sides = self._session.run({"images": square.astype(np.float32)[None]}, ["keypoints", "wh"])
        found = decode_peaks(heat[0], sides[0], floor=self._floor)
        return [replace(d, box=box) for d in found if (box := _within(d.box, frame)) is not None]


def letterbox(image: npt.NDArray[np.uint8], side: int) -> tuple[npt.NDArray[np.uint8], Box]:
    """uint8 RGB [h, w, 3] centred on a grey square [side, side, 3], and the part of the square it covers."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (side - rows) // 2, (side - columns) // 2
    square = np.full((side, side, 3), _GREY, np.uint8)
    square[top : top + rows, left : left + columns] = resize(image, rows, columns)
    return square, Box(left / side, top / side, (left + columns) / side, (top + rows) / side)


def _within(box: Box, frame: Box) -> Box | None:
    """``box`` in fractions of ``frame``, cut at its borders; None when they do not meet."""
    width, height = frame.x1 - frame.x0, frame.y1 - frame.y0
    x0, x1 = (min(1.0, max(0.0, (x - frame.x0) / width)) for x in (box.x0, box.x1))
    y0, y1 = (min(1.0, max(0.0, (y - frame.y0) / height)) for y in (box.y0, box.y1))
    return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def decode_peaks(
    heat: npt.NDArray[np.float32], sides: npt.NDArray[np.float32], *, floor: float
) -> list[Detection]:
    """Peaks of ``heat`` [h, w, classes] with the distances ``sides`` [h, w, 4] (left, top, right, bottom, in
    input pixels) to boxes, best first. A cell is a peak of a class when no cell within one step is higher; of
    overlapping boxes only the best keeps its place, whatever its class; what is not a finite number is none.
    """
    rows, columns, _ = heat.shape
    usable = np.isfinite(heat).all(axis=2) & np.isfinite(sides).all(axis=2)
    best = np.where(usable, heat.max(axis=2), 0.0)
    padded = np.pad(best, 1, constant_values=-1.0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    peaks = np.argwhere((best >= floor) & (best >= windows.max(axis=(2, 3))))
    order = np.argsort(-best[peaks[:, 0], peaks[:, 1]])[:_CANDIDATES]
    found: list[Detection] = []
    for y, x in peaks[order]:
        left, top, right, bottom = sides[y, x] / _STRIDE
        box = Box(
            x0=float(np.clip((x - left) / columns, 0, 1)),
            y0=float(np.clip((y - top) / rows, 0, 1)),
            x1=float(np.clip((x + right) / columns, 0, 1)),
            y1=float(np.clip((y + bottom) / rows, 0, 1)),
        )
        if box.x1 <= box.x0 or box.y1 <= box.y0 or any(overlap(box, other.box) > 0.5 for other in found):
            continue
        found.append(Detection(int(heat[y, x].argmax()), float(best[y, x]), box))
    return found


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - shared)


class ObjectsChannel:
    """Objects of each sampled frame, counted per label.

    A detection counts from score ``sure`` on, a person from ``sure_person``: on real clips people at 0.33 are
    people, other things at 0.33 are half wrong. A weaker one counts where the same label stood in the look
    before, counted (hysteresis: counts do not flicker) or twice as weak (what is wrong in one look seldom is
    in the next: chairs stay at 0.3, a train that is a tram's window does not).
    """

    kind: Kind = "object"
    model_id = PACK

    def __init__(
        self,
        detector: ObjectDetector,
        *,
        sure: float = 0.4,
        sure_person: float = 0.33,
        likely: float = 0.28,
        twice: float = 0.3,
    ) -> None:
        self._detector = detector
        self._sure = sure
        self._sure_person = sure_person
        self._likely = likely
        self._twice = twice
        self._before: list[Detection] = []
        self._weak_before: list[Detection] = []

    def reset(self) -> None:
        """See ``VisualChannel``."""
        self._before, self._weak_before = [], []

    def observe(self, frame: Frame, *, period_ns: int) -> list[Observation]:
        """One observation per label, with the boxes of all its instances; of labels that do not count here,
        the best instance as a ``faint`` observation."""
        found_now = self._detector(frame.image)
        kept = [d for d in found_now if self._is_sure(d) or self._stood(d)]
        self._before = kept
        self._weak_before = [d for d in found_now if d.score >= self._twice]
        by_label: dict[int, list[Detection]] = defaultdict(list)
        for detection in kept:
            by_label[detection.label].append(detection)
        span = TimeSpan(frame.pts_ns, frame.pts_ns + period_ns)
        faint = {d.label: [d] for d in reversed(found_now) if d.label not in by_label}
        seen: dict[Kind, dict[int, list[Detection]]] = {"object": by_label, "faint": faint}
        return [
            Observation(
                kind=kind,
                label=COCO_LABELS[label],
                span=span,
                score=max(d.score for d in found),
                count=len(found),
                boxes=tuple(d.box for d in found),
                model_id=PACK,
                wall_ns=frame.wall_ns,
            )
            for kind, of_kind in seen.items()
            for label, found in of_kind.items()
        ]

    def _is_sure(self, detection: Detection) -> bool:
        return detection.score >= (self._sure_person if detection.label == _PERSON else self._sure)

    def _stood(self, detection: Detection) -> bool:
        if detection.score >= self._likely and _same_place(detection, self._before, 0.3):
            return True
        return detection.score >= self._twice and _same_place(detection, self._weak_before, 0.5)


def _same_place(detection: Detection, others: list[Detection], least: float) -> bool:
    return any(o.label == detection.label and overlap(o.box, detection.box) > least for o in others)


def objects_channel(store: ModelStore, *, threads: int = 1) -> ObjectsChannel:
    """The channel on the installed pack; MissingPartError when it is not."""
    model = store.where(PACK)["model.onnx"]
    return ObjectsChannel(ObjectDetector(onnx_session(model, threads=threads, name=PACK)))
