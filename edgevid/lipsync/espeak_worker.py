#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-alone speech worker over libespeak-ng (GPL-3.0-or-later, as this file).

A program of its own, not a module: it imports the standard library alone, is run as a separate process, and
talks over its standard input and output. Integers are little-endian.

    espeak_worker.py LIBRARY [DATA_FOLDER]

    in:  u32 length | JSON {"text", "voice", "rate", "pitch"}   to speak
            rate: words per minute, 80..450; pitch: 0..100, 50 is the voice's own
                    or {"text", "voice"}                        to spell
    out: u32 header length | u32 sound length | JSON header | int16 mono samples
            header: {"rate": Hz, "phonemes": [[IPA symbol, first sample], ...]}   "" is silence
                 or {"spelling": "IPA, with stress"}, no sound
                 or {"error": "...", "kind": "voice" | "library"}, no sound

The first frame out comes unasked: {"version": "1.51", "rate": 22050}, or the error of a library that cannot
be loaded; then the worker ends. It also ends with its input.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from typing import IO, Any

_SYNCHRONOUS = 2
_PHONEME_EVENTS, _IPA, _DONT_EXIT = 1, 2, 0x8000
_RATE, _PITCH = 1, 3
_BY_CHARACTER = 1
_UTF8 = 1
_EVENT_END_OF_LIST, _EVENT_PHONEME = 0, 7


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Speaker:
    """The library, which is one per process."""

    def __init__(self, library: str, data: bytes | None) -> None:
        self._espeak = ctypes.CDLL(library)
        self._espeak.espeak_Info.restype = self._espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
        options = _PHONEME_EVENTS | _IPA | _DONT_EXIT
        self.rate = self._espeak.espeak_Initialize(_SYNCHRONOUS, 0, data, options)
        if self.rate <= 0:
            raise OSError(f"{library}: espeak-ng found no data")
        self.version = self._espeak.espeak_Info(None).decode().split()[0]
        self._voice = ""
        self._sound: list[bytes] = []
        self._phonemes: list[tuple[str, int]] = []
        self._callback = _Callback(self._take)  # kept: the library holds only its address
        self._espeak.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, rate: int, pitch: int) -> tuple[bytes, list[tuple[str, int]]]:
        """Return the samples as bytes, and the phonemes."""
        self._take_voice(voice)
        self._espeak.espeak_SetParameter(_RATE, rate, 0)
        self._espeak.espeak_SetParameter(_PITCH, pitch, 0)
        self._sound, self._phonemes = [], []
        data = _encoded(text)
        if self._espeak.espeak_Synth(data, len(data) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None) != 0:
            raise RuntimeError("espeak-ng could not speak")
        return b"".join(self._sound), self._phonemes

    def spell(self, text: str, voice: str) -> str:
        """Return the pronunciation."""
        self._take_voice(voice)
        rest, spelt = ctypes.c_char_p(_encoded(text)), []
        while rest.value:  # the library takes a clause and moves the pointer; to null at the end
            found = self._espeak.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA)
            spelt.append((found or b"").decode("utf-8", "ignore"))
        return " ".join(spelt)

    def _take_voice(self, voice: str) -> None:
        if voice != self._voice:
            if self._espeak.espeak_SetVoiceByName(voice.encode()) != 0:
                self._voice = ""  # the library may have changed something all the same
                raise LookupError(f"espeak-ng has no voice {voice!r}")
            self._voice = voice

    def _take(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._sound.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while events and events[index].type != _EVENT_END_OF_LIST:
            event = events[index]
            if event.type == _EVENT_PHONEME:
                # Eight bytes, what stands after the first zero is left from earlier symbols.
                raw = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0]
                self._phonemes.append((raw.decode("utf-8", "ignore"), event.sample))
            index += 1
        return 0


def _encoded(text: str) -> bytes:
    return text.replace("\0", " ").encode("utf-8", "replace")


def _send(out: IO[bytes], header: dict[str, Any], sound: bytes = b"") -> None:
    encoded = json.dumps(header).encode()
    out.write(struct.pack("<II", len(encoded), len(sound)) + encoded + sound)
    out.flush()


def _answer(out: IO[bytes], speaker: Speaker, request: dict[str, Any]) -> None:
    try:
        if "rate" in request:
            sound, phonemes = speaker.say(
                request["text"], request["voice"], request["rate"], request["pitch"]
            )
            _send(out, {"rate": speaker.rate, "phonemes": phonemes}, sound)
        else:
            _send(out, {"spelling": speaker.spell(request["text"], request["voice"])})
    except LookupError as error:
        _send(out, {"error": str(error), "kind": "voice"})


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the library prints is no frame
    library, data = sys.argv[1], sys.argv[2].encode() if len(sys.argv) > 2 else None
    try:
        speaker = Speaker(library, data)
    except (OSError, AttributeError) as error:
        _send(out, {"error": str(error), "kind": "library"})
        return
    _send(out, {"version": speaker.version, "rate": speaker.rate})
    while len(head := sys.stdin.buffer.read(4)) == 4:
        body = sys.stdin.buffer.read(struct.unpack("<I", head)[0])
        _answer(out, speaker, json.loads(body))


if __name__ == "__main__":
    main()
