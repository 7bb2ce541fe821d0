"""A clip made here: two scenes, a tone, known cut; and ways to run the command line as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import MissingPartError
from edgevid.lipsync.apertium import ApertiumTranslator
from edgevid.lipsync.espeak import EspeakVoice
from edgevid.media.encode import VideoWriter
from edgevid.models.store import ModelStore

from .talks import TEXT, film, frame_times, spoken

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s at 12 frames/s, 320x240: noise-free gradients, another scene from 2 s on; a 440 Hz tone."""
    path = tmp_path_factory.mktemp("clip") / "two scenes.mp4"
    y, x = np.mgrid[0:240, 0:320]
    scenes = [
        np.stack([x % 256, y, 255 - y], axis=2).astype(np.uint8),
        np.stack([255 - (x // 40 % 2) * 255, (y // 30 % 2) * 255, x % 128], axis=2).astype(np.uint8),
    ]
    tone = (0.2 * np.sin(2 * np.pi * 440 * np.arange(4 * 16_000) / 16_000)).astype(np.float32)
    with VideoWriter(path, width=320, height=240, fps=12, sample_rate=16_000) as writer:
        for index in range(48):
            writer.write(np.roll(scenes[index // 24], index % 24, axis=1))
        writer.write_audio(tone)
    return path


@pytest.fixture(scope="session")
def speech_parts(store: ModelStore) -> None:
    """All parts of a dub are on this machine; else the test is skipped, saying what to install."""
    for pack in ("moonshine-tiny-en", "silero-vad"):
        store.where(pack)
    try:
        EspeakVoice().close()
        ApertiumTranslator(pairs=[("en", "es")]).close()
    except MissingPartError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def english(speech_parts: None) -> tuple[np.ndarray[Any, Any], int]:
    """Clear English: samples and rate."""
    return spoken(TEXT)


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory, english: tuple[np.ndarray[Any, Any], int]) -> Path:
    """English over a soft hum, and a second of hum alone before and after."""
    samples, rate = english
    hum = (0.01 * np.sin(2 * np.pi * 180 * np.arange(len(samples) + 2 * rate) / rate)).astype(np.float32)
    hum[rate : rate + len(samples)] += 0.5 * samples
    path = tmp_path_factory.mktemp("talk") / "a talk.mp4"
    return film(path, hum, rate, frame_times(len(hum) / rate, 12))


@pytest.fixture
def edgevid() -> Run:
    """Run ``edgevid ARGS`` in a process of its own; returns exit code, stdout and stderr."""

    def run(*args: str | Path, timeout_s: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgevid", *map(str, args)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False, env={**os.environ, **env}
        )

    return run


def json_lines(text: str) -> list[dict[str, Any]]:
    """Every line of ``text`` as a JSON object; fails when one is not."""
    return [json.loads(line) for line in text.splitlines()]
