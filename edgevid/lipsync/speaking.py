"""The speaking stages of a dub: words -> words of the other language -> voice -> mouth."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgevid.core.errors import EdgevidError
from edgevid.lipsync.fitting import FittedVoice
from edgevid.lipsync.flow import Said, Settled, Talk, Translated
from edgevid.lipsync.hearing import Generation
from edgevid.lipsync.nouns import SpokenClause
from edgevid.lipsync.pitch import median_hz
from edgevid.lipsync.protocols import Mouth, Translator, Voice
from edgevid.perception.audio_intake import rms

_SAMPLE_TEXT = "1 2 3 4 5 6 7 8 9"  # every voice can say it
_USUAL_VOICE_HZ = 100.0
_LOUDEST, _SOFTEST = 6.0, 0.1  # gains that bring a voice to the speaker's level
_PITCHES = 15  # clauses over which the speaker's pitch is followed
_LOWEST_PITCH, _HIGHEST_PITCH = 0.6, 3.0

_log = logging.getLogger(__name__)


class Interpreter:
    """Stage: ``Said`` -> ``Translated``; what fails is left out, so that the original is heard.

    Args:
        translator: None when the target is the source's own language; so are clauses in that language.

    Attributes:
        failed: clauses that could not be translated; ``last_error`` says why.
    """

    def __init__(self, translator: Translator | None, *, target: str, generation: Generation) -> None:
        self._translator, self._target, self._generation = translator, target, generation
        self.failed = 0
        self.last_error: EdgevidError | None = None

    def __call__(self, item: Said | Settled) -> Translated | Settled | None:
        if isinstance(item, Settled):
            return item
        clause = item.clause
        if not clause.text or self._generation.stale(clause):
            return None
        if self._translator is None or clause.language == self._target:
            return Translated(item, clause.text)
        try:
            text = self._translator.translate(clause.text, source=clause.language, target=self._target)
        except EdgevidError as error:
            self.failed += 1
            self.last_error = error
            _log.warning("a clause stays as it was: %s", error)
            return None
        return Translated(item, text) if text else None


class Speaker:
    """Stage: ``Translated`` -> ``Talk``, at about the speaker's pitch and level.

    Args:
        mouth: None draws no mouth.
        now_ns: of a live stream: when a clause may be heard at the earliest; None: at its own time.

    Attributes:
        failed: clauses that could not be spoken; ``last_error`` says why.
        fitted: has the counts of what was done to keep up.
    """

    def __init__(
        self,
        voice: Voice,
        mouth: Mouth | None,
        *,
        language: str,
        generation: Generation,
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        self.fitted = FittedVoice(voice)
        self._mouth, self._language, self._generation, self._now_ns = mouth, language, generation, now_ns
        self._pitches: deque[float] = deque(maxlen=_PITCHES)
        sample = voice.speak(_SAMPLE_TEXT, language=language)  # also warms it up
        self._voice_hz = median_hz(sample.samples, sample.rate) or _USUAL_VOICE_HZ
        self.failed = 0
        self.last_error: EdgevidError | None = None

    def __call__(self, item: Translated | Settled) -> Talk | Settled | None:
        if isinstance(item, Settled):
            return item
        if self._generation.stale(item.said.clause):
            return None
        try:
            return self._talk(item)
        except EdgevidError as error:
            self.failed += 1
            self.last_error = error
            _log.warning("a clause stays as it was: %s", error)
            return None

    def _talk(self, item: Translated) -> Talk | None:
        said = item.said
        if said.pitch_hz is not None:
            self._pitches.append(said.pitch_hz)
        spoken = self.fitted.speak(
            said.clause,
            item.text,
            language=self._language,
            pitch=self._pitch(),
            earliest_ns=None if self._now_ns is None else self._now_ns(),
        )
        if not spoken.samples.size:
            return None
        curve = None
        if self._mouth is not None:
            curve = self._mouth.curve(spoken.samples, spoken.rate, spoken.phonemes)
            curve = replace(curve, start_ns=spoken.start_ns)
        return Talk(_at_level(spoken, said.level), curve)

    def _pitch(self) -> float:
        if not self._pitches:
            return 1.0
        return float(np.clip(np.median(self._pitches) / self._voice_hz, _LOWEST_PITCH, _HIGHEST_PITCH))


def _at_level(spoken: SpokenClause, level: float) -> SpokenClause:
    gain = np.float32(np.clip(level / max(rms(spoken.samples), 1e-6), _SOFTEST, _LOUDEST))
    return replace(spoken, samples=spoken.samples * gain)
