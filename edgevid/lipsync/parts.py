"""The parts a dub is made of: which are here, which are not, and what still works without them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgevid.core.errors import MissingPartError, UsageError
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.protocols import Mouth, Recognizer, Translator, Voice
from edgevid.models.store import ModelStore
from edgevid.perception.audio_intake import RATE
from edgevid.perception.segmenter import VoiceActivity

if TYPE_CHECKING:
    from edgevid.lipsync.painting import Compositor
    from edgevid.perception.faces import FaceTracker
    from edgevid.perception.moonshine import Moonshine

_MIN_PROBABILITY = 0.52  # as perception/speech.py believes
_ENGLISH_ONLY, _OTHER_LANGUAGES = "moonshine-tiny-en", "whisper-base"

AUTO = "auto"
"""The source's language is heard, clause by clause."""

_T = TypeVar("_T")


class EnglishRecognizer:
    """A ``Recognizer`` by Moonshine; words it does not believe itself are none."""

    def __init__(self, moonshine: Moonshine) -> None:
        self._moonshine = moonshine

    def recognize(self, samples: Floats, rate: int) -> str:
        """See ``Recognizer``; ``rate`` must be 16 kHz."""
        if rate != RATE:
            raise UsageError(f"sound at {rate} Hz", fix=f"resample it to {RATE} Hz")
        heard = self._moonshine(samples)
        believed = heard.complete and math.exp(heard.log_probability) >= _MIN_PROBABILITY
        return heard.text if believed and any(c.isalnum() for c in heard.text) else ""

    def close(self) -> None:
        """See ``Recognizer``; there is nothing to give back."""


@dataclass(slots=True)
class Parts:
    """What a session works with; whoever made them closes them.

    Attributes:
        voice_activity: one stream's, as its state is.
        translator: None when the target is the source's language.
        mouth, tracker, compositor: without them pictures pass untouched; ``missing`` has the reasons.
    """

    voice_activity: VoiceActivity
    recognizer: Recognizer
    translator: Translator | None
    voice: Voice
    mouth: Mouth | None = None
    tracker: FaceTracker | None = None
    compositor: Compositor | None = None
    missing: list[MissingPartError] = field(default_factory=list)

    def close(self) -> None:
        """Close them all."""
        for part in (self.recognizer, self.translator, self.voice, self.mouth):
            if part is not None:
                part.close()


def load(
    *,
    source: str = "en",
    target: str,
    voice: Voice | None = None,
    recognizer: Recognizer | None = None,
    translator: Translator | None = None,
    lips: Path | None = None,
    threads: int = 1,
    store: ModelStore | None = None,
) -> Parts:
    """Open the parts that ship, but for those given.

    Args:
        source, target: ISO 639-1 codes; the same ones ask for a new voice only. ``AUTO`` hears the source's.
        lips: a Wav2Lip network in place of VisemeNet and the speaker's own mouths.
        threads: of each network.

    Raises:
        BadModelError: ``lips`` is no such network.
        MissingPartError: no recogniser, translator or voice for these languages; says what still works.
    """
    store = store or ModelStore()
    opened: list[Any] = []

    def keep(part: _T) -> _T:
        opened.append(part)
        return part

    try:
        mouth, compositor = _lips(lips, threads)
        opened.append(mouth)
        activity = _voice_activity(store)
        heard = recognizer or keep(_recognizer(store, source, threads))
        spoken = voice or keep(_voice())
        spoken.speak("1", language=target)  # a language it does not speak is told at once
        between = None if source == target else translator or keep(_translator(source, target))
        parts = Parts(activity, heard, between, spoken, mouth)
        _add_pictures(parts, compositor, store, threads)
    except BaseException:
        for part in opened:
            part.close()
        raise
    return parts


def _voice_activity(store: ModelStore) -> VoiceActivity:
    from edgevid.models.session import onnx_session
    from edgevid.perception.audio import VOICE_PACK
    from edgevid.perception.vad import SileroVad

    return SileroVad(onnx_session(store.where(VOICE_PACK)["model.onnx"]))


def _recognizer(store: ModelStore, language: str, threads: int) -> Recognizer:
    if language != "en":
        from edgevid.lipsync.adapters.faster_whisper import FasterWhisperRecognizer

        folder = store.where(_OTHER_LANGUAGES)["model.bin"].parent
        return FasterWhisperRecognizer(
            folder, language=None if language == AUTO else language, threads=threads
        )
    from edgevid.models.session import onnx_session
    from edgevid.perception.moonshine import Moonshine, read_vocabulary

    files = store.where(_ENGLISH_ONLY)
    moonshine = Moonshine(
        onnx_session(files["encoder.ort"], threads=threads),
        onnx_session(files["decoder.ort"], threads=threads),
        read_vocabulary(files["tokenizer.bin"]),
    )
    return EnglishRecognizer(moonshine)


def _lips(model: Path | None, threads: int) -> tuple[Mouth, Compositor]:
    if model is not None:
        from edgevid.lipsync.adapters.wav2lip import Wav2Lip

        network = Wav2Lip(model, threads=threads)
        return network, network
    from edgevid.lipsync.compositor import MouthCompositor
    from edgevid.lipsync.visemes import VisemeNet

    mouth = VisemeNet()
    return mouth, MouthCompositor(mouth.basis)


def _voice() -> Voice:
    from edgevid.lipsync.espeak import EspeakVoice

    return EspeakVoice()


def _translator(source: str, target: str) -> Translator:
    from edgevid.lipsync.apertium import ApertiumTranslator

    try:
        return ApertiumTranslator(pairs=[] if source == AUTO else [(source, target)])
    except MissingPartError as error:
        raise MissingPartError(
            f"{error.message}; without it a new voice in the same language works: --to {source}",
            fix=error.fix,
        ) from None


def _add_pictures(parts: Parts, compositor: Compositor, store: ModelStore, threads: int) -> None:
    """Without the packs that follow faces pictures pass, and the dub goes on."""
    from edgevid.perception.faces import face_tracker

    try:
        parts.tracker = face_tracker(store, threads=threads)
    except MissingPartError as error:
        parts.missing.append(error)
        return
    parts.compositor = compositor
