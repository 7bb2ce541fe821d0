"""Times named in a question ("at 0:20", "in the first 5 seconds") as the part of the video that is meant."""

from __future__ import annotations

import re

from edgevid.core.nouns import NS_PER_S, TimeSpan

_CLOCK = r"(?:(?:(\d+):)?(\d{1,2}):(\d{2})|(\d+(?:\.\d+)?) ?(?:s|secs?|seconds?)\b)"
_AT = re.compile(rf"\b(?:at|around|about|near|@) (?:the )?{_CLOCK}(?: mark)?")
_BETWEEN = re.compile(rf"\b(?:between|from) {_CLOCK} (?:and|to|until|till) {_CLOCK}")
_FIRST = re.compile(rf"\b(?:in|during|within) the first {_CLOCK}")
_LAST = re.compile(rf"\b(?:in|during|within) the last {_CLOCK}")
_AFTER = re.compile(rf"\b(?:after|since) {_CLOCK}")
_BEFORE = re.compile(rf"\b(?:before|until|till|by) {_CLOCK}")


def named_window(question: str, duration_ns: int) -> TimeSpan | None:
    """The span a question names, inside ``[0, duration_ns]``; None when it names none."""
    text = " ".join(question.lower().split())
    if match := _BETWEEN.search(text):
        span = _ns(match.groups()[:4]), _ns(match.groups()[4:])
    elif match := _FIRST.search(text):
        span = 0, _ns(match.groups())
    elif match := _LAST.search(text):
        span = duration_ns - _ns(match.groups()), duration_ns
    elif match := _AT.search(text):
        span = _ns(match.groups()), _ns(match.groups()) + 1
    elif match := _AFTER.search(text):
        span = _ns(match.groups()), duration_ns
    elif match := _BEFORE.search(text):
        span = 0, _ns(match.groups())
    else:
        return None
    start_ns, end_ns = (min(max(t, 0), duration_ns) for t in span)
    return TimeSpan(min(start_ns, end_ns), max(start_ns, end_ns))


def without_times(question: str) -> str:
    """The question with the phrases above removed, so that their words are no subject."""
    for pattern in (_BETWEEN, _FIRST, _LAST, _AT, _AFTER, _BEFORE):
        question = pattern.sub(" ", question)
    return question


def _ns(groups: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, plain = groups
    if plain is not None:
        return int(float(plain) * NS_PER_S)
    return ((int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * NS_PER_S
