"""Sound files: read any format as mono float32, write 16-bit WAV."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadInputError
from edgevid.core.limits import MediaLimits
from edgevid.media.atomic import write_whole
from edgevid.media.source import open_source

_DEFAULT_LIMITS = MediaLimits(max_duration_s=4 * 3600.0)


def read_audio(
    path: str | Path, *, sample_rate: int = 16000, limits: MediaLimits = _DEFAULT_LIMITS
) -> npt.NDArray[np.float32]:
    """The whole sound of a file (also of a video), float32 [samples] in [-1, 1], mono at ``sample_rate`` Hz.

    Sample 0 is source time 0: sound that begins later follows silence. Errors: BadInputError when there is no
    sound, LimitError past four hours unless ``limits`` says otherwise.
    """
    with open_source(path, limits=limits) as source:
        if not source.info.has_audio:
            raise BadInputError(f"{path}: has no sound", fix="name a file with an audio track")
        chunks = list(source.audio(sample_rate=sample_rate, chunk_s=60.0))
    if not chunks:
        return np.zeros(0, dtype=np.float32)
    lead = np.zeros(round(chunks[0].pts_ns * sample_rate / 1e9), dtype=np.float32)
    return np.concatenate([lead, *(chunk.samples for chunk in chunks)])


def write_wav(path: str | Path, samples: npt.NDArray[np.float32], *, sample_rate: int) -> None:
    """Write float32 [samples] in [-1, 1] as 16-bit mono WAV, atomically; values outside are clipped."""
    scaled = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
    contents = io.BytesIO()
    with wave.open(contents, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(scaled.tobytes())
    write_whole(path, contents.getvalue())
