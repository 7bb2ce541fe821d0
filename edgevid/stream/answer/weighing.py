"""What the evidence speaks for when a question presupposes that something is there: which of a kind, A or B.

Where nothing was seen surely the faint evidence decides: the members of a kind add up at one moment, for a
classifier that knows many trucks gives each of them a part of its probability.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from edgevid.core.nouns import Evidence, Kind
from edgevid.memory.memory import Row
from edgevid.perception.classes import PACK as CLASS_PACK
from edgevid.stream.answer import kinds, lookup, phrasing
from edgevid.stream.answer.lookup import Match
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.vocabulary import Term
from edgevid.stream.answer.watched import Watched

_LEAST = 0.1  # mass that names one of a kind, and more
_LEAST_PER_CLASS = 1 / 4000  # for each of its classes: a large kind gathers more by chance
_LEAST_PRESENT = 0.2  # mass of frame classes that affirms a kind
_LEAST_CHOSEN = 0.08  # mass that decides for one of two
_LEAST_ALONE = 0.15  # the same, when the other has no label
_LEAST_ALSO: dict[Kind, float] = {"object": 0.3, "class": 0.2}  # score that is told unasked
_ALSO = 2
_NEAR = 0.5  # share of the best member's score with which another is named too
_NAMED = 3
_BOTH = 0.8  # two things surely seen with so near scores are both there


@dataclass(frozen=True, slots=True)
class Weight:
    """How much speaks for a term at its best moment.

    Attributes:
        mass: the best object's score, or the summed scores of frame classes, at most 1.
        rows: what was seen then, best first.
    """

    mass: float
    rows: tuple[Row, ...]

    @property
    def is_faint(self) -> bool:
        """Whether none of it is reported unasked."""
        return all(row.observation.kind == "faint" for row in self.rows)


def weigh(watched: Watched, term: Term, *, heard: bool = False) -> Weight:
    """Everything seen, surely or faintly, (or heard) that counts as ``term``."""
    visual = (*watched.of("object", "class"), *watched.faint, *watched.faint_classes)
    rows = [
        row
        for row in (watched.of("sound") if heard else visual)
        if row.observation.label in term.labels.get(_channel(row), ())
    ]
    best = Weight(0.0, ())
    here: list[Row] = []
    for row in sorted(rows, key=lambda row: row.observation.span.start_ns):
        here = [r for r in here if r.observation.span.end_ns > row.observation.span.start_ns] + [row]
        mass = _mass(here)
        if mass > best.mass:
            best = Weight(mass, tuple(sorted(here, key=lambda row: -row.observation.score)))
    return best


def of_kind(watched: Watched, subject: Sequence[Term]) -> Reply | None:
    """Which of the kind asked for it most likely is; None when nothing speaks for any."""
    weights = [(weigh(watched, term), term) for term in subject]
    weight, term = max(weights, key=lambda item: item[0].mass, default=(None, None))
    if weight is None or term is None:
        return None
    least = _LEAST + _LEAST_PER_CLASS * len(term.labels.get("class", ()))
    return _named(weight, term) if weight.mass >= least else None


def likely(watched: Watched, term: Term) -> Match | None:
    """Frame classes that count as ``term`` and are together likely enough; None when they are not."""
    classes = Term(term.phrase, {"class": term.labels.get("class", frozenset())}, term.exact)
    weight = weigh(watched, classes)
    if weight.mass < _LEAST_PRESENT:
        return None
    label = weight.rows[0].observation.label
    return Match(weight.rows, label, term.exact and term.phrase in label.lower(), faint=weight.is_faint)


def choose(watched: Watched, alternatives: Sequence[Term], *, heard: bool = False) -> Reply | None:
    """The likeliest of the things a question names; None when nothing speaks for any of them."""
    weights = [(weigh(watched, term, heard=heard), term) for term in alternatives]
    weights.sort(key=lambda item: -item[0].mass)
    best, term = weights[0]
    if best.mass < (_LEAST_CHOSEN if len(weights) > 1 else _LEAST_ALONE):
        return None
    chosen = [_said(best, term)]
    spans = lookup.join(best.rows)
    if len(weights) > 1 and not best.is_faint:
        second, other = weights[1]
        if not second.is_faint and second.mass >= _BOTH * best.mass:
            chosen.append(_said(second, other))
            spans += lookup.join(second.rows)
    return Reply(f"{_capital(' and '.join(chosen))}.", spans, "either")


def also(watched: Watched, subject: Sequence[Term], told: Collection[str]) -> Reply | None:
    """What is seen only faintly besides the labels ``told``: of the kind asked for, else whatever is likely
    enough; None when there is no such thing."""
    faint = replace(watched, rows=())
    if subject:
        classes = [replace(term, labels={"class": term.labels.get("class", frozenset())}) for term in subject]
        reply = of_kind(faint, classes)
        return reply if reply is not None and not any(_short_of(t) in reply.text for t in told) else None
    rows = [row for row in (*faint.faint, *faint.faint_classes) if row.observation.label not in told]
    rows = [row for row in rows if row.observation.score >= _LEAST_ALSO[_channel(row)]]
    best: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: -row.observation.score):
        best.setdefault(row.observation.label, row)
    chosen = list(best.values())[:_ALSO]
    if not chosen:
        return None
    names = phrasing.conjunction([phrasing.article(_short(row)) for row in chosen])
    spans = tuple(Evidence(row.observation.span, (row.id,)) for row in chosen)
    return Reply(f"{_capital(names)} (seen only faintly), {phrasing.intervals(spans)}.", spans, "which")


def to_carry(watched: Watched) -> Reply | None:
    """What somebody who holds or carries something most likely has; None when nothing speaks for any."""
    things = frozenset(kinds.PORTABLE)
    classes = frozenset(
        row.observation.label
        for row in (*watched.of("class"), *watched.faint_classes)
        if _short(row).lower() in kinds.PORTABLE_CLASSES
    )
    return of_kind(watched, [Term("something to carry", {"object": things, "class": classes})])


def _said(weight: Weight, term: Term) -> str:
    """One alternative, what was seen of it where that is called otherwise, and when."""
    label = _short(weight.rows[0])
    name = phrasing.article(term.phrase)
    notes = [f"detected as {label}"] if term.phrase != label.lower() else []
    notes += ["only faintly"] if weight.is_faint else []
    note = f" ({', '.join(notes)})" if notes else ""
    return f"{name}{note}, {phrasing.intervals(lookup.join(weight.rows))}"


def _named(weight: Weight, term: Term) -> Reply:
    best = weight.rows[0].observation.score
    rows = [row for row in weight.rows if row.observation.score >= _NEAR * best]
    names = list(dict.fromkeys(_name(row, term) for row in rows))[:_NAMED]
    said = " or ".join(names) if weight.is_faint else phrasing.conjunction(names)
    how = " (seen only faintly)" if weight.is_faint else ""
    spans = lookup.join(rows)
    return Reply(f"{_capital(said)}{how}, {phrasing.intervals(spans)}.", spans, "kind")


def _name(row: Row, term: Term) -> str:
    meaning = kinds.SIGN_OF.get(term.phrase, {}).get(_short(row).lower())
    thing = phrasing.article(_short(row))
    return f"{meaning} (by {thing})" if meaning else thing


def _mass(rows: Sequence[Row]) -> float:
    classes = sum(row.observation.score for row in rows if _channel(row) == "class")
    things = (row.observation.score for row in rows if _channel(row) != "class")
    return max(min(classes, 1.0), max(things, default=0.0))


def _channel(row: Row) -> Kind:
    if row.observation.kind != "faint":
        return row.observation.kind
    return "class" if row.observation.model_id == CLASS_PACK else "object"


def _short(row: Row) -> str:
    return _short_of(row.observation.label)


def _short_of(label: str) -> str:
    return label.split(",")[0]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
