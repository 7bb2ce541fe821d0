"""Lips by the user's own Wav2Lip network in ONNX (Prajwal et al., "A lip sync expert is all you need", ACM
MM 2020): mel float32 [B, 1, 80, 16] and faces float32 [B, 6, 96, 96] -> mouths float32 [B, 3, 96, 96].

The published weights may be used for research only: who brings them sees to the licence. The sound is
analysed as that network was trained: 16 kHz, preemphasis 0.97, 80 mel bands (Slaney) from 55 to 7600 Hz over
Hann windows of 800 samples every 200, decibels over 20, -100 to 0 brought to -4 to 4. A face is blue, green,
red from 0 to 1: first with its lower half black, then as it is.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError
from edgevid.lipsync.nouns import Floats, MouthCurve, Phoneme
from edgevid.models.session import Port, onnx_session
from edgevid.perception.faces import Face
from edgevid.perception.scaling import resize

LICENCE = "Wav2Lip: the published weights are for research and personal use only, not for commercial use"

_RATE, _WINDOW, _HOP = 16_000, 800, 200
_BANDS, _LOW_HZ, _HIGH_HZ = 80, 55.0, 7600.0
_PREEMPHASIS, _REFERENCE_DB, _LOWEST_DB, _RANGE = 0.97, 20.0, -100.0, 4.0
_STEPS = 16  # of the mel spectrogram to a picture, 0.2 s
_SIDE = 96
_STEP_NS = 1_000_000_000 * _HOP // _RATE
_CHIN = 0.06  # of the face's height that the crop reaches below the mesh
_SOFT = 0.1  # of the crop's side over which its edges fade
_MIN_SIDE = 32
_MAX_YAW_DEG = 45.0

Image = npt.NDArray[np.uint8]

_log = logging.getLogger(__name__)


class Wav2Lip:
    """A ``Mouth`` and the compositor that belongs to it. Its curve's rows are the 80 x 16 numbers that the
    network hears; a row of another length is a closed mouth.

    Args:
        model: the ``.onnx``.
        threads: for one picture.

    Raises:
        BadModelError: it cannot be loaded, or has other inputs and outputs.
    """

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        self._session = onnx_session(model, threads=threads)
        self._mel, self._face = _inputs(model.name, self._session.info.inputs)
        _check_output(model.name, self._session.info.outputs)
        self._filters = mel_filters()
        _log.warning(LICENCE)

    def curve(self, samples: Floats, rate: int, phonemes: tuple[Phoneme, ...] = ()) -> MouthCurve:
        """See ``Mouth``; phonemes are not used. One row of ``_BANDS * _STEPS`` each 12.5 ms."""
        mel = mel_spectrogram(_at_rate(samples, rate), self._filters)
        silence = np.full((_BANDS, _STEPS), -_RANGE, np.float32)
        padded = np.concatenate([mel, silence], axis=1)
        rows = np.lib.stride_tricks.sliding_window_view(padded, _STEPS, axis=1)  # [80, steps + 1, 16]
        return MouthCurve(rows.transpose(1, 0, 2).reshape(-1, _BANDS * _STEPS), step_ns=_STEP_NS)

    def learn(self, image: Image, face: Face) -> None:
        """See ``Compositor``; this one draws from the picture itself."""

    def draw(self, image: Image, face: Face, params: Floats) -> tuple[Image, str]:
        """See ``Compositor``: ``turned head``, ``leaving the picture`` and ``small face`` stay untouched."""
        box = _crop_of(face)
        reason = _unfit(image, face, box)
        if reason:
            return image, reason
        x0, y0, x1, y1 = box
        crop = image[y0:y1, x0:x1]
        silent = params.size != _BANDS * _STEPS
        mel = np.full(_BANDS * _STEPS, -_RANGE, np.float32) if silent else params
        feed = {
            self._mel: np.ascontiguousarray(mel, np.float32).reshape(1, 1, _BANDS, _STEPS),
            self._face: _network_face(crop)[None],
        }
        mouth = np.asarray(self._session.run(feed)[0], np.float32)[0]
        drawn = image.copy()
        drawn[y0:y1, x0:x1] = self._blend(crop, mouth)
        return drawn, ""

    def close(self) -> None:
        """See ``Mouth``; there is nothing to give back."""

    def _blend(self, crop: Image, mouth: Floats) -> Image:
        height, width = crop.shape[:2]
        picture = np.rint(np.clip(mouth[::-1].transpose(1, 2, 0), 0.0, 1.0) * 255.0).astype(np.uint8)
        new = resize(picture, height, width).astype(np.float32)
        weight = _feather(height, width)[..., None]
        return np.asarray(np.rint(crop * (1.0 - weight) + new * weight), np.uint8)


def mel_spectrogram(samples: Floats, filters: Floats) -> Floats:
    """float32 [80, 1 + n // 200] in [-4, 4] of float32 [n] at 16 kHz; column k is centred on sample 200 k."""
    emphasised = np.append(samples[:1], samples[1:] - _PREEMPHASIS * samples[:-1])
    padded = np.pad(emphasised, _WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    magnitudes = np.abs(np.fft.rfft(frames * window, axis=1))
    decibels = 20.0 * np.log10(np.maximum(magnitudes @ filters.T, 1e-5)) - _REFERENCE_DB
    scaled = 2 * _RANGE * (decibels - _LOWEST_DB) / -_LOWEST_DB - _RANGE
    return np.clip(scaled, -_RANGE, _RANGE).T.astype(np.float32)


def mel_filters() -> Floats:
    """float32 [80, 401]: triangles of equal area, evenly spaced on Slaney's scale (linear below 1 kHz)."""
    step, knee = 200.0 / 3, 15.0
    log_step = np.log(6.4) / 27.0

    def mel(hz: float) -> float:
        return float(hz / step if hz < 1000.0 else knee + np.log(hz / 1000.0) / log_step)

    marks = np.linspace(mel(_LOW_HZ), mel(_HIGH_HZ), _BANDS + 2)
    edges = np.where(marks < knee, marks * step, 1000.0 * np.exp(log_step * (marks - knee)))
    bins = np.fft.rfftfreq(_WINDOW, 1.0 / _RATE)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.maximum(0.0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    return np.asarray(triangles * 2.0 / (high - low), np.float32)


def _network_face(crop: Image) -> Floats:
    """float32 [6, 96, 96] of uint8 RGB [h, w, 3]."""
    whole = resize(crop, _SIDE, _SIDE)[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255.0
    masked = whole.copy()
    masked[:, _SIDE // 2 :] = 0.0
    return np.concatenate([masked, whole])


def _feather(height: int, width: int) -> Floats:
    """float32 [height, width]: 1 where the new mouth is seen, 0 at the crop's edges and in its upper half."""
    x, y = (np.arange(side, dtype=np.float32) / (side - 1) for side in (width, height))
    across = np.clip(np.minimum(x, 1 - x) / _SOFT, 0.0, 1.0)
    down = np.clip(np.minimum(y - 0.5, 1 - y) / _SOFT, 0.0, 1.0)
    return np.asarray(down[:, None] * across[None, :], np.float32)


def _crop_of(face: Face) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = face.box
    return int(x0), int(y0), round(x1), round(y1 + _CHIN * (y1 - y0))


def _unfit(image: Image, face: Face, box: tuple[int, int, int, int]) -> str:
    x0, y0, x1, y1 = box
    height, width = image.shape[:2]
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        return "leaving the picture"
    if min(x1 - x0, y1 - y0) < _MIN_SIDE:
        return "small face"
    return "turned head" if abs(face.yaw_deg) > _MAX_YAW_DEG else ""


def _at_rate(samples: Floats, rate: int) -> Floats:
    import soxr

    return samples if rate == _RATE else np.asarray(soxr.resample(samples, rate, _RATE), np.float32)


def _inputs(name: str, ports: tuple[Port, ...]) -> tuple[str, str]:
    """The names of mel and face, whatever they are called."""
    wanted: dict[tuple[int | str | None, ...], str] = {
        (1, _BANDS, _STEPS): "mel",
        (6, _SIDE, _SIDE): "face",
    }
    found = {wanted.get(port.shape[1:], ""): port.name for port in ports if len(port.shape) == 4}
    if len(ports) != 2 or set(found) != {"mel", "face"}:
        raise _other_shapes(name, "inputs", ports)
    return found["mel"], found["face"]


def _check_output(name: str, ports: tuple[Port, ...]) -> None:
    sides = ports[0].shape[1:] if len(ports) == 1 and len(ports[0].shape) == 4 else ()
    if len(sides) != 3 or any(isinstance(s, int) and s != w for s, w in zip(sides, (3, _SIDE, _SIDE))):
        raise _other_shapes(name, "output", ports)


def _other_shapes(name: str, what: str, ports: tuple[Port, ...]) -> BadModelError:
    shapes = ", ".join(f"{port.name} {list(port.shape)}" for port in ports)
    return BadModelError(
        f"{name}: no Wav2Lip network: its {what} are {shapes}, not mel [B, 1, 80, 16], face [B, 6, 96, 96] ->"
        " [B, 3, 96, 96]"
    )
