from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception.yamnet import PATCH, Yamnet, log_mel, read_class_names

Samples = npt.NDArray[np.float32]


def tone(hz: float, samples: int = PATCH) -> Samples:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(samples) / 16_000)).astype(np.float32)


@pytest.fixture(scope="module")
def yamnet(store: ModelStore) -> Yamnet:
    return Yamnet(onnx_session(store.where("yamnet")["model.onnx"]))


@pytest.fixture(scope="module")
def names(store: ModelStore) -> tuple[str, ...]:
    return read_class_names(store.where("yamnet")["classes.csv"])


def test_silence_is_the_floor() -> None:
    np.testing.assert_allclose(log_mel(np.zeros(PATCH, np.float32)), np.log(0.001), rtol=1e-6)


def test_one_patch_has_96_frames_of_64_bands() -> None:
    assert log_mel(tone(1000)).shape == (96, 64)
    assert log_mel(tone(1000, 400)).shape == (1, 64)
    assert log_mel(tone(1000, 559)).shape == (1, 64)


@pytest.mark.parametrize("hz", [200.0, 1000.0, 4000.0, 7000.0])
def test_a_tone_peaks_in_its_band(hz: float) -> None:
    edges = np.linspace(*(1127 * np.log1p(np.array([125.0, 7500.0]) / 700)), 66)
    centres = 700 * np.expm1(edges[1:-1] / 1127)
    band = int(log_mel(tone(hz)).mean(axis=0).argmax())
    assert abs(band - int(np.abs(centres - hz).argmin())) <= 1


def test_agrees_with_the_definition_written_out() -> None:
    """Every band of one frame, summed bin by bin in double precision."""
    samples = np.random.default_rng(3).normal(0, 0.1, 400)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    padded = np.concatenate([samples * window, np.zeros(112)])
    times = np.arange(512)
    magnitude = [abs(np.sum(padded * np.exp(-2j * np.pi * k * times / 512))) for k in range(257)]
    mel = [1127 * np.log(1 + k * 16_000 / 512 / 700) for k in range(257)]
    low, high = (1127 * np.log(1 + hz / 700) for hz in (125, 7500))
    step = (high - low) / 65
    for band in range(64):
        left, right = low + step * band, low + step * (band + 2)
        total = 0.0
        for k in range(1, 257):
            total += magnitude[k] * max(0.0, min((mel[k] - left) / step, (right - mel[k]) / step))
        assert log_mel(samples.astype(np.float32))[0, band] == pytest.approx(np.log(total + 0.001), abs=1e-4)


@pytest.mark.parametrize("text", ["", "index,mid,display_name\n", "a,b\n1,2\n", "\0"])
def test_broken_class_lists_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(text)
    with pytest.raises(BadModelError, match=r"classes\.csv"):
        read_class_names(path)
    with pytest.raises(BadModelError, match="cannot read"):
        read_class_names(tmp_path / "none.csv")


@pytest.mark.packs
def test_class_names(names: tuple[str, ...]) -> None:
    assert len(names) == 521
    assert names[0] == "Speech" and "Rain" in names


@pytest.mark.packs
@pytest.mark.parametrize(
    ("samples", "label", "at_least"),
    [
        (np.zeros(PATCH, np.float32), "Silence", 0.9),
        (tone(440), "Dial tone", 0.8),
        (np.random.default_rng(0).normal(0, 0.1, PATCH).astype(np.float32), "White noise", 0.3),
    ],
    ids=["silence", "tone", "noise"],
)
def test_made_sounds(
    yamnet: Yamnet, names: tuple[str, ...], samples: Samples, label: str, at_least: float
) -> None:
    probabilities = yamnet(samples)
    assert probabilities.shape == (521,) and probabilities.dtype == np.float32
    assert probabilities[names.index(label)] >= at_least
    assert probabilities[names.index("Speech")] < 0.1


@pytest.mark.packs
def test_full_scale_clipping_stays_in_range(yamnet: Yamnet) -> None:
    probabilities = yamnet(np.sign(tone(50)))
    assert np.isfinite(probabilities).all() and probabilities.max() <= 1
