"""Speech recognition by faster-whisper, for languages Moonshine does not know; any size of Whisper."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from edgevid.core.errors import BadModelError, MissingPartError
from edgevid.lipsync.nouns import Floats
from edgevid.perception.audio_intake import RATE

INSTALL = "pip install 'edgevid[asr]'"

_TOKENS_PER_S, _TOKENS_FREE = 12, 10  # more than anybody speaks; stops repetition
_CHUNK_S = 30.0  # longer sound is recognised in chunks, each with a limit of its own
_NO_SPEECH, _UNSURE = 0.6, -1.0  # Whisper's own bounds for "nothing was said"


class FasterWhisperRecognizer:
    """Recognises with a Whisper converted for CTranslate2. Any thread may call; calls are done one by one.

    Args:
        folder: of the model: ``model.bin``, ``config.json``, ``tokenizer.json`` and a vocabulary.
        language: ISO 639-1; None hears for itself which.
        threads: for one clause.

    Attributes:
        language: the one given, or heard last.

    Raises:
        MissingPartError: faster-whisper is not installed, or the model does not know ``language``.
        BadModelError: the folder holds no such model.
    """

    def __init__(self, folder: Path, *, language: str | None = "en", threads: int = 1) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise MissingPartError(f"{error.name} is not installed", fix=INSTALL) from None
        for name in ("model.bin", "config.json", "tokenizer.json"):
            if not (folder / name).is_file():
                raise BadModelError(
                    f"{folder / name}: no such file", fix="name a folder of Whisper for CTranslate2"
                )
        try:
            self._model: Any = WhisperModel(
                str(folder), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
            )
        except (RuntimeError, OSError, ValueError) as error:
            raise BadModelError(f"{folder}: faster-whisper cannot load it: {error}") from None
        if language is not None and language.split("-")[0] not in self._model.supported_languages:
            raise MissingPartError(
                f"{folder}: this Whisper does not know language {language!r}",
                fix="name a Whisper of many languages, and one it knows",
            )
        self._given = None if language is None else language.split("-")[0]
        self.language = language

    def recognize(self, samples: Floats, rate: int) -> str:
        """See ``Recognizer``."""
        if len(samples) < rate // 10:
            return ""
        if rate != RATE:
            import soxr

            samples = soxr.resample(samples, rate, RATE)
        segments, heard = self._model.transcribe(
            samples,
            language=self._given,
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            no_repeat_ngram_size=4,
            max_new_tokens=math.ceil(min(len(samples) / RATE, _CHUNK_S) * _TOKENS_PER_S) + _TOKENS_FREE,
        )
        self.language = heard.language
        said = [s.text for s in segments if s.no_speech_prob < _NO_SPEECH or s.avg_logprob > _UNSURE]
        return "".join(said).strip()

    def close(self) -> None:
        """Let go of the model."""
        self._model.model.unload_model()
