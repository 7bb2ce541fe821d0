"""What a clause costs in translation and in speech."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from edgevid.bench.report import Row
from edgevid.core.errors import MissingPartError
from edgevid.lipsync.apertium import ApertiumTranslator
from edgevid.lipsync.espeak import EspeakVoice

SENTENCES = (
    "Good morning, and thank you all for coming.",
    "Today I want to show you what we have built during the last year.",
    "It runs on a small computer, without any network.",
    "When the train arrived, nobody was waiting at the station.",
    "I think that the weather is very nice, so we should go to the beach.",
    "My brother works in a hospital in the north of the country.",
    "Please open the window before you leave the room.",
    "If you have any questions, you can ask me at any time.",
    "The children were playing in the garden with an old red ball.",
    "We will see each other again next week.",
)
_ROUNDS = 10


def rows() -> Iterator[Row]:
    """Apertium's and espeak-ng's time per sentence and to start; without them, rows that say so."""
    try:
        started = time.perf_counter()
        translator = ApertiumTranslator(pairs=[("en", "es")])
        start_ms = 1000 * (time.perf_counter() - started)
    except MissingPartError as error:
        yield Row("translation per sentence", None, "ms", 10.0, None, str(error))
    else:
        translate = lambda text: translator.translate(text, source="en", target="es")  # noqa: E731
        method = f"Apertium en-es, {_what()}; {start_ms:.0f} ms to start"
        yield _row("translation per sentence", translate, method, goal=10.0)
        yield Row(
            "words it did not know", translator.unknown_words // (_ROUNDS + 1), "words", None, None, method
        )
        translator.close()
    try:
        started = time.perf_counter()
        voice = EspeakVoice()
        start_ms = 1000 * (time.perf_counter() - started)
    except MissingPartError as error:
        yield Row("speech per sentence", None, "ms", 16.0, None, str(error))
    else:
        speak = lambda text: voice.speak(text, language="en-us")  # noqa: E731
        seconds = sum(len(s.samples) / s.rate for s in map(speak, SENTENCES))
        method = f"espeak-ng {voice.version}, {_what()}, {seconds:.0f} s of sound; {start_ms:.0f} ms to start"
        yield _row("speech per sentence", speak, method, goal=16.0)
        voice.close()


def _what() -> str:
    words = sum(len(text.split()) for text in SENTENCES)
    return f"median of {_ROUNDS} rounds of {len(SENTENCES)} sentences ({words} words), warm, one at a time"


def _row(measure: str, work: Callable[[str], object], method: str, *, goal: float) -> Row:
    for text in SENTENCES:
        work(text)
    took = []
    for text in SENTENCES * _ROUNDS:
        started = time.perf_counter()
        work(text)
        took.append(1000 * (time.perf_counter() - started))
    median, late = float(np.median(took)), float(np.percentile(took, 95))
    return Row(measure, round(median, 2), "ms", goal, median <= goal, f"{method}; 95 % within {late:.1f} ms")
