"""Which labels a word of a question stands for, and whether any channel could detect it at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from edgevid.core.nouns import Kind
from edgevid.stream.answer import kinds, terms
from edgevid.stream.answer.normal import root, stems

_TYPED = 5  # letters from which a typing slip is mended
_NEARLY = 0.83  # likeness of the slip to the word: one letter in six
_LONGEST_NAME = 4  # words in a label that a question is searched for


@dataclass(frozen=True, slots=True)
class Term:
    """A phrase of the question and the labels it stands for.

    Attributes:
        phrase: as the user wrote it, singular.
        labels: per channel, the labels that count as this phrase.
        exact: False when the labels are wider or narrower than the phrase ("man" -> person).
        position: index of its first word.
    """

    phrase: str
    labels: Mapping[Kind, frozenset[str]]
    exact: bool = True
    position: int = 0


@dataclass(slots=True)
class _Entry:
    labels: dict[Kind, set[str]] = field(default_factory=dict)
    exact: bool = True


class Vocabulary:
    """Everything the channels can name.

    Args:
        objects: labels of the object detector.
        classes: labels of the frame classifier in index order (ImageNet-1000; synonyms split by commas).
        sounds: labels of the sound tagger (AudioSet).
    """

    def __init__(self, *, objects: Sequence[str], classes: Sequence[str], sounds: Sequence[str]) -> None:
        self._entries: dict[str, _Entry] = {}
        self.sizes: dict[Kind, int] = {
            "object": len(objects),
            "class": len(classes),
            "sound": len(sounds),
        }
        for label in objects:
            self._add(label, "object", label)
        for label in classes:
            for name in label.split(","):
                self._add(name, "class", label)
                head = stems(name)[-1:]
                if head and len(stems(name)) > 1:
                    self._add(head[0], "class", label)  # "tabby cat" is a cat: WordNet heads come last
        for label in sounds:
            for name in re.sub(r"\(.*?\)", "", label).split(","):
                self._add(name, "sound", label)
        self._objects = [name for label in objects for name in stems(label) if len(name) >= _TYPED]
        self._add_terms(set(objects), list(classes), {label.lower(): label for label in sounds})
        self._verbs = {
            root(key): key
            for key, entry in self._entries.items()
            if set(entry.labels) == {"sound"} and " " not in key
        }

    def _add_terms(self, objects: set[str], classes: list[str], sounds: dict[str, str]) -> None:
        for word, label in terms.OBJECT_SYNONYMS.items():
            if label in objects:
                self._add(word, "object", label)
        for word in terms.PERSON_WORDS:
            self._add(word, "object", "person", exact=word in ("person", "human", "someone", "somebody"))
        for groups in (terms.OBJECT_GROUPS, kinds.OBJECT_KINDS):
            for word, labels in groups.items():
                for label in labels:
                    self._add(word, "object", label)
        for word, ranges in terms.CLASS_RANGES.items():
            for first, last in ranges:
                for label in classes[first : last + 1]:
                    self._add(word, "class", label)
        first_names = {label.split(",")[0].strip().lower(): label for label in classes}
        for word, names in kinds.CLASS_KINDS.items():
            for name in names:
                if name in first_names:
                    self._add(word, "class", first_names[name])
        self._add_signs(objects, first_names)
        order = list(sounds)
        for word, (start, end) in terms.SOUND_RANGES.items():
            if start in sounds and end in sounds:
                for name in order[order.index(start) : order.index(end) + 1]:
                    self._add(word, "sound", sounds[name])
        for word, names in terms.SOUND_GROUPS.items():
            for name in names:
                if name in sounds:
                    self._add(word, "sound", sounds[name])

    def _add_signs(self, objects: set[str], first_names: dict[str, str]) -> None:
        """A sport is there where what belongs to it is."""
        for of_kind, meanings in kinds.SIGNS.items():
            for meaning, (things, classes) in meanings.items():
                also = [word for word, means in kinds.SIGN_WORDS.items() if means == meaning]
                for word in (meaning, *also, *of_kind):
                    for label in objects.intersection(things.split("|")):
                        self._add(word, "object", label, exact=False)
                    for name in classes.split("|"):
                        if name in first_names:
                            self._add(word, "class", first_names[name], exact=False)

    def _add(self, name: str, kind: Kind, label: str, *, exact: bool = True) -> None:
        key = " ".join(stems(name))
        if not key:
            return
        entry = self._entries.setdefault(key, _Entry(exact=exact))
        entry.labels.setdefault(kind, set()).add(label)

    def find(self, words: Sequence[str]) -> list[Term]:
        """Terms in ``words`` (singular), longest first at each place, in order of position."""
        found = []
        at = 0
        while at < len(words):
            for length in range(min(_LONGEST_NAME, len(words) - at), 0, -1):
                phrase = " ".join(words[at : at + length])
                entry = self._entries.get(phrase) or self._sounding(phrase)
                if entry is not None and phrase not in _NOT_NAMES:
                    labels = {kind: frozenset(names) for kind, names in entry.labels.items()}
                    found.append(Term(phrase, labels, entry.exact, at))
                    at += length
                    break
            else:
                at += 1
        return found

    def _sounding(self, word: str) -> _Entry | None:
        """The sound a verb in -ing names: "raining" is rain, "laughing" a laugh."""
        key = self._verbs.get(root(word)) if word.endswith("ing") else None
        return self._entries[key] if key is not None and key not in _NOT_NAMES else None

    def corrected(self, word: str) -> str:
        """The object a mistyped word of some length nearly spells; else the word itself."""
        if len(word) < _TYPED or word in self._entries:
            return word
        near = [name for name in self._objects if name[0] == word[0] and abs(len(name) - len(word)) < 2]
        return next(iter(get_close_matches(word, near, n=1, cutoff=_NEARLY)), word)

    def knows(self, word: str) -> bool:
        """Whether any channel has a label for ``word``."""
        return " ".join(stems(word)) in self._entries


# Words that are labels of some detector but mean something else in a question about a video.
_NOT_NAMES = frozenset(
    "video clip screen time second minute scene shot stage point first last start end thing sound"
    " noise hear see show one two what any do it the a in is on say speak run walk tick play piece"
    " place kind sort type inside outside small large many word sign line part web site stop can"
    " camera film movie cut light male female picture range spot inside outside room bring saw"
    " fly writing".split()
)
