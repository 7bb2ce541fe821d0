"""Times named in a question ("at 0:20", "in the first 5 seconds", "at the end") as the part that is "
"meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from edgevid.core.nouns import NS_PER_S, TimeSpan

_NUMBER = r"one|two|three|four|five|six|seven|eight|nine|ten|fifteen|twenty|thirty"
_CLOCK = (
    r"(?:(?:(\d+):)?(\d{1,2}):(\d{2})"
    rf"|(?:second |t ?= ?)?(\d+(?:\.\d+)?|{_NUMBER}) ?(s|secs?|seconds?|m|min|mins|minutes?)\b"
    rf"|second (\d+)\b)"
)
_COUNT = 6  # groups in _CLOCK
_AT = re.compile(rf"\b(at|around|about|near|by|@) (?:the )?{_CLOCK}(?: (?:mark|in|into it|into the video))?")
_BETWEEN = re.compile(rf"\b(?:between|from) {_CLOCK} (?:and|to|until|till) {_CLOCK}")
_FIRST = re.compile(rf"\b(?:in|during|within|for|over) the (?:first|opening|initial) {_CLOCK}")
_LAST = re.compile(rf"\b(?:in|during|within|for|over) the (?:last|final|closing) {_CLOCK}")
_AFTER = re.compile(rf"\b(?:after|since|past|from) {_CLOCK}")
_BEFORE = re.compile(rf"\b(?:before|until|till|up to) {_CLOCK}")
_HALF = re.compile(
    r"\b(?:in|during|within) the (first|second|last) (half|third|quarter)(?: of (?:the|this) \w+)?\b"
)
_MIDDLE = re.compile(r"\b(?:in|at|around|about) the (?:middle|halfway point|midpoint)\b|\bhalf ?way\b")
_START = re.compile(
    r"\b(?:at|in|from|right at) (?:the )?(?:very )?(?:start|beginning|outset|opening)\b|^initially\b"
    r"|\bat first\b"
    r"|\bin the (?:very )?first (?:frame|shot|scene|moment|picture|image)\b|\b(?:to"
    r"|in the) begin(?: with)?\b"
    r"|\bwhen (?:the|this) (?:video|clip) (?:starts|begins|opens)\b|\binitially$"
)
_END = re.compile(
    r"\b(?:at|in|by|towards?|near|right at) (?:the )?(?:very )?end\b|\bin the (?:very )?(?:last|final) "
    r"(?:frame|shot|scene|moment|picture|image)\b|\bwhen (?:the|this) (?:video|clip) (?:ends|stops"
    r"|finishes)\b"
)
_SCENES = ("first", "second", "third", "fourth", "fifth", "sixth")
_SCENE = re.compile(
    rf"\b(?:in|of|during|within) (?:the |its )?({'|'.join(_SCENES)}|last|final) (?:scene|shot)\b"
)
_TIMED = (_BETWEEN, _FIRST, _LAST, _AT, _AFTER, _BEFORE, _HALF)
_WORDS = dict(zip(_NUMBER.split("|"), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30), strict=True))
_AT_NS = NS_PER_S // 2  # "at 0:20" is as exact as a time rounded to the second
_AROUND_NS = 3 * NS_PER_S // 2
_EDGE_NS = 3 * NS_PER_S // 2  # "at the start" reaches this far


def named_window(question: str, duration_ns: int) -> TimeSpan | None:
    """The span a question names, inside ``[0, duration_ns]``; None when it names none."""
    text = " ".join(question.lower().split())
    if match := _BETWEEN.search(text):
        span = _ns(match.groups()[:_COUNT]), _ns(match.groups()[_COUNT:])
    elif match := _FIRST.search(text):
        span = 0, _ns(match.groups())
    elif match := _LAST.search(text):
        span = duration_ns - _ns(match.groups()), duration_ns
    elif match := _AT.search(text):
        at, reach = _ns(match.groups()[1:]), _AT_NS if match.group(1) == "at" else _AROUND_NS
        span = at - reach, at + reach
    elif match := _AFTER.search(text):
        span = _ns(match.groups()), duration_ns
    elif match := _BEFORE.search(text):
        span = 0, _ns(match.groups())
    elif match := _HALF.search(text):
        span = _part(match.group(1), match.group(2), duration_ns)
    else:
        return None
    start_ns, end_ns = (min(max(t, 0), duration_ns) for t in span)
    return TimeSpan(min(start_ns, end_ns), max(start_ns, end_ns))


def named_part(question: str, duration_ns: int) -> TimeSpan | None:
    """The start, middle or end of the video when the question asks for it in words."""
    text = " ".join(re.sub(r"[?!.,]", " ", question.lower()).split())
    edge_ns = min(_EDGE_NS, duration_ns)
    if _START.search(text):
        return TimeSpan(0, edge_ns)
    if _END.search(text):
        return TimeSpan(duration_ns - edge_ns, duration_ns)
    if _MIDDLE.search(text):
        return TimeSpan(duration_ns // 3, duration_ns * 2 // 3)
    return None


def named_scene(question: str, cuts_ns: Sequence[int], duration_ns: int) -> TimeSpan | None:
    """The scene between two cuts that a plain question restricts itself to ("in the third shot")."""
    match = _SCENE.search(question)
    if match is None:
        return None
    edges = [0, *cuts_ns, duration_ns]
    at = -1 if match.group(1) in ("last", "final") else _SCENES.index(match.group(1))
    scenes = [TimeSpan(start, max(start, end - 1)) for start, end in pairwise(edges)]
    return scenes[at] if -len(scenes) <= at < len(scenes) else None


def without_times(question: str) -> str:
    """The question with the phrases above removed, so that their words are no subject."""
    for pattern in _TIMED:
        question = pattern.sub(" ", question)
    return question


def _part(which: str, part: str, duration_ns: int) -> tuple[int, int]:
    size = duration_ns // {"half": 2, "third": 3, "quarter": 4}[part]
    if which == "first":
        return 0, size
    return (size, 2 * size) if which == "second" else (duration_ns - size, duration_ns)


def _ns(groups: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, plain, unit, second = groups
    if plain is not None:
        value = _WORDS[plain] if plain in _WORDS else float(plain)
        return int(value * NS_PER_S * (60 if (unit or "s")[0] == "m" else 1))
    if second is not None:
        return int(second) * NS_PER_S
    return ((int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * NS_PER_S
