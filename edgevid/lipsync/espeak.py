"""The voice that needs no model: espeak-ng, in a process of its own (``espeak_worker.py``: GPL, apart).

Its sound is that of a formant synthesiser: clear, plainly a robot. It speaks a hundred languages, tells when
each phoneme begins, and takes a few milliseconds for a clause.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

from edgevid.core.errors import BadInputError, EdgevidError, MissingPartError
from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync.nouns import Phoneme
from edgevid.lipsync.process_line import LineDiedError, LineHungError, Pool, ProcessLine
from edgevid.lipsync.protocols import SpokenAudio

INSTALL = "apt-get install libespeak-ng1 espeak-ng-data, or pip install 'edgevid[tts]'"

_WORKER = Path(__file__).with_name("espeak_worker.py")
_SYSTEM_LIBRARY = "libespeak-ng.so.1"
_START_S, _TIMEOUT_S = 10.0, 10.0
_MAX_TEXT = 10_000
_HEAD = struct.Struct("<II")

_WORDS_PER_MINUTE, _FIXED_PART = 175, 0.13
"""Speed at rate 1, and the share of the duration there that speed does not change (measured: es, en, de)."""
_SLOWEST, _FASTEST = 80, 450
_PITCH_SETTINGS = (0, 25, 50, 75, 100)
_PITCHES = (0.67, 0.79, 1.0, 1.28, 1.68)  # of these settings, measured, as is the next line
_FEMALE, _FEMALE_FROM = 1.9, 1.5


class EspeakVoice:
    """Speaks through espeak-ng. Any thread may call; clauses are spoken one after the other.

    Args:
        variant: of the voice, as espeak-ng names them (``f2``, ``m3``, ``croak``).
        library: path or name of libespeak-ng; default: the system's, else that of espeakng-loader.
        data: its data folder, when not where the library looks.

    Raises:
        MissingPartError: no library.
    """

    def __init__(
        self, *, variant: str | None = None, library: str | None = None, data: Path | None = None
    ) -> None:
        self._variant = variant
        candidates = [(library, data)] if library else list(_libraries())
        self._pool, self.version = _first_that_starts(candidates)

    @property
    def restarts(self) -> int:
        """How often the worker died and was started anew."""
        return self._pool.restarts

    @property
    def pids(self) -> list[int]:
        """The worker's process."""
        return self._pool.pids

    def speak(self, text: str, *, language: str, rate: float = 1.0, pitch: float = 1.0) -> SpokenAudio:
        """See ``Voice``. ``rate`` 1 is 175 words a minute, ``pitch`` 1 about 100 Hz.

        Unless a variant was named, pitches from 1.5 up are spoken by espeak's second female voice.

        Text without anything to say gives no samples.

        Raises:
            BadInputError: more than 10,000 characters.
            MissingPartError: no voice for ``language``.
            EdgevidError: the worker died twice on this text, or hung.
        """
        if not any(c.isalnum() for c in text):
            return SpokenAudio(np.zeros(0, np.float32), 22_050, ())
        variant, own_pitch = self._variant_for(pitch)
        request = {
            "text": text,
            "voice": language + variant,
            "rate": _words_per_minute(rate),
            "pitch": _pitch_setting(pitch / own_pitch),
        }
        header, sound = self._ask(request)
        samples = np.frombuffer(sound, "<i2").astype(np.float32) / np.float32(32768)
        return SpokenAudio(samples, header["rate"], tuple(_phonemes(header, len(samples))))

    def spell(self, text: str, *, language: str) -> str:
        """How ``text`` is pronounced, in IPA with stress marks, without punctuation. Raises as ``speak``."""
        spelling = self._ask({"text": text, "voice": language})[0]["spelling"]
        return str(spelling)

    def close(self) -> None:
        """End the worker."""
        self._pool.close()

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        if len(request["text"]) > _MAX_TEXT:
            raise BadInputError(f"{len(request['text'])} characters are over the limit of {_MAX_TEXT}")
        encoded = json.dumps(request).encode()
        header, sound = _parse(self._pool.ask(struct.pack("<I", len(encoded)) + encoded, _whole))
        if header.get("kind") == "voice":
            raise MissingPartError(header["error"], fix="espeak-ng --voices lists them")
        return header, sound

    def _variant_for(self, pitch: float) -> tuple[str, float]:
        """What to add to the voice's name, and the pitch factor that this alone brings."""
        if self._variant is not None:
            return f"+{self._variant}", 1.0
        return ("+f2", _FEMALE) if pitch >= _FEMALE_FROM else ("", 1.0)


def _libraries() -> Iterator[tuple[str, Path | None]]:
    yield _SYSTEM_LIBRARY, None
    package = util.find_spec("espeakng_loader")
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent
        yield str(folder / "libespeak-ng.so"), folder / "espeak-ng-data"


class _Starter:
    """Starts workers of one library."""

    def __init__(self, library: str, data: Path | None) -> None:
        arguments = [library] if data is None else [library, str(data)]
        self._command = [sys.executable, "-I", "-S", str(_WORKER), *arguments]
        self.version = ""

    def __call__(self) -> ProcessLine:
        line = ProcessLine([self._command])
        try:
            header, _ = _parse(line.ask(b"", _whole, timeout_s=_START_S))
        except (LineDiedError, LineHungError) as error:
            line.close()
            raise EdgevidError(f"the speech worker did not start: {error}") from None
        if "error" in header:
            line.close()
            raise MissingPartError(header["error"], fix=INSTALL)
        self.version = header["version"]
        return line


def _first_that_starts(candidates: list[tuple[str, Path | None]]) -> tuple[Pool, str]:
    refused = []
    for library, data in candidates:
        starter = _Starter(library, data)
        try:
            return Pool("espeak-ng", starter, timeout_s=_TIMEOUT_S), starter.version
        except MissingPartError as error:
            refused.append(error.message)
    raise MissingPartError(f"espeak-ng is missing ({'; '.join(refused)})", fix=INSTALL)


def _words_per_minute(rate: float) -> int:
    """The setting at which a text takes 1 / rate of its time, by: fixed + (1 - fixed) 175 / setting."""
    variable = 1 / rate - _FIXED_PART
    wanted = _WORDS_PER_MINUTE * (1 - _FIXED_PART) / variable if variable > 0 else _FASTEST
    return round(min(max(wanted, _SLOWEST), _FASTEST))


def _pitch_setting(pitch: float) -> int:
    return round(float(np.interp(pitch, _PITCHES, _PITCH_SETTINGS)))


def _whole(answer: bytearray) -> bool:
    return len(answer) >= _HEAD.size and len(answer) >= _HEAD.size + sum(_HEAD.unpack_from(answer))


def _parse(answer: bytes) -> tuple[dict[str, Any], bytes]:
    length, _ = _HEAD.unpack_from(answer)
    return json.loads(answer[_HEAD.size : _HEAD.size + length]), answer[_HEAD.size + length :]


def _phonemes(header: dict[str, Any], total: int) -> Iterator[Phoneme]:
    """Each lasts until the next begins; stress marks and silences are left out."""
    rate, found = header["rate"], header["phonemes"]
    ends = [sample for _, sample in found[1:]] + [total]
    for (symbol, start), end in zip(found, ends, strict=True):
        bare = symbol.strip("ˈˌ_:")
        if bare and end > start:
            yield Phoneme(bare, start * NS_PER_S // rate, end * NS_PER_S // rate)
