"""A dub's file keeps its sound and its pictures at the times they were written for, to the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.lipsync.dub_writer import DubWriter
from edgevid.media.source import open_source

_RATE, _FPS, _FLASH = 48_000, 25, 12


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_what_encoders_put_in_front_is_not_heard(tmp_path: Path, suffix: str) -> None:
    burst = 0.3 * np.random.default_rng(0).standard_normal(_RATE // 10)
    sound = np.zeros(2 * _RATE, np.float32)
    start = _FLASH * _RATE // _FPS
    sound[start : start + len(burst)] = np.convolve(burst, np.full(8, 1 / 8), "same")
    path = tmp_path / f"dub{suffix}"
    with DubWriter(
        path,
        width=64,
        height=64,
        fps=_FPS,
        sample_rate=_RATE,
        language="es",
        original_language="en",
        original=False,
        subtitles=False,
        lips=True,
    ) as writer:
        for i in range(2 * _FPS):
            picture = np.full((64, 64, 3), 255 if i == _FLASH else 0, np.uint8)
            writer.write(picture, pts_ns=i * 40_000_000)
        for chunk in np.split(sound, 20):
            writer.write_audio(chunk)
    with open_source(path) as source:
        chunks = list(source.audio(sample_rate=_RATE))
        flashes = [frame.pts_ns for frame in source.frames() if frame.image.mean() > 100]
    heard = np.concatenate([chunk.samples for chunk in chunks])
    size = 1 << 18
    agreement = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sound, size)))
    late = int(np.argmax(np.abs(agreement)))
    late -= size if late > size // 2 else 0
    assert late + chunks[0].pts_ns * _RATE // 1_000_000_000 == pytest.approx(0, abs=_RATE // 1000)
    assert flashes == [pytest.approx(_FLASH * 40_000_000, abs=1_000_000)]
