"""Films with speech for the tests of ``edgevid dub``, and ways to look at what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgevid.lipsync.espeak import EspeakVoice
from edgevid.media.encode import VideoWriter
from edgevid.media.source import open_source

TEXT = "Good morning to all of you. I would like to show you my house. It has a red door."


def spoken(text: str, *, variant: str | None = None) -> tuple[np.ndarray[Any, Any], int]:
    """Clear English: samples and rate."""
    voice = EspeakVoice() if variant is None else EspeakVoice(variant=variant)
    try:
        said = voice.speak(text, language="en-us", rate=0.9)
    finally:
        voice.close()
    return said.samples, said.rate


def film(path: Path, sound: np.ndarray[Any, Any], rate: int, times_ns: list[int], *, fps: float = 12) -> Path:
    """Moving gradients of 128x96 at the given times, and a sound."""
    y, x = np.mgrid[0:96, 0:128]
    picture = np.stack([x, y, x + y], axis=2).astype(np.uint8)
    with VideoWriter(path, width=128, height=96, fps=fps, sample_rate=rate) as writer:
        for index, time_ns in enumerate(times_ns):
            writer.write(np.roll(picture, index, axis=1), pts_ns=time_ns)
        writer.write_audio(sound)
    return path


def frame_times(seconds: float, fps: float) -> list[int]:
    """Of the pictures of a film this long, in nanoseconds."""
    return [round(n * 1e9 / fps) for n in range(int(seconds * fps))]


def sound_of(path: Path) -> np.ndarray[Any, Any]:
    """All of the first track of sound at 16 kHz."""
    with open_source(path) as source:
        return np.concatenate([c.samples for c in source.audio(sample_rate=16_000)])


def pictures_of(path: Path) -> list[int]:
    """The times of all pictures, which are decoded."""
    with open_source(path) as source:
        return [frame.pts_ns for frame in source.frames()]
