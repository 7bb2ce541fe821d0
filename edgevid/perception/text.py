"""Text on screen: PP-OCRv4 detection and recognition (pack ppocr) with numpy around two ONNX networks.

Detection gives a map of text probability (DB, Liao et al., arXiv 1911.08947): its connected regions, grown
back by DB's unclip distance, are lines. Recognition reads each line (CTC, Graves et al. 2006). Lines are
upright boxes: text turned by more than a few degrees is read badly or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import Box, Frame, Kind, Observation, TimeSpan
from edgevid.models.session import Session, onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception.components import component_boxes
from edgevid.perception.scaling import resize

PACK = "ppocr"
Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_SIDE = 736  # longer side of the picture that detection sees
_POOL = 2  # regions are found on the probability map at half resolution
_TEXT = 0.3  # probability that makes a pixel text
_REGION = 0.5  # mean probability that makes a region a line
_UNCLIP = 1.6  # DB shrinks regions in training; this grows them back
_ENDS = 2.0  # so much more at both ends, where a faint letter may stand
_GAP = 0.5  # words at most this share of their height apart are one line
_LINE_HEIGHT = 48
_WIDEST = 1280  # pixels of a line that recognition sees
_MOST_LINES = 24
_DOUBTFUL = (0.5, 0.85)  # scores of readings that are tried again
_MOST_DOUBTS = 6  # lines of a picture, a few ms per trial each
_TRIALS = ((-0.03, -0.08), (0.03, 0.1), (0.0, -0.15), (0.0, 0.2), (0.06, 0.0))  # growth of width and height


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text: what it says, how sure, where."""

    text: str
    score: float
    box: Box


class TextReader:
    """Finds and reads lines in single pictures."""

    def __init__(self, detect: Session, recognise: Session, characters: Sequence[str]) -> None:
        self._detect = detect
        self._recognise = recognise
        self._characters = ["", *characters, " "]  # CTC: blank first, and the space the table leaves out

    def __call__(self, image: Picture) -> list[Line]:
        """Lines of uint8 RGB [h, w, 3], from top to bottom.

        A doubtful line is read again from slightly other cuts; what most of the readings agree on is taken.
        """
        lines = [line for box in self._find(image) if (line := self._read(image, box)) is not None]
        doubtful = [i for i, line in enumerate(lines) if _DOUBTFUL[0] <= line.score < _DOUBTFUL[1]]
        for i in doubtful[:_MOST_DOUBTS]:
            cuts = [_grown(lines[i].box, *growth) for growth in _TRIALS]
            again = [line for cut in cuts if (line := self._read(image, cut)) is not None]
            lines[i] = replace(agreed([lines[i], *again]), box=lines[i].box)
        return lines

    def _find(self, image: Picture) -> list[Box]:
        height, width = image.shape[:2]
        scale = _SIDE / max(height, width)
        rows, columns = (max(32, round(side * scale / 32) * 32) for side in (height, width))
        (output,) = self._detect.run({"x": _planes(resize(image, rows, columns))})
        return list(text_boxes(np.asarray(output[0, 0], np.float32)))

    def _read(self, image: Picture, box: Box) -> Line | None:
        height, width = image.shape[:2]
        x0, x1 = int(box.x0 * width), max(int(np.ceil(box.x1 * width)), int(box.x0 * width) + 1)
        y0, y1 = int(box.y0 * height), max(int(np.ceil(box.y1 * height)), int(box.y0 * height) + 1)
        columns = min(_WIDEST, max(16, round((x1 - x0) * _LINE_HEIGHT / (y1 - y0))))
        crop = resize(image[y0:y1, x0:x1], _LINE_HEIGHT, columns)
        (output,) = self._recognise.run({"x": _planes(crop)})
        text, score = self._decode(np.asarray(output[0], np.float32))
        return Line(text, score, box) if text else None

    def _decode(self, steps: Floats) -> tuple[str, float]:
        """Best path of ``steps`` [t, characters]: repeats folded, blanks dropped; mean probability kept."""
        best = steps.argmax(axis=1)
        kept = [t for t in range(len(best)) if best[t] and (t == 0 or best[t] != best[t - 1])]
        text = "".join(self._characters[best[t]] for t in kept).strip()
        return text, float(np.mean([steps[t, best[t]] for t in kept])) if kept else 0.0


def agreed(readings: Sequence[Line]) -> Line:
    """Of several readings of one line the text with the largest sum of scores, whatever its case; its best
    spelling with the mean of their scores."""
    by_text: dict[str, list[Line]] = {}
    for reading in readings:
        by_text.setdefault(reading.text.casefold(), []).append(reading)
    same = max(by_text.values(), key=lambda lines: sum(line.score for line in lines))
    return replace(max(same, key=lambda line: line.score), score=sum(line.score for line in same) / len(same))


def _grown(box: Box, x: float, y: float) -> Box:
    """``box`` with these shares of its width and height more on each side."""
    dx, dy = x * (box.x1 - box.x0), y * (box.y1 - box.y0)
    return Box(max(0.0, box.x0 - dx), max(0.0, box.y0 - dy), min(1.0, box.x1 + dx), min(1.0, box.y1 + dy))


def text_boxes(probability: Floats) -> Iterator[Box]:
    """Line boxes in a map of text probability [h, w], as fractions, from top to bottom."""
    height, width = (side // _POOL for side in probability.shape)
    whole = probability[: height * _POOL, : width * _POOL]
    pooled = whole.reshape(height, _POOL, width, _POOL).max(axis=(1, 3))
    mask = pooled > _TEXT
    found = []
    for x0, y0, x1, y1 in component_boxes(mask):
        inside = mask[y0:y1, x0:x1]
        score = float(pooled[y0:y1, x0:x1][inside].mean())
        if score < _REGION or (y1 - y0) < 2 or (x1 - x0) < 3:
            continue
        grow = (x1 - x0) * (y1 - y0) * _UNCLIP / (2 * (x1 - x0 + y1 - y0))
        box = Box(
            x0=max(0.0, (x0 - _ENDS * grow) / width),
            y0=max(0.0, (y0 - grow) / height),
            x1=min(1.0, (x1 + _ENDS * grow) / width),
            y1=min(1.0, (y1 + grow) / height),
        )
        found.append((score * (x1 - x0) * (y1 - y0), box))
    largest = sorted(found, key=lambda item: -item[0])[:_MOST_LINES]
    yield from join_words([box for _, box in largest], aspect=height / width)


def join_words(boxes: Sequence[Box], *, aspect: float) -> list[Box]:
    """Boxes that stand side by side at one height joined to lines, from top to bottom. ``aspect`` is the
    picture's height over its width: boxes are in fractions of either."""
    lines: list[Box] = []
    for box in sorted(boxes, key=lambda box: box.x0):
        for i, line in enumerate(lines):
            if _continues(line, box, aspect):
                lines[i] = Box(line.x0, min(line.y0, box.y0), max(line.x1, box.x1), max(line.y1, box.y1))
                break
        else:
            lines.append(box)
    return sorted(lines, key=lambda box: (box.y0, box.x0))


def _continues(line: Box, word: Box, aspect: float) -> bool:
    low, high = sorted((line.y1 - line.y0, word.y1 - word.y0))
    shared = min(line.y1, word.y1) - max(line.y0, word.y0)
    return shared > 0.6 * high and word.x0 - line.x1 < _GAP * low * aspect


class TextChannel:
    """Reads each sampled frame; a frame that looks like the one before is not read again.

    Kept are lines with a mean character probability from ``sure`` on and at least two letters or digits;
    from ``likely`` on, lines of four or more are ``faint`` observations, and so are single sure digits.
    """

    kind: Kind = "text"
    model_id = PACK

    def __init__(self, reader: TextReader, *, sure: float = 0.85, likely: float = 0.6) -> None:
        self._reader = reader
        self._sure, self._likely = sure, likely
        self._look: npt.NDArray[np.int16] | None = None
        self._lines: list[Line] = []

    def reset(self) -> None:
        """See ``VisualChannel``."""
        self._look, self._lines = None, []

    def observe(self, frame: Frame, *, period_ns: int) -> list[Observation]:
        """One observation per line of text."""
        look = resize(frame.image, 72, 128).astype(np.int16)
        if self._look is None or _changed(self._look, look):
            self._look = look
            self._lines = [line for line in self._reader(frame.image) if self._kind(line) is not None]
        span = TimeSpan(frame.pts_ns, frame.pts_ns + period_ns)
        blank = Observation("text", "", span, 0.0, model_id=PACK, wall_ns=frame.wall_ns)
        return [
            replace(blank, kind=kind, label=line.text, score=line.score, boxes=(line.box,))
            for line in self._lines
            if (kind := self._kind(line)) is not None
        ]

    def _kind(self, line: Line) -> Kind | None:
        letters = sum(c.isalnum() for c in line.text)
        if line.score >= self._sure:
            return "text" if letters >= 2 else "faint" if line.text.isdecimal() else None
        return "faint" if line.score >= self._likely and letters >= 4 else None


def _changed(old: npt.NDArray[np.int16], new: npt.NDArray[np.int16]) -> bool:
    """Whether any patch of 8 x 8 pixels changed enough for a letter to have come or gone."""
    difference = np.abs(old - new).max(axis=2)
    patches = difference.reshape(9, 8, 16, 8).mean(axis=(1, 3))
    return bool(patches.max() > 6)


def _planes(image: Picture) -> Floats:
    """RGB [h, w, 3] to BGR planes [1, 3, h, w] in [-1, 1], as PP-OCR was trained."""
    scaled = image[:, :, ::-1].astype(np.float32) / 127.5 - 1
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def text_channel(store: ModelStore, *, threads: int = 1) -> TextChannel:
    """The channel on the installed pack; MissingPartError when it is not."""
    files = store.where(PACK)
    detect = onnx_session(files["detect.onnx"], threads=threads, name=f"{PACK} detection")
    recognise = onnx_session(files["recognise.onnx"], threads=threads, name=f"{PACK} recognition")
    characters = recognise.info.metadata["character"].splitlines()
    return TextChannel(TextReader(detect, recognise, characters))
