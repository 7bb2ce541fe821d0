"""Classes of the whole frame: EfficientNet-Lite0 over ImageNet-1000 (pack efficientnet-lite0, embedded)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import Frame, Kind, Observation, TimeSpan
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception.scaling import resize

PACK = "efficientnet-lite0"
Floats = npt.NDArray[np.float32]

_SIDE = 224
_GRID = 3
_CLOSELY = 4  # every so many-th look without a sure class goes into parts of the picture


class Classifier:
    """Posteriors over the 1000 classes for a picture and its crops.

    Args:
        store: where the pack is.
        threads: how many threads a run may use.
    """

    def __init__(self, store: ModelStore, *, threads: int = 1) -> None:
        self._session = onnx_session(store.where(PACK)["model.onnx"], threads=threads, name=PACK)
        self.names: Sequence[str] = class_names(store)

    def posterior(self, image: npt.NDArray[np.uint8]) -> Floats:
        """float32 [1000] of uint8 RGB [h, w, 3]: mean over the squashed picture and its central square."""
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        whole, centre = self._run([image, image[top : top + side, left : left + side]])
        return np.asarray((whole + centre) / 2, np.float32)

    def look_closely(self, image: npt.NDArray[np.uint8]) -> Floats:
        """float32 [1000]: mean over the mirrored picture and six overlapping squares of three quarters of
        its shorter side. What is small or off the centre fills more of one of them."""
        height, width = image.shape[:2]
        side = max(1, min(height, width) * 3 // 4)
        tops, lefts = (0, height - side), (0, (width - side) // 2, width - side)
        squares = [image[top : top + side, left : left + side] for top in tops for left in lefts]
        return np.asarray(self._run([image[:, ::-1], *squares]).mean(axis=0), np.float32)

    def posteriors(self, image: npt.NDArray[np.uint8]) -> Floats:
        """float32 [10, 1000]: the whole picture, then its 3 x 3 crops row by row."""
        height, width = image.shape[:2]
        rows = np.linspace(0, height, _GRID + 1).astype(int)
        columns = np.linspace(0, width, _GRID + 1).astype(int)
        crops = [
            image[rows[r] : max(rows[r + 1], rows[r] + 1), columns[c] : max(columns[c + 1], columns[c] + 1)]
            for r in range(_GRID)
            for c in range(_GRID)
        ]
        return self._run([image, *(crop if crop.size else image for crop in crops)])

    def _run(self, images: Sequence[npt.NDArray[np.uint8]]) -> Floats:
        batch = np.stack([resize(image, _SIDE, _SIDE) for image in images])
        (posterior,) = self._session.run({"images": batch})
        return np.asarray(posterior, np.float32)


class ClassesChannel:
    """The likeliest classes of each sampled frame, smoothed over time.

    A running mean of posteriors (weight 1/2 for the newest) has to reach ``sure``, so that one odd frame says
    little; the newest has to reach half of it, so that a class ends with the scene that showed it. The
    likeliest of the others, from ``likely`` on, are ``faint`` observations: several classes of one kind that
    share its probability say together what none of them says alone. Where none is sure they are looked for in
    parts of the picture too.
    """

    kind: Kind = "class"
    model_id = PACK

    def __init__(
        self,
        classifier: Classifier,
        *,
        sure: float = 0.4,
        most: int = 2,
        likely: float = 0.08,
        most_likely: int = 5,
    ) -> None:
        self._classifier = classifier
        self._sure, self._most = sure, most
        self._likely, self._most_likely = likely, most_likely
        self._mean: Floats | None = None
        self._unsure = 0  # looks without a sure class

    def reset(self) -> None:
        """See ``VisualChannel``."""
        self._mean, self._unsure = None, 0

    def observe(self, frame: Frame, *, period_ns: int) -> list[Observation]:
        """At most ``most`` classes, and ``most_likely`` faint ones."""
        posterior = self._classifier.posterior(frame.image)
        mean: Floats = posterior if self._mean is None else ((self._mean + posterior) / 2).astype(np.float32)
        self._mean = mean
        span = TimeSpan(frame.pts_ns, frame.pts_ns + period_ns)
        blank = Observation("class", "", span, 0.0, model_id=PACK, wall_ns=frame.wall_ns)
        best = [int(index) for index in np.argsort(-mean)[: self._most]]
        sure = [i for i in best if mean[i] >= self._sure and posterior[i] >= self._sure / 2]
        now = np.where(posterior >= self._likely / 2, mean, 0.0)
        if not sure and self._unsure % _CLOSELY == 0:
            now = np.maximum(now, self._classifier.look_closely(frame.image))
        self._unsure = 0 if sure else self._unsure + 1
        likely = [i for i in np.argsort(-now).tolist() if i not in sure and now[i] >= self._likely]
        found: list[tuple[Kind, int, Floats]] = [("class", i, mean) for i in sure]
        found += [("faint", i, now) for i in likely[: self._most_likely]]
        return [
            replace(blank, kind=kind, label=self._classifier.names[i], score=float(scores[i]))
            for kind, i, scores in found
        ]


def class_names(store: ModelStore) -> tuple[str, ...]:
    """WordNet lemmas of the 1000 classes in index order, synonyms joined by ", "."""
    return _read_names(store.where(PACK)["labels.tsv"])


def classes_channel(store: ModelStore, *, threads: int = 1) -> ClassesChannel:
    """The channel on the embedded pack."""
    return ClassesChannel(Classifier(store, threads=threads))


@lru_cache(maxsize=4)
def _read_names(path: Path) -> tuple[str, ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line.split("\t", 1)[1] for line in lines)
