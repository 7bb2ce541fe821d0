from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.app.sample import compose, sample_video
from edgevid.core.errors import MissingPartError
from edgevid.media.encode import VideoWriter
from edgevid.media.source import open_source
from edgevid.media.wav import read_audio, write_wav
from edgevid.models.store import ModelStore


def clip(path: Path, *, width: int, height: int, colour: int, seconds: int, hz: float) -> Path:
    with VideoWriter(path, width=width, height=height, fps=25, sample_rate=48_000) as writer:
        for _ in range(25 * seconds):
            writer.write(np.full((height, width, 3), colour, np.uint8))
        writer.write_audio(tone(hz, seconds))
    return path


def tone(hz: float, seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(48_000 * seconds)) / 48_000)).astype(np.float32)


def pitch(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * 16_000 / samples.size)


def test_scenes_and_sounds_follow_each_other(tmp_path: Path) -> None:
    first = clip(tmp_path / "first.mp4", width=320, height=136, colour=200, seconds=2, hz=300)
    second = clip(tmp_path / "second.mp4", width=1280, height=720, colour=90, seconds=1, hz=2_000)
    write_wav(tmp_path / "speech.wav", tone(700, 1.5), sample_rate=48_000)
    made = tmp_path / "made.mp4"
    compose(made, first=first, second=second, speech=tmp_path / "speech.wav")

    with open_source(made) as source:
        frames = list(source.frames())
    assert len(frames) == 75
    assert {f.image.shape for f in frames} == {(360, 640, 3)}
    middle = [int(f.image[180, 320].mean()) for f in frames]
    assert all(abs(m - 200) < 12 for m in middle[:49]) and all(abs(m - 90) < 12 for m in middle[51:])
    assert frames[0].image[:100].max() < 40  # letterboxed

    sound = read_audio(made)
    assert sound.size == pytest.approx(3 * 16_000, abs=2_000)
    assert pitch(sound[4_000:20_000]) == pytest.approx(700, abs=5)  # the reading, not the clip's own sound
    assert np.abs(sound[26_500:30_500]).max() < 0.05
    assert pitch(sound[34_000:46_000]) == pytest.approx(2_000, abs=5)


def test_without_the_pack_the_fix_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError) as caught:
        sample_video(ModelStore(tmp_path / "models"))
    assert caught.value.fix == "edgevid models pull sample-video"


@pytest.mark.packs
def test_the_sample_is_made_once_and_says_what_it_is(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(store.root, target_is_directory=True)
    own = ModelStore(tmp_path / "models")
    own.where("sample-video")
    path = sample_video(own)
    made = path.stat().st_mtime_ns
    assert path.is_relative_to(tmp_path) and sample_video(own) == path and path.stat().st_mtime_ns == made
    with open_source(path) as source:
        assert source.info.has_audio and source.info.has_video
        assert source.info.duration_s == pytest.approx(15.3, abs=0.3)
    import av

    with av.open(str(path)) as container:
        assert "composed" in container.metadata["title"]
