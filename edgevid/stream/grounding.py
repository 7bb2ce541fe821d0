"""Does a language model's draft say only what the cited rows say? Times, numbers and labels are checked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgevid.core.nouns import NS_PER_S
from edgevid.memory.memory import Row
from edgevid.stream.answer.normal import stems
from edgevid.stream.answer.vocabulary import Vocabulary

_TOLERANCE_S = 1.0
_NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
}
_TIME = re.compile(r"\b(?:(\d+):)?(\d{1,2}):(\d{2})\b|\b(\d+(?:\.\d+)?)\s*(?:s|sec|secs|seconds?)\b")


def ungrounded(draft: str, question: str, rows: Sequence[Row], vocabulary: Vocabulary) -> list[str]:
    """What in ``draft`` no row supports, as short phrases; empty when everything checked is supported.

    Checked are times (within 1 s of a row's start or end), other numbers (a row's count or words, or the
    question's), and every word a detector could have said (a row's label or words, or the question's).
    """
    return [
        *_times(draft, rows),
        *_numbers(draft, question, rows),
        *_labels(draft, question, rows, vocabulary),
    ]


def _times(draft: str, rows: Sequence[Row]) -> list[str]:
    ends_s = [
        t / NS_PER_S for row in rows for t in (row.observation.span.start_ns, row.observation.span.end_ns)
    ]
    missing = []
    for match in _TIME.finditer(draft):
        hours, minutes, seconds, plain_s = match.groups()
        time_s = float(plain_s) if plain_s else int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
        if not any(abs(time_s - end_s) <= _TOLERANCE_S for end_s in ends_s):
            missing.append(f"time {match.group(0)}")
    return missing


def _numbers(draft: str, question: str, rows: Sequence[Row]) -> list[str]:
    said = _all_numbers(_TIME.sub(" ", draft))
    known = {float(row.observation.count) for row in rows} | _all_numbers(question)
    for row in rows:
        known |= _all_numbers(row.observation.label)
    return [f"number {value:g}" for value in sorted(said - known)]


def _all_numbers(text: str) -> set[float]:
    digits = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)}
    return digits | {float(_NUMBER_WORDS[word]) for word in text.lower().split() if word in _NUMBER_WORDS}


def _labels(draft: str, question: str, rows: Sequence[Row], vocabulary: Vocabulary) -> list[str]:
    known = {word for row in rows for word in stems(row.observation.label)} | set(stems(question))
    seen = {row.observation.label for row in rows}
    missing = []
    for term in vocabulary.find(stems(draft)):
        meant = {label for labels in term.labels.values() for label in labels}
        if not meant & seen and not set(term.phrase.split()) <= known:
            missing.append(f"label {term.phrase}")
    return missing
