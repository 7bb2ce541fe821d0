"""Clips of a talking face as lips and sound: ``python -m edgevid.train.viseme_net.tracks CLIPS OUT``.

Every clip below CLIPS becomes OUT/<speaker>-<clip>.npz with ``lips`` float32 [frames, 40, 2] (unsmoothed, of
``mouth_shape.lips_of``), ``seconds`` float64 [frames] since the first sample, ``samples`` float32 at 16 kHz,
and ``words`` [n] with ``word_seconds`` [n, 2] where a GRID alignment lies beside it. Clips in which a face is
missing for a tenth of the frames are left out, and named.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.mouth_shape import lips_of
from edgevid.lipsync.nouns import Floats
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception import face_detector, face_mesh
from edgevid.perception.audio_intake import RATE
from edgevid.perception.face_detector import FaceDetector
from edgevid.perception.face_mesh import FaceMesh, region_of_detection, region_of_mesh

if TYPE_CHECKING:
    from av.container import InputContainer

_ALIGN_RATE = 25_000  # ticks a second in GRID's .align files
_MOST_MISSED = 0.1
_FLOOR = 0.5


class LipReader:
    """Lips of the one face of each picture of a clip."""

    def __init__(self, store: ModelStore) -> None:
        self._detect = FaceDetector(onnx_session(store.where(face_detector.PACK)["model.onnx"]))
        self._mesh = FaceMesh(onnx_session(store.where(face_mesh.PACK)["model.onnx"]))

    def read(self, pictures: Iterator[npt.NDArray[np.uint8]]) -> list[Floats | None]:
        """[40, 2] for each uint8 RGB picture, None where no face is found."""
        region = None
        found: list[Floats | None] = []
        for image in pictures:
            if region is None and (faces := self._detect(image)):
                region = region_of_detection(faces[0])
            mesh = self._mesh(image, region) if region is not None else None
            if mesh is None or mesh.presence < _FLOOR:
                region = None
                found.append(None)
            else:
                region = region_of_mesh(mesh.points)
                found.append(lips_of(mesh.points))
        return found


def speaker_of(clip: Path) -> str:
    """GRID clips in a folder of their speaker share its name; a loose clip is a speaker of its own."""
    return clip.parent.name if clip.parent.parent.name == "grid" else clip.stem


def read_sound(clip: Path) -> tuple[Floats, float]:
    """All sound as float32 mono at 16 kHz, and its start in the container's seconds."""
    import av

    with av.open(str(clip)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames = list(container.decode(audio=0))
        blocks = [out.to_ndarray()[0] for frame in (*frames, None) for out in resampler.resample(frame)]
    return np.concatenate(blocks).astype(np.float32), float(frames[0].time or 0)


def read_words(clip: Path) -> tuple[list[str], list[tuple[float, float]]]:
    """Words of the alignment beside ``clip`` and their seconds; empty without one."""
    path = clip.with_suffix(".align")
    rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [r[2] for r in rows], [(int(r[0]) / _ALIGN_RATE, int(r[1]) / _ALIGN_RATE) for r in rows]


def read_clip(clip: Path, reader: LipReader, out: Path) -> bool:
    """Write one clip's file; False when too few faces are seen."""
    import av

    times: list[float] = []

    def pictures(container: InputContainer) -> Iterator[npt.NDArray[np.uint8]]:
        for frame in container.decode(video=0):
            times.append(float(frame.time or 0))
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)

    with av.open(str(clip)) as container:
        found = reader.read(pictures(container))
    seen = [i for i, lips in enumerate(found) if lips is not None]
    if len(seen) < (1 - _MOST_MISSED) * len(found):
        return False
    samples, start = read_sound(clip)
    words, spans = read_words(clip)
    np.savez(
        out,
        lips=np.stack([lips for lips in found if lips is not None]),
        seconds=np.array(times)[seen] - start,
        samples=samples,
        words=np.array(words, dtype="U16"),
        word_seconds=np.array(spans, np.float64).reshape(-1, 2),
    )
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    reader, known = LipReader(ModelStore()), set()
    for clip in sorted(p for p in args.clips.rglob("*") if p.suffix in (".mpg", ".mp4")):
        digest = zlib.crc32(clip.read_bytes())
        if digest in known:
            continue
        known.add(digest)
        kept = read_clip(clip, reader, args.out / f"{speaker_of(clip)}-{clip.stem}.npz")
        print(f"{clip.name}: {'read' if kept else 'left out, faces missing'}", flush=True)


if __name__ == "__main__":
    main()
