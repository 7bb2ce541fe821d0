"""The Wav2Lip adapter, with a network of the right shapes whose weights are random: it draws noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import BadModelError
from edgevid.lipsync.adapters.wav2lip import Wav2Lip, mel_filters, mel_spectrogram
from edgevid.lipsync.visemes import at
from edgevid.perception.faces import Face

from .random_wav2lip import random_wav2lip


@pytest.fixture
def network(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Wav2Lip:
    made = Wav2Lip(random_wav2lip(tmp_path / "random.onnx"))
    assert "not for commercial use" in caplog.text
    return made


def _face(box: tuple[float, float, float, float], *, yaw_deg: float = 0.0) -> Face:
    points = np.zeros((468, 2), np.float32)
    return Face(1, box, 1.0, points, yaw_deg, 0.0, points)


def _picture() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)


def _tone(hz: float, seconds: float, rate: int) -> npt.NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def test_a_curve_has_the_sound_from_each_moment_on(network: Wav2Lip) -> None:
    sound = np.concatenate([np.zeros(8000, np.float32), _tone(440, 0.5, 16_000)])
    curve = network.curve(sound, 16_000)
    assert curve.params.shape[1] == 80 * 16 and curve.step_ns == 12_500_000
    assert len(curve.params) * 0.0125 == pytest.approx(1.0, abs=0.03)
    before, within = (at(curve, ms * 1_000_000).reshape(80, 16) for ms in (100, 700))
    np.testing.assert_array_equal(before, -4.0)
    peaks_hz = mel_filters().argmax(axis=1) * 20.0
    band = int(within[:, 4].argmax())
    assert abs(peaks_hz[band] - 440) <= 40 and within.max() > 0
    assert at(curve, 10_000_000_000).shape == (80 * 16,)
    other_rate = at(network.curve(_tone(440, 0.5, 48_000), 48_000), 200_000_000).reshape(80, 16)
    assert int(other_rate[:, 4].argmax()) == band


def test_the_spectrogram_is_the_one_the_network_was_trained_on() -> None:
    filters = mel_filters()
    assert filters.shape == (80, 401)
    assert filters[:, :3].sum() == 0 and filters[:, 381:].sum() == 0  # 55 to 7600 Hz
    areas = filters.sum(axis=1) * 20.0  # Slaney: each triangle has area 1
    np.testing.assert_allclose(areas[30:], 1.0, atol=0.15)
    mel = mel_spectrogram(_tone(1000, 1.0, 16_000), filters)
    assert mel.shape == (80, 81) and mel.dtype == np.float32 and -4 <= mel.min() <= mel.max() <= 4
    assert abs(filters.argmax(axis=1)[int(mel[:, 40].argmax())] * 20.0 - 1000) <= 40
    quieter = mel_spectrogram(_tone(1000, 1.0, 16_000) * 0.1, filters)
    assert (mel - quieter).max() == pytest.approx(8 * 20 / 100, abs=0.01)  # 20 dB of 100 on a scale of 8


def test_only_the_lower_half_of_the_face_is_drawn(network: Wav2Lip) -> None:
    image = _picture()
    before = image.copy()
    face = _face((100.0, 50.0, 200.0, 150.0))
    params = at(network.curve(_tone(300, 0.5, 16_000), 16_000), 100_000_000)
    drawn, reason = network.draw(image, face, params)
    assert reason == ""
    np.testing.assert_array_equal(image, before)
    rows, columns = np.nonzero((drawn != image).any(axis=2))
    assert rows.min() >= 100 and rows.max() < 157 and columns.min() >= 100 and columns.max() < 200
    assert len(rows) > 3000
    closed, _ = network.draw(image, face, np.zeros(6, np.float32))
    assert (closed != drawn).any()  # silence is heard as such


@pytest.mark.parametrize(
    ("face", "reason"),
    [
        (_face((-5.0, 50.0, 95.0, 150.0)), "leaving the picture"),
        (_face((100.0, 140.0, 200.0, 238.0)), "leaving the picture"),
        (_face((100.0, 50.0, 120.0, 70.0)), "small face"),
        (_face((100.0, 50.0, 200.0, 150.0), yaw_deg=-60), "turned head"),
    ],
)
def test_a_face_that_cannot_be_drawn_stays(network: Wav2Lip, face: Face, reason: str) -> None:
    image = _picture()
    drawn, said = network.draw(image, face, np.zeros(6, np.float32))
    assert drawn is image and said == reason


@pytest.mark.parametrize(
    "shapes",
    [
        {"mel": ("B", 1, 80, 27)},
        {"face": ("B", 6, 128, 128), "mouth": ("B", 3, 128, 128)},
        {"face": ("B", 3, 96, 96)},
        {"mouth": ("B", 1, 96, 96)},
    ],
)
def test_networks_of_other_shapes_are_refused(tmp_path: Path, shapes: dict[str, tuple[Any, ...]]) -> None:
    path = random_wav2lip(tmp_path / "other.onnx", **shapes)
    with pytest.raises(BadModelError, match=r"other\.onnx: no Wav2Lip network.*\[B, 1, 80, 16\]") as raised:
        Wav2Lip(path)
    assert len(str(raised.value).splitlines()) == 1


def test_files_that_are_no_networks(tmp_path: Path) -> None:
    with pytest.raises(BadModelError, match="no such file"):
        Wav2Lip(tmp_path / "none.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(BadModelError, match="cannot load it"):
        Wav2Lip(tmp_path / "junk.onnx")
