"""The speech programs of this machine; tests that need one skip visibly without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgevid.core.errors import MissingPartError
from edgevid.lipsync.apertium import ApertiumTranslator
from edgevid.lipsync.espeak import EspeakVoice


@pytest.fixture
def voice() -> Iterator[EspeakVoice]:
    """A real espeak-ng voice."""
    try:
        voice = EspeakVoice()
    except MissingPartError as error:
        pytest.skip(str(error))
    yield voice
    voice.close()


@pytest.fixture
def translator() -> Iterator[ApertiumTranslator]:
    """Real Apertium, English and Spanish."""
    try:
        translator = ApertiumTranslator(pairs=[("en", "es")])
    except MissingPartError as error:
        pytest.skip(str(error))
    yield translator
    translator.close()
