"""Scores one answer against what its question expects; pure functions over text and cited spans.

The kinds of expectation are described in ``questions/README.md``. Only what the answer *states* counts: a
denied label is no label, a hedged yes is no yes, and a list of everything is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgevid.bench.answer_text import (
    Stated,
    affirms,
    clauses,
    declines,
    denies,
    fold,
    hedges,
    numbers,
    refuses_language,
    says_yes,
    sentences,
    singular,
    times,
    unquoted,
    without_times,
    words,
)

Expect = Mapping[str, Any]
Spans = Sequence[tuple[float, float]]

MAX_LABELS = 12
MAX_TIMES = 8
TIME_TOLERANCE_S = 1.5
WORDS_SLACK = 40
INVENTED_TOLERANCE_S = 1.0


def score(expect: Expect, answer_text: str, evidence: Spans = (), verdict: str | None = None) -> bool:
    """Whether the answer meets the expectation.

    Args:
        expect: ``{"kind": ..., ...}``; ``cites`` (any kind): spans of which one must be near a cited span.
        answer_text: what the answerer wrote.
        evidence: cited spans ``(start_s, end_s)``.
        verdict: "yes", "no" or "cannot" where the answerer also says so by program; one that contradicts the
            expectation fails an answer whose text would pass. It never saves a text.

    Raises:
        ValueError: unknown kind.
    """
    kind = expect["kind"]
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of expectation: {kind!r}")
    if verdict in ("yes", "no", "cannot") and verdict not in _VERDICTS.get(kind, ("yes", "no", "cannot")):
        return False
    if "cites" in expect and not _cites(
        expect["cites"], evidence, expect.get("tolerance_s", TIME_TOLERANCE_S)
    ):
        return False
    return bool(answer_text.strip()) and _KINDS[kind](expect, answer_text, evidence)


def invented_times(answer_text: str, cited_row_spans: Spans, duration_s: float) -> list[float]:
    """Times stated in the text that nothing cited supports, in seconds.

    A moment or an end of a range is supported by a start or end of a cited span within 1 s, or by the end of
    the video; a length ("for 4 s") by the length of a cited span, the sum of all, the distance from the first
    to the last, or the video's duration.
    """
    edges = {duration_s, *(edge for span in cited_row_spans for edge in span)}
    lengths = {duration_s, sum(b - a for a, b in cited_row_spans)}
    lengths |= {b - a for a, b in cited_row_spans}
    if cited_row_spans:
        lengths.add(max(b for _, b in cited_row_spans) - min(a for a, _ in cited_row_spans))
    invented = []
    for stated in times(answer_text):
        supports = lengths if stated.is_length else edges
        for value in (stated.end_s,) if stated.is_length else sorted({stated.start_s, stated.end_s}):
            if all(abs(value - support) > INVENTED_TOLERANCE_S for support in supports):
                invented.append(value)
    return invented


def _cites(wanted: Spans, evidence: Spans, tolerance: float) -> bool:
    return any(a - tolerance <= end and start <= b + tolerance for a, b in wanted for start, end in evidence)


def _yes(expect: Expect, text: str, evidence: Spans) -> bool:
    first = sentences(text)[0]
    if hedges(first) or declines(first):
        return False
    if says_yes(first):
        return not denies(re.split(r"\bbut\b", first)[0])
    head = clauses(text)[0]
    about = expect.get("about")
    return bool(about) and affirms(head) and any(_has(label, head) for label in about or ())


def _no(expect: Expect, text: str, evidence: Spans) -> bool:
    first = sentences(text)[0]
    none = re.match(r"0(?!\d|:|\.\d|\s*[-–])", first.strip()) is not None
    return not (says_yes(first) or declines(first) or hedges(first)) and (none or denies(clauses(text)[0]))


def _cannot(expect: Expect, text: str, evidence: Spans) -> bool:
    if any(_has(label, fold(text)) for label in expect.get("none_of", ())):
        return False
    return not says_yes(sentences(text)[0]) and any(declines(s) for s in sentences(text)[:2])


def _no_or_cannot(expect: Expect, text: str, evidence: Spans) -> bool:
    return _no(expect, text, evidence) or _cannot(expect, text, evidence)


def _labels(expect: Expect, text: str, evidence: Spans) -> bool:
    stated = [c for c in clauses(text) if not denies(c) and not declines(c)]
    joined = " ; ".join(without_times(clause) for clause in stated)
    if any(_has(label, joined) for label in expect.get("none_of", ())):
        return False
    if _listed(joined) > expect.get("max_labels", MAX_LABELS):
        return False

    def hits(groups: Sequence[Sequence[str]]) -> int:
        return sum(any(_has(label, joined) for label in group) for group in groups)

    every, some = expect.get("all_of", ()), expect.get("any_of", ())
    wanted = expect.get("min_hits", 1) if some else 0
    return hits(every) == len(every) and hits(some) >= wanted


def _has(label: str, text: str) -> bool:
    wanted = [singular(w) for w in re.findall(r"[a-z']+|\d+", fold(label))]
    have = [singular(w) for w in re.findall(r"[a-z']+|\d+", text)]
    return any(have[i : i + len(wanted)] == wanted for i in range(len(have) - len(wanted) + 1))


def _listed(text: str) -> int:
    """How many items the text lists: parts between commas, "and" or "or" that hold a letter besides times."""
    parts = re.split(r",|;|\band\b|\bor\b|\|", unquoted(text))
    return sum(bool(re.search(r"[a-z]", part)) for part in parts)


def _time(expect: Expect, text: str, evidence: Spans) -> bool:
    if denies(clauses(text)[0]) or declines(clauses(text)[0]):
        return False
    tolerance, which = expect.get("tolerance_s", TIME_TOLERANCE_S), expect.get("which", "any")
    wanted = [(a - tolerance, b + tolerance) for a, b in expect["spans"]]
    stated = [t for t in times(text) if not t.is_length]
    if not stated:
        return False
    if which == "first":
        return _within(min(t.start_s for t in stated), wanted[0])
    if which == "last":
        ends = (max(t.start_s for t in stated), max(t.end_s for t in stated))
        return any(_within(t, wanted[-1]) for t in ends)
    good = [t for t in stated if any(_inside(t, span) for span in wanted)]
    if len(stated) > expect.get("max_times", MAX_TIMES) or 2 * len(good) < len(stated):
        return False
    return bool(good) if which == "any" else all(any(_inside(t, span) for t in good) for span in wanted)


def _within(t: float, span: tuple[float, float]) -> bool:
    return span[0] <= t <= span[1]


def _inside(stated: Stated, span: tuple[float, float]) -> bool:
    """A moment in the span, or a range at least half of which is in it."""
    shared = min(stated.end_s, span[1]) - max(stated.start_s, span[0])
    return shared >= 0 and 2 * shared >= stated.end_s - stated.start_s


def _count(expect: Expect, text: str, evidence: Spans) -> bool:
    value, tolerance = expect["value"], expect.get("tolerance", 0)
    found = numbers(text)
    if not found:
        head = clauses(text)[0]
        if denies(head):
            found = [] if declines(head) else [0]
        elif re.search(r"\ban?\b", head):
            found = [1]
    return bool(found) and abs(found[0] - value) <= tolerance


def _duration(expect: Expect, text: str, evidence: Spans) -> bool:
    stated = times(text)
    lengths = [t.end_s for t in stated if t.is_length] or [t.end_s - t.start_s or t.end_s for t in stated]
    return bool(lengths) and abs(lengths[0] - expect["seconds"]) <= expect.get(
        "tolerance_s", TIME_TOLERANCE_S
    )


def _words(expect: Expect, text: str, evidence: Spans) -> bool:
    wanted, have = words(expect["text"]), words(without_times(text))
    if len(have) > max(WORDS_SLACK, 4 * len(wanted)):
        return False
    row = [0] * (len(have) + 1)
    for word in wanted:
        diagonal = 0
        for i, other in enumerate(have, 1):
            diagonal, row[i] = row[i], diagonal + 1 if word == other else max(row[i], row[i - 1])
    return row[-1] >= float(expect.get("min_recall", 0.7)) * len(wanted)


def _refuse_language(expect: Expect, text: str, evidence: Spans) -> bool:
    return refuses_language(text)


def _either(expect: Expect, text: str, evidence: Spans) -> bool:
    return any(score(part, text, evidence) for part in expect["of"])


def _both(expect: Expect, text: str, evidence: Spans) -> bool:
    return all(score(part, text, evidence) for part in expect["of"])


_KINDS: dict[str, Callable[[Expect, str, Spans], bool]] = {
    "yes": _yes,
    "no": _no,
    "cannot": _cannot,
    "no_or_cannot": _no_or_cannot,
    "labels": _labels,
    "time": _time,
    "count": _count,
    "duration": _duration,
    "words": _words,
    "refuse_language": _refuse_language,
    "either": _either,
    "both": _both,
}
_VERDICTS = {"yes": ("yes",), "no": ("no",), "cannot": ("cannot",), "no_or_cannot": ("no", "cannot")}
KINDS = frozenset(_KINDS)
