"""What the listening stages make of a recogniser's words."""

from __future__ import annotations

import numpy as np
import pytest

from edgevid.core.nouns import TimeSpan
from edgevid.lipsync.clauses import ClauseSegmenter, Cut
from edgevid.lipsync.flow import Said
from edgevid.lipsync.hearing import Generation, Listener
from edgevid.lipsync.nouns import Floats
from edgevid.perception.held_sound import Utterance


class _Says:
    def __init__(self, text: str) -> None:
        self._text = text

    def recognize(self, samples: Floats, rate: int) -> str:
        return self._text

    def close(self) -> None:
        pass


class _Deaf:
    def __call__(self, windows: Floats, /) -> Floats:
        return np.zeros(len(windows), np.float32)

    def reset(self) -> None:
        pass


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("Well,, yes.", "Well, yes."),
        ("Well, , , yes", "Well, yes"),
        ("one; two: three, four", "one; two: three, four"),
        ("And then... who?!", "And then... who?!"),
    ],
)
def test_repeated_commas_are_one(heard: str, kept: str) -> None:
    said = _listen(_Says(heard))
    assert said.clause.text == kept


def _listen(recognizer: _Says) -> Said:
    segmenter = ClauseSegmenter(_Deaf(), language="en")
    listener = Listener(recognizer, segmenter, language="en", generation=Generation(), drafts=False)
    utterance = Utterance(np.zeros(1600, np.float32), TimeSpan(0, 100_000_000), 0.9)
    said = listener(Cut(0, utterance, as_drafted=False, forced=False, waited_ms=300.0))
    assert isinstance(said, Said)
    return said
