"""Rows of the timeline that bear on a question, joined into spans."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from edgevid.core.nouns import NS_PER_S, Evidence, Kind, TimeSpan
from edgevid.memory.memory import Row
from edgevid.stream.answer.vocabulary import Term
from edgevid.stream.answer.watched import Watched

_JOIN_NS = 3 * NS_PER_S // 2  # gaps up to this are a detector's blink, not an absence
_TOUCH_NS = NS_PER_S // 4
_CLASS_FLOOR = 0.35  # frame classes below this are guesses
_VISUAL: tuple[Kind, ...] = ("object", "class")
_READ_ALIKE = 0.6
_FAINT_SCORE = 0.25
_FAINT_NS = NS_PER_S  # two looks at the default rate
# Of what the detector sees weakly but steadily these are mostly there; small things seldom are
# (docs/model_cards/centernet-coco.md).
_STEADY = frozenset("person bicycle car motorcycle boat bench chair couch bed".split()) | {
    "dining table",
    "potted plant",
}


@dataclass(frozen=True, slots=True)
class Match:
    """What was found for one term.

    Attributes:
        rows: in order of time; all heard or all seen.
        label: the label they carry most of the time.
        exact: whether that label is what the term says ("man" found as "person" is not).
        faint: all of it was seen too weakly to be reported unasked.
    """

    rows: tuple[Row, ...]
    label: str
    exact: bool
    faint: bool = False

    @property
    def spans(self) -> tuple[Evidence, ...]:
        """The rows joined where gaps are shorter than a detector's blink."""
        return join(self.rows)


def find(rows: Sequence[Row], term: Term, kinds: Iterable[Kind]) -> Match | None:
    """Rows of the first of ``kinds`` that hold ``term``; None when no channel saw or heard it."""
    for kind in kinds:
        hits = tuple(row for row in rows if holds(row, term, (kind,)))
        if hits:
            return Match(hits, commonest(hits), _is_exact(term, commonest(hits)))
    return None


def visual_first(heard: bool) -> tuple[Kind, ...]:
    """Channels in the order a question is answered from."""
    return ("sound", "object", "class") if heard else ("object", "class", "sound")


def seen_or_heard(watched: Watched, term: Term) -> Match | None:
    """What was seen of ``term``, else seen faintly but steadily, else heard; None when nothing was."""
    return seen(watched, term) or find(watched.rows, term, ("sound",))


def seen(watched: Watched, term: Term) -> Match | None:
    """Objects and frame classes that hold ``term``, with faint rows where they touch these; else faint rows
    alone, where they are to be believed."""
    hits = [row for row in watched.rows if holds(row, term, _VISUAL)]
    weak = [row for row in watched.faint if row.observation.label in term.labels.get("object", ())]
    if hits:
        sure = {row.observation.label for row in hits}
        rows = _with_touching(hits, [row for row in weak if row.observation.label in sure])
        return Match(rows, commonest(hits), _is_exact(term, commonest(hits)))
    rows = tuple(row for row in faintly(watched) if row in weak)
    return Match(rows, commonest(rows), _is_exact(term, commonest(rows)), faint=True) if rows else None


def faintly(watched: Watched) -> list[Row]:
    """Faint rows of all kinds of things that are to be believed where nothing was seen surely."""
    labels = dict.fromkeys(row.observation.label for row in watched.faint)
    least_ns = min(_FAINT_NS, watched.duration_ns * 3 // 5)  # a clip of one look has no second
    return [
        row
        for label in labels
        for row in _believed([row for row in watched.faint if row.observation.label == label], least_ns)
    ]


def _believed(weak: Sequence[Row], least_ns: int) -> tuple[Row, ...]:
    steady = [row for row in weak if row.observation.label in _STEADY]
    if not steady or max(row.observation.score for row in steady) < _FAINT_SCORE:
        return ()
    spans = [e for e in join(steady) if e.span.end_ns - e.span.start_ns >= least_ns]
    kept = {row_id for e in spans for row_id in e.rows}
    return tuple(row for row in steady if row.id in kept)


def holds(row: Row, term: Term, kinds: tuple[Kind, ...] = _VISUAL) -> bool:
    """Whether a row of one of ``kinds`` counts as ``term``."""
    o = row.observation
    if o.kind not in kinds or o.label not in term.labels.get(o.kind, ()):
        return False
    return o.kind != "class" or o.score >= _CLASS_FLOOR


def _is_exact(term: Term, label: str) -> bool:
    return term.exact and term.phrase in label.lower()


def _with_touching(hits: list[Row], weak: list[Row]) -> tuple[Row, ...]:
    """``hits`` and those of ``weak`` that join them in time, directly or through each other."""
    sure = {row.id for row in hits}
    kept = {i for e in join([*hits, *weak], gap_ns=_TOUCH_NS) if sure & set(e.rows) for i in e.rows}
    rows = [row for row in (*hits, *weak) if row.id in kept]
    return tuple(sorted(rows, key=lambda row: row.observation.span.start_ns))


def join(rows: Iterable[Row], *, gap_ns: int = _JOIN_NS) -> tuple[Evidence, ...]:
    """Rows that overlap or are at most ``gap_ns`` apart to spans, in order of time."""
    spans: list[tuple[int, int, list[int]]] = []
    for row in sorted(rows, key=lambda r: r.observation.span.start_ns):
        span = row.observation.span
        if spans and span.start_ns <= spans[-1][1] + gap_ns:
            start_ns, end_ns, ids = spans[-1]
            spans[-1] = (start_ns, max(end_ns, span.end_ns), [*ids, row.id])
        else:
            spans.append((span.start_ns, span.end_ns, [row.id]))
    return tuple(Evidence(TimeSpan(start, end), tuple(ids)) for start, end, ids in spans)


def touch(earlier: Row, later: Row) -> bool:
    """Whether ``later`` begins before ``earlier`` is over, but for a blink."""
    return later.observation.span.start_ns <= earlier.observation.span.end_ns + _JOIN_NS


def gaps(spans: Sequence[Evidence], end_ns: int) -> tuple[Evidence, ...]:
    """The time in ``[0, end_ns]`` that no span covers; spans in order, apart."""
    edges = [0, *(t for e in spans for t in (e.span.start_ns, e.span.end_ns)), end_ns]
    return tuple(Evidence(TimeSpan(a, b), ()) for a, b in list(pairwise(edges))[::2] if b > a)


def read_alike(lines: Sequence[Row]) -> tuple[Row, ...]:
    """Of weakly read lines the most that read much the same, at least two: what is read twice is there."""
    best: tuple[Row, ...] = ()
    for line in lines:
        alike = tuple(
            row for row in lines if _likeness(line.observation.label, row.observation.label) >= _READ_ALIKE
        )
        best = max(best, alike, key=len)
    return best if len(best) > 1 else ()


def typical(lines: Sequence[Row]) -> Row:
    """The reading that is most like all of them, sure ones counting more."""
    return max(
        lines,
        key=lambda line: sum(
            other.observation.score * _likeness(line.observation.label, other.observation.label)
            for other in lines
        ),
    )


def _likeness(a: str, b: str) -> float:
    return SequenceMatcher(None, a.lower(), b.lower()).ratio()


def commonest(rows: Iterable[Row]) -> str:
    """The label that covers most time."""
    return max(durations(rows).items(), key=lambda item: item[1])[0]


def durations(
    rows: Iterable[Row], key: Callable[[Row], str] = lambda row: row.observation.label
) -> dict[str, int]:
    """Nanoseconds covered per label, in order of first appearance."""
    total: dict[str, int] = {}
    for row in rows:
        span = row.observation.span
        total[key(row)] = total.get(key(row), 0) + max(span.end_ns - span.start_ns, 1)
    return total


def most_at_once(rows: Iterable[Row]) -> tuple[int, Evidence]:
    """The largest count of one kind of thing at one time, and when.

    Rows of several labels (a car and a truck are two vehicles) add up while they overlap. A count seen in one
    sample only, next to a longer one that is one smaller, is taken for a detector's double and ignored.
    """
    ordered = sorted(rows, key=lambda r: r.observation.span.start_ns)
    edges = sorted(
        {t for row in ordered for t in (row.observation.span.start_ns, row.observation.span.end_ns)}
    )
    best: tuple[int, Evidence] | None = None
    here: list[Row] = []
    coming = deque(ordered)
    for start_ns, end_ns in pairwise(edges):
        while coming and coming[0].observation.span.start_ns <= start_ns:
            here.append(coming.popleft())
        here = [row for row in here if row.observation.span.end_ns >= end_ns]
        count = sum(row.observation.count for row in here)
        if here and (best is None or count > best[0]):
            best = count, Evidence(TimeSpan(start_ns, end_ns), tuple(row.id for row in here))
    if best is None:
        raise ValueError("no rows to count")
    return best


def listing(rows: Sequence[Row], *, floor: float = 0.0) -> list[tuple[str, tuple[Row, ...]]]:
    """Labels with their rows, longest on screen first; classes below the floor left out."""
    chosen = [
        row
        for row in rows
        if row.observation.score >= (max(floor, _CLASS_FLOOR) if row.observation.kind == "class" else floor)
    ]
    total = durations(chosen)
    by_label = defaultdict(list)
    for row in chosen:
        by_label[row.observation.label].append(row)
    return [(name, tuple(by_label[name])) for name in sorted(total, key=lambda name: -total[name])]
