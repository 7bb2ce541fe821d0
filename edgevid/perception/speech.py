"""The speech channel: voice activity -> utterances -> recogniser -> what can be believed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import NS_PER_S, AudioChunk, Kind, Observation, TimeSpan
from edgevid.perception.audio_intake import AudioIntake, level_dbfs
from edgevid.perception.moonshine import Transcript
from edgevid.perception.segmenter import Segmenter, SegmenterConfig, Utterance, VoiceActivity

UNRECOGNISED = "[unrecognised speech]"
"""Label of speech whose words were only guessed at: another language, mumbling, several voices at once."""

Recogniser = Callable[[npt.NDArray[np.float32]], Transcript]


@dataclass(frozen=True, slots=True)
class BeliefConfig:
    """What is believed. A recogniser asked to transcribe noise or another language answers all the same.

    Attributes:
        min_level_dbfs: quieter utterances are not speech.
        min_score: geometric mean of the token probabilities below which words are not believed; chosen in
            docs/model_cards/moonshine-tiny-en.md.
        min_score_in_doubt: the same within ``doubt_s`` after speech that was not believed: who spoke another
            language a moment ago still does.
        min_voice: mean voice activity from which unbelieved words are reported as unrecognised speech; below,
            as nothing.
    """

    min_level_dbfs: float = -60.0
    min_score: float = 0.52
    min_score_in_doubt: float = 0.7
    doubt_s: float = 10.0
    min_voice: float = 0.8


class SpeechChannel:
    """What is said in a stream (see `AudioChannel`): one observation, with its time, per utterance.

    Args:
        recogniser: samples of an utterance -> transcript.
        voice: the voice-activity network; this channel alone may call it.
        model_id: the pack that recognises.
    """

    kind: Kind = "speech"

    def __init__(
        self,
        recogniser: Recogniser,
        voice: VoiceActivity,
        *,
        model_id: str,
        belief: BeliefConfig | None = None,
        segmenter: SegmenterConfig | None = None,
    ) -> None:
        self.model_id = model_id
        self._recogniser = recogniser
        self._belief = belief or BeliefConfig()
        self._intake = AudioIntake()
        self._segmenter = Segmenter(voice, config=segmenter)
        self._doubted_ns: int | None = None  # end of the last utterance, when it was not believed

    def push(self, chunk: AudioChunk) -> list[Observation]:
        """See `AudioChannel.push`."""
        return [o for block in self._intake.push(chunk) for o in self._observe(self._segmenter.push(block))]

    def flush(self) -> list[Observation]:
        """See `AudioChannel.flush`."""
        said = [o for block in self._intake.flush() for o in self._observe(self._segmenter.push(block))]
        said += self._observe(self._segmenter.flush())
        self._doubted_ns = None
        return said

    def _observe(self, utterances: Iterable[Utterance]) -> Iterator[Observation]:
        for utterance in utterances:
            if level_dbfs(utterance.samples) < self._belief.min_level_dbfs:
                continue
            transcript = self._recogniser(utterance.samples)
            score = math.exp(transcript.log_probability)
            if self._believes(transcript, score, utterance.span):
                if any(c.isalnum() for c in transcript.text):  # else "♪♪": the recogniser's word for music
                    yield Observation(
                        "speech", transcript.text, utterance.span, score, model_id=self.model_id
                    )
            elif utterance.voice >= self._belief.min_voice:
                yield Observation(
                    "speech", UNRECOGNISED, utterance.span, utterance.voice, model_id=self.model_id
                )

    def _believes(self, transcript: Transcript, score: float, span: TimeSpan) -> bool:
        doubted = (
            self._doubted_ns is not None
            and 0 <= span.start_s - self._doubted_ns / NS_PER_S <= self._belief.doubt_s
        )
        least = self._belief.min_score_in_doubt if doubted else self._belief.min_score
        believed = transcript.complete and score >= least
        self._doubted_ns = None if believed else span.end_ns
        return believed
