"""What a part of the dubbing line must do, so that a user's own can take its place.

A part that lacks its program, package or model raises ``MissingPartError`` when it is made, not when it is
used, with the command that installs it. ``close`` may come more than once; after it the part is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgevid.lipsync.nouns import Floats, MouthCurve, Phoneme


@dataclass(frozen=True, slots=True)
class SpokenAudio:
    """What a voice gives: float32 [n] mono samples at ``rate`` Hz; its phonemes, empty when not known."""

    samples: Floats
    rate: int
    phonemes: tuple[Phoneme, ...]


class Recognizer(Protocol):
    """Speech to text, one clause at a time."""

    def recognize(self, samples: Floats, rate: int) -> str:
        """The words in float32 [n] mono ``samples``; empty when there are none."""
        ...

    def close(self) -> None: ...


class Translator(Protocol):
    """Text to text."""

    def translate(self, text: str, *, source: str, target: str) -> str:
        """``text`` of language ``source`` in language ``target`` (ISO 639-1 codes).

        Raises:
            MissingPartError: the pair is not installed.
        """
        ...

    def close(self) -> None: ...


class Voice(Protocol):
    """Text to speech."""

    def speak(self, text: str, *, language: str, rate: float = 1.0, pitch: float = 1.0) -> SpokenAudio:
        """Say ``text``; ``rate`` and ``pitch`` are factors of the voice's own.

        Raises:
            MissingPartError: the voice does not speak ``language``.
        """
        ...

    def close(self) -> None: ...


class Mouth(Protocol):
    """Sound to lips."""

    def curve(self, samples: Floats, rate: int, phonemes: tuple[Phoneme, ...] = ()) -> MouthCurve:
        """The mouth's curve over float32 [n] mono ``samples``; known ``phonemes`` correct it."""
        ...

    def close(self) -> None: ...
