"""Speech whose phoneme times are known: made-up words of many languages, spoken by espeak-ng's voices.

The words are random syllables in the spelling of a language, so there is no text whose rights would matter.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgevid.lipsync.espeak import EspeakVoice
from edgevid.lipsync.protocols import SpokenAudio

# Of each language: onsets, nuclei and codas, some of them empty.
_SPELLING = {
    "en": (
        "b bl br ch d f fl g h j k l m n p pl pr r s sh st t th v w y z",
        "a e i o u ai ea ee oa oo ou ow",
        "- - - b d f g k l m n nd ng p r s st t th x",
    ),
    "es": (
        "b c ch d f g j l ll m n p pl qu r s t tr v z",
        "a e i o u ia ie ue ei",
        "- - - - n s r l",
    ),
    "ca": (
        "b c d f g j l ll m n p pr r s t v x",
        "a e i o u ei au",
        "- - - n s r l t m p",
    ),
    "eo": (
        "b c d f g h j k l m n p r s t v z",
        "a e i o u aj oj",
        "- - - n s r l",
    ),
    "fr": (
        "b bl ch d f fr g j l m n p pr r s t v",
        "a e i o u ou on an in eau oi eu",
        "- - - - r l s t m",
    ),
    "de": (
        "b d f g h j k l m n p pf r s sch sp st t w z",
        "a e i o u ei au eu ie ü ö",
        "- - n r l m t ch ck ng f",
    ),
    "it": (
        "b c ch d f g gl l m n p pr r s sp t v z",
        "a e i o u io ia uo",
        "- - - - - n r l",
    ),
    "pt": (
        "b c d f g j l lh m n nh p pr r s t v",
        "a e i o u ão ei ou",
        "- - - - m s r l",
    ),
    "pl": (
        "b c cz d f g j k l ł m n p prz r s sz t w z",
        "a e i o u y ą ę",
        "- - - k m n r sz t",
    ),
    "tr": (
        "b c ç d f g h k l m n p r s ş t v y z",
        "a e ı i o ö u ü",
        "- - - k l m n r t ş",
    ),
    "id": (
        "b c d f g h j k l m n ng ny p r s t w y",
        "a e i o u ai au",
        "- - - n ng k h m s t",
    ),
    "sw": (
        "b ch d dh f g h j k l m mb n nd ng p r s sh t v w y z",
        "a e i o u",
        "- - - - -",
    ),
}
LANGUAGES = tuple(_SPELLING)
_VARIANTS = ("m1", "m2", "m3", "m4", "m7", "f1", "f2", "f3", "f4", "f5")


def made_up_text(language: str, rng: np.random.Generator) -> str:
    """One or two phrases of three to seven words."""
    onsets, nuclei, codas = (part.split() for part in _SPELLING[language])

    def word() -> str:
        syllables = rng.integers(1, 4)
        parts = (rng.choice(onsets) + rng.choice(nuclei) + rng.choice(codas) for _ in range(syllables))
        return "".join(parts).replace("-", "")

    phrases = (" ".join(word() for _ in range(rng.integers(3, 8))) for _ in range(rng.integers(1, 3)))
    return ", ".join(phrases) + "."


def speak_all(each: int, *, seed: int) -> Iterator[SpokenAudio]:
    """``each`` texts in every language, by voices, at rates and pitches drawn at random."""
    rng = np.random.default_rng(seed)
    voices = [EspeakVoice(variant=variant) for variant in _VARIANTS]
    try:
        for _ in range(each):
            for language in LANGUAGES:
                voice = voices[int(rng.integers(len(voices)))]
                text = made_up_text(language, rng)
                yield voice.speak(
                    text,
                    language=language,
                    rate=float(rng.uniform(0.8, 1.3)),
                    pitch=float(rng.uniform(0.7, 1.5)),
                )
    finally:
        for voice in voices:
            voice.close()
