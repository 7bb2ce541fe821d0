"""Piper voices: far more natural than espeak-ng, one ONNX file and its JSON per voice, brought by the user.

The package piper-tts is GPL and would run inside this process, so it is not used: onnxruntime runs the voice,
and our espeak-ng worker, a process apart, spells the text as these voices were trained on.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError, MissingPartError
from edgevid.lipsync.espeak import EspeakVoice
from edgevid.lipsync.protocols import SpokenAudio

_BEGIN, _END, _PAD = "^", "$", "_"
_INPUTS = {"input", "input_lengths", "scales"}
_FIX = "name the .onnx of a Piper voice, with its .onnx.json beside it"
_PUNCTUATION = re.compile(r"([,;:.!?])(?=\s|$)")  # not in 3.5


class PiperVoice:
    """Speaks with a Piper voice; tells no phonemes. Any thread may call.

    The network: input int64 [1, ids], input_lengths int64 [1], scales float32 [3] (noise, length, noise of
    lengths), and sid int64 [1] with several speakers -> float32 [1, 1, 1, samples].

    Args:
        model: the ``.onnx``; its settings lie beside it in ``.onnx.json``.
        speaker: of a voice with several.
        threads: for one clause.

    Raises:
        BadModelError: a file is missing, or is not of a Piper voice that espeak-ng spells for.
        MissingPartError: no espeak-ng.
    """

    def __init__(self, model: Path, *, speaker: int = 0, threads: int = 1) -> None:
        from edgevid.models.session import onnx_session

        path = model.with_name(f"{model.name}.json")
        settings = _settings(path)
        try:
            self._ids = {symbol: _id_list(ids) for symbol, ids in settings["phoneme_id_map"].items()}
            self._language = str(settings["espeak"]["voice"])
            self._rate = round(_within(settings["audio"]["sample_rate"], 1000, 384_000))
            scales = settings["inference"]
            self._noise, self._length_noise = (_within(scales[k], 0, 10) for k in ("noise_scale", "noise_w"))
            self._length = _within(scales["length_scale"], 0.1, 10)
            self._begin, self._end, self._pad = (self._ids[symbol] for symbol in (_BEGIN, _END, _PAD))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadModelError(f"{path}: not the settings of a Piper voice: {error!r}", fix=_FIX) from None
        self._session = onnx_session(model, threads=threads)
        inputs = {port.name for port in self._session.info.inputs}
        if not _INPUTS <= inputs <= _INPUTS | {"sid"}:
            found = ", ".join(sorted(inputs))
            raise BadModelError(f"{model}: no Piper voice: its inputs are {found}", fix=_FIX)
        self._speaker = speaker if "sid" in inputs else None
        self._espeak = EspeakVoice()

    def speak(self, text: str, *, language: str, rate: float = 1.0, pitch: float = 1.0) -> SpokenAudio:
        """See ``Voice``. ``pitch`` has no effect: these voices have theirs.

        Raises:
            MissingPartError: the voice speaks another language.
        """
        if language.split("-")[0] != self._language.split("-")[0]:
            raise MissingPartError(
                f"this Piper voice speaks {self._language}, not {language}",
                fix=f"name a voice for {language}",
            )
        if not any(c.isalnum() for c in text):
            return SpokenAudio(np.zeros(0, np.float32), self._rate, ())
        ids = np.array([self._encode(text)], np.int64)
        feed: dict[str, npt.NDArray[Any]] = {
            "input": ids,
            "input_lengths": np.array([ids.shape[1]], np.int64),
            "scales": np.array([self._noise, self._length / rate, self._length_noise], np.float32),
        }
        if self._speaker is not None:
            feed["sid"] = np.array([self._speaker], np.int64)
        samples = np.asarray(self._session.run(feed)[0], np.float32).reshape(-1)
        return SpokenAudio(np.clip(samples, -1.0, 1.0), self._rate, ())

    def close(self) -> None:
        """End the spelling worker."""
        self._espeak.close()

    def _encode(self, text: str) -> list[int]:
        """Ids of the pronunciation, a pad after each; symbols the voice does not know are left out."""
        ids = [*self._begin, *self._pad]
        for symbol in self._spell(text):
            if symbol in self._ids:
                ids += [*self._ids[symbol], *self._pad]
        return [*ids, *self._end]

    def _spell(self, text: str) -> str:
        """IPA with the marks of punctuation, which espeak-ng leaves out, put back."""
        spelt = ""
        for piece in _PUNCTUATION.split(text):
            if _PUNCTUATION.fullmatch(piece):
                spelt = spelt.rstrip() + piece + " "
            elif any(c.isalnum() for c in piece):
                spelt += self._espeak.spell(piece, language=self._language)
        return unicodedata.normalize("NFD", spelt.strip())


def _settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadModelError(
            f"{path}: the settings of a Piper voice cannot be read: {error}", fix=_FIX
        ) from None
    if not isinstance(found, dict):
        raise BadModelError(f"{path}: not the settings of a Piper voice", fix=_FIX)
    return found


def _id_list(value: object) -> list[int]:
    if not isinstance(value, list) or not all(type(i) is int and 0 <= i < 1 << 31 for i in value):
        raise ValueError(f"phoneme_id_map holds {str(value)[:40]}")
    return value


def _within(value: object, low: float, high: float) -> float:
    if not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{str(value)[:40]} is no number from {low:g} to {high:g}")
    return float(value)
