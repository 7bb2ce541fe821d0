"""The second judge: its cepstra, its network with random weights, and the trained one on a real clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.bench.lipsync_second_judge import WEIGHTS, FaceCutter, best_slide_ms, cut, rows
from edgevid.core.errors import BadModelError
from edgevid.media.source import open_source
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception import face_detector
from edgevid.perception.face_detector import FaceDetector
from edgevid.train.lip_judge.light_asd import PER_PICTURE, SIDE, LightAsd
from edgevid.train.lip_judge.mfcc import COEFFICIENTS, mfcc
from edgevid.train.viseme_net.tracks import read_sound

_RATE = 16_000


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * _RATE))).astype(np.float32)


def test_louder_sound_moves_the_energy_alone() -> None:
    sound = _noise(1.0)
    soft, loud = mfcc(sound), mfcc(2 * sound)
    assert soft.shape == (99, COEFFICIENTS)
    assert loud[:, 0] - soft[:, 0] == pytest.approx(np.log(4), abs=1e-4)
    assert loud[:, 1:] == pytest.approx(soft[:, 1:], abs=1e-3)


def test_cepstra_tell_low_sounds_from_high_ones_and_when() -> None:
    t = np.arange(_RATE) / _RATE
    low, high = (np.sin(2 * np.pi * hertz * t).astype(np.float32) for hertz in (300, 5000))
    assert mfcc(low)[50, 1] > mfcc(high)[50, 1] + 5  # the first cosine falls from low to high bands
    click = np.zeros(_RATE, np.float32)
    click[8000:8200] = 0.5
    assert np.argmax(mfcc(click)[:, 0]) in (49, 50)


def test_a_face_is_cut_around_its_lower_half() -> None:
    y = np.arange(400)[:, None, None]
    image = np.broadcast_to(y // 2, (400, 300, 3)).astype(np.uint8)
    face = cut(image, np.array([100, 100, 200, 200], np.float32))
    assert face.shape == (SIDE, SIDE)
    assert (face == face[:, :1]).all()
    assert face[SIDE // 2, 0] == pytest.approx((150 + 24) / 2, abs=1)
    assert float(face[-1, 0]) - face[0, 0] == pytest.approx(84 / 2, abs=2)


def _random_weights(path: Path) -> Path:
    torch = pytest.importorskip("torch")
    random = torch.Generator().manual_seed(0)
    weights = {}

    def layer(conv: str, norm: str, *shape: int) -> None:
        fan = int(np.prod(shape[1:]))
        weights[f"{conv}.weight"] = torch.randn(shape, generator=random) * (2 / fan) ** 0.5
        for part, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            weights[f"{norm}.{part}"] = torch.full((shape[0],), value)

    for side, first, tail in (("visual", "s", (1, 1)), ("audio", "m", (1,))):
        widths = (1, 32, 64, 128)
        for i in (1, 2, 3):
            block = f"model.{side}Encoder.block{i}"
            for size in (3, 5):
                across = (1, size, size) if side == "visual" else (size, 1)
                along = (size, 1, 1) if side == "visual" else (1, size)
                layer(
                    f"{block}.{first}_{size}", f"{block}.bn_{first}_{size}", widths[i], widths[i - 1], *across
                )
                layer(f"{block}.t_{size}", f"{block}.bn_t_{size}", widths[i], widths[i], *along)
            layer(f"{block}.last", f"{block}.bn_last", widths[i], widths[i], 1, *tail)
    for way in ("forward", "backward"):
        for name, shape in (("weight_ih", (384, 128)), ("weight_hh", (384, 128))):
            weights[f"model.GRU.gru_{way}.{name}_l0"] = 0.1 * torch.randn(shape, generator=random)
        for name in ("bias_ih", "bias_hh"):
            weights[f"model.GRU.gru_{way}.{name}_l0"] = torch.zeros(384)
    weights["lossAV.FC.weight"] = torch.randn((2, 128), generator=random)
    weights["lossAV.FC.bias"] = torch.zeros(2)
    torch.save(weights, path)
    return path


def test_sound_and_pictures_meet_at_the_rate_of_pictures(tmp_path: Path) -> None:
    network = LightAsd(_random_weights(tmp_path / "random.model"))
    faces = np.random.default_rng(1).integers(0, 256, (8, SIDE, SIDE), np.uint8)
    seen, heard = network.see(faces), network.hear(mfcc(_noise(0.4)))
    assert tuple(seen.shape) == (8, 128)
    assert len(heard) == -(-len(mfcc(_noise(0.4))) // PER_PICTURE)
    assert network.score(seen, heard) == network.score(seen, heard[:8])
    assert network.score(seen, heard) != network.score(seen.flip(0), heard)
    assert abs(best_slide_ms(network, faces, _noise(0.4))) <= 600


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("torch")
    (tmp_path / "bad.model").write_bytes(content)
    with pytest.raises(BadModelError, match="no Light-ASD checkpoint"):
        LightAsd(tmp_path / "bad.model")


def test_without_its_weights_the_row_says_so(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, [])
    assert row.value is None and WEIGHTS in row.method


@pytest.mark.packs
def test_a_face_that_speaks_is_held_for_speaking(test_data: Path, store: ModelStore) -> None:
    pytest.importorskip("torch")
    if not (test_data / WEIGHTS).is_file():
        pytest.skip(f"no {WEIGHTS} in the test data")
    network = LightAsd(test_data / WEIGHTS)
    cutter = FaceCutter(FaceDetector(onnx_session(store.where(face_detector.PACK)["model.onnx"])))
    clip = min((test_data / "talking" / "grid" / "s1").glob("*.mpg"))
    with open_source(clip) as source:
        for frame in source.frames():
            cutter(frame.image)
    heard = network.hear(mfcc(read_sound(clip)[0]))
    faces = np.stack(cutter.faces)
    speaking = network.score(network.see(faces), heard)
    still = network.score(network.see(np.repeat(faces[:1], len(faces), axis=0)), heard)
    assert speaking > 0
    assert speaking > still + 1
