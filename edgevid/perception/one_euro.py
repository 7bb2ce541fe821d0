"""The One-Euro filter: a low pass that opens with speed.

Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012, doi 10.1145/2207676.2208639.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class OneEuro:
    """Smooths an array of values element by element.

    Args:
        cutoff_hz: of what stands still. Lower: less jitter, more lag at the start of a move.
        beta: how much the cutoff rises, in Hz, per unit of value and second.
        speed_cutoff_hz: of the speed itself.
    """

    def __init__(self, *, cutoff_hz: float, beta: float, speed_cutoff_hz: float = 1.0) -> None:
        self._cutoff_hz = cutoff_hz
        self._beta = beta
        self._speed_cutoff_hz = speed_cutoff_hz
        self._value: Floats | None = None
        self._speed: Floats | None = None

    def __call__(self, value: Floats, seconds: float) -> Floats:
        """``value`` smoothed, ``seconds`` (above 0) after the one before."""
        if self._value is None or self._speed is None:
            self._value, self._speed = value.copy(), np.zeros_like(value)
            return value
        speed = (value - self._value) / np.float32(seconds)
        self._speed = self._speed + _share(self._speed_cutoff_hz, seconds) * (speed - self._speed)
        cutoff = self._cutoff_hz + self._beta * np.abs(self._speed)
        self._value = np.asarray(self._value + _share(cutoff, seconds) * (value - self._value), np.float32)
        return self._value.copy()


def _share(cutoff_hz: npt.ArrayLike, seconds: float) -> Floats:
    """How much of a step a first-order low pass follows within ``seconds``."""
    turn = np.float32(2 * math.pi * seconds) * np.asarray(cutoff_hz, np.float32)
    return np.asarray(turn / (turn + 1), np.float32)
