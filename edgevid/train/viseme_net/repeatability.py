"""How well the mesh agrees with itself: ``python -m edgevid.train.viseme_net.repeatability CLIP...``.

Every clip is read as it is, shifted by a pixel, in noise and mirrored; the correlation over time of opening,
width and protrusion with the plain reading bounds what any network can reach against that reading: of the
signal's power, r is what both readings share, so the best there is to hope for is its root.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.mouth_shape import OUTER, fit_speaker, measure
from edgevid.lipsync.nouns import Floats
from edgevid.models.store import ModelStore
from edgevid.train.viseme_net.evaluate import correlation
from edgevid.train.viseme_net.tracks import LipReader

_NOISE = 4.0  # levels

Picture = npt.NDArray[np.uint8]
_SIDE = len(OUTER)
_MIRRORED = [ring + (_SIDE // 2 - i) % _SIDE for ring in (0, _SIDE) for i in range(_SIDE)]


def mirrored(lips: Floats) -> Floats:
    """``lips`` [..., 40, 2] of a mirrored picture as those of the picture."""
    return np.asarray(lips[..., _MIRRORED, :] * np.array([-1, 1], np.float32))


def readings(pictures: Sequence[Picture], reader: LipReader) -> dict[str, Floats]:
    """Lips [frames, 40, 2] by name; the first is plain. Readings that lose the face are left out."""
    rng = np.random.default_rng(0)

    def noisy(image: Picture) -> Picture:
        return np.asarray(np.clip(image + rng.normal(0, _NOISE, image.shape), 0, 255), np.uint8)

    changes: dict[str, Callable[[Picture], Picture]] = {
        "plain": lambda image: image,
        "shifted": lambda image: np.roll(image, (1, 1), (0, 1)),
        "noisy": noisy,
        "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    }
    out = {}
    for name, change in changes.items():
        found = [lips for lips in reader.read(change(image) for image in pictures) if lips is not None]
        if len(found) == len(pictures):
            out[name] = mirrored(np.stack(found)) if name == "mirrored" else np.stack(found)
    return out


def agreement(lips: dict[str, Floats]) -> dict[str, list[float]]:
    """r of opening, width and protrusion with those of the plain reading, of the other readings."""
    measures = {name: measure(found, fit_speaker(found)) for name, found in lips.items()}
    plain = measures.pop("plain")
    return {n: [correlation(m[:, k], plain[:, k]) for k in range(m.shape[1])] for n, m in measures.items()}


def main() -> None:
    import av

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    args = parser.parse_args()
    reader = LipReader(ModelStore())
    for clip in args.clips:
        with av.open(str(clip)) as container:
            frames = container.decode(video=0)
            pictures = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
        lips = readings(pictures, reader)
        if "plain" not in lips:
            print(f"{clip.name}: left out, faces missing")
            continue
        for name, figures in agreement(lips).items():
            print(clip.name, name, *(f"{r:.2f}" for r in figures), flush=True)


if __name__ == "__main__":
    main()
