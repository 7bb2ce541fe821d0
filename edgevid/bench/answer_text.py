"""What a written answer states: denials, refusals, and the times, lengths and numbers in its clauses.

Pure string functions for ``answer_scoring``; they know nothing of any answerer. Times are seconds.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_DENIAL = re.compile(
    r"\b(no|not|none|nothing|nobody|never|neither|nor|without|didn't|doesn't|don't|wasn't|weren't|isn't|aren't"
    r"|haven't|hasn't|couldn't|cannot|can't|zero|nein|nicht|nichts|kein|keine|keinen|keiner|niemand"
    r"|ningun|ninguna|ninguno|nada|nadie|pas|aucun|aucune|rien|personne n)\b"
)
_TELL = r"tell|know|judge|answer|determine|infer|understand|predict|measure|classify|classified"
_SENSE = r"detect|recogni[sz]e|identify|say|perceive|read|assess|sense|describe|name|help|told"
_CANNOT = r"can ?not|can't|unable to|not able to|not possible to|no way to|not something \w+ can"
_DID_NOT = r"could not|couldn't|do not|don't|does not|did not|didn't"
_DECLINE = re.compile(
    rf"\b(?:{_CANNOT})(?: \w+){{0,2}}? (?:{_TELL}|{_SENSE})"
    rf"|\b(?:{_DID_NOT})(?: \w+){{0,2}}? (?:{_TELL})"
    r"|\bnot something (?:i|it|this|edgevid)\b"
    r"|\b(?:outside|beyond|not (?:among|in|part of|covered by)|none of)\b[^.]{0,60}"
    r"\b(?:classes|labels|vocabulary|what i|my|detectors?)\b"
    r"|\bno (?:detector|model|class|way) (?:for|of|that|to)\b"
    r"|\b(?:rephrase|not a question|no question|empty question|ask (?:me )?(?:a question|something|about))\b"
    r"|\bkann (?:\w+ ){0,4}nicht\b|\bno (?:puedo|se puede|entiendo)\b|\bne (?:peux|peut|comprends) pas\b"
)
_ENGLISH = r"(?:english|ingles|englisch|anglais)"
_ONLY = r"(?:only|just|solo|nur|seulement|uniquement)"
_REFUSES_LANGUAGE = re.compile(
    rf"\b{_ONLY}\b[^.]{{0,40}}\b{_ENGLISH}\b|\b{_ENGLISH}\b[^.]{{0,25}}\b{_ONLY}\b"
    rf"|\b(?:ask|asked|rephrase|questions?|preguntas?|fragen?)\b[^.]{{0,30}}\b(?:in|en|auf) {_ENGLISH}\b"
    r"|\b(?:not|cannot|can't|don't|no)\b[^.]{0,40}\b(?:languages?|spanish|german|french|italian|russian)\b"
)
_HEDGE = re.compile(
    r"\b(maybe|perhaps|possibly|might|could be|may be|not sure|unsure|hard to say|either way|or not|who knows"
    r"|unclear|it depends|quiza|vielleicht|peut-etre)\b"
)
_YES = re.compile(r"^\W*(yes|yeah|yep|correct|si|ja|oui)\b")
_AFFIRMS = re.compile(
    r"\b(detected|seen|saw|see|heard|hear|visible|found|appears?|appeared|shows?|shown"
    r"|there (?:is|are|was|were)|said|says|present|recogni[sz]ed|read|reads|at \d|from \d)\b"
)


_QUOTED = re.compile(r"[\"“«][^\"”»]*[\"”»]|(?<!\w)'[^']*(?:\w'\w[^']*)*'(?!\w)")


def fold(text: str) -> str:
    """Lower case, accents and curly quotes removed, white space collapsed."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'")).lower()
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


_SENTENCE_END = re.compile(r"(?<!\bmr)(?<!\bmrs)(?<!\bdr)[.!?](?=\s|$)|[\n;]")
_CLAUSE_END = re.compile(r"\bbut\b|\bhowever\b|\balthough\b|\s[—–]\s(?!\d)|,\s(?=no\b|not\b)")
_SPEECH = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»")


def sentences(text: str) -> list[str]:
    """Folded sentences; a full stop inside a number ("7.5 s"), after "Mr" or in a quotation ends none."""
    return _split(_SENTENCE_END, fold(text.replace("\n", ";")))


def clauses(text: str) -> list[str]:
    """Sentences cut further at "but", "however", "although", a dash, and ", no ..." or ", not ..."."""
    return [clause for sentence in sentences(text) for clause in _split(_CLAUSE_END, sentence)]


def _split(end: re.Pattern[str], text: str) -> list[str]:
    """The parts of ``text`` between matches of ``end`` outside quotation marks."""
    quotes = _SPEECH.findall(text)
    parts = end.split(_SPEECH.sub("\0", text))
    supply = iter(quotes)
    whole = (re.sub("\0", lambda _: next(supply), part).strip() for part in parts)
    return [part for part in whole if part]


def denies(clause: str) -> bool:
    """The clause says that something is not there (or cannot be told); quoted words are ignored."""
    return bool(_DENIAL.search(unquoted(clause)))


def declines(clause: str) -> bool:
    """The clause says that something cannot be told, detected or answered."""
    return bool(_DECLINE.search(unquoted(clause)))


def refuses_language(text: str) -> bool:
    """The answer says which language it works in, or that it does not work in the one asked in."""
    return bool(_REFUSES_LANGUAGE.search(fold(text)))


def hedges(clause: str) -> bool:
    """The clause leaves open whether it is so."""
    return bool(_HEDGE.search(unquoted(clause)))


def says_yes(sentence: str) -> bool:
    """The sentence begins with a word for yes."""
    return bool(_YES.match(sentence))


def affirms(clause: str) -> bool:
    """The clause reports a finding ("seen at 0:03", "there is ...") and does not deny it."""
    return bool(_AFFIRMS.search(clause)) and not denies(clause)


def unquoted(clause: str) -> str:
    """The clause with what stands in quotation marks blanked."""
    return _QUOTED.sub(" ", clause)


@dataclass(frozen=True, slots=True)
class Stated:
    """A time written in an answer: a moment (start = end), a range, or a length (start 0, end = seconds)."""

    start_s: float
    end_s: float
    is_length: bool = False


_UNIT = r"(?:s|secs?|seconds?|segundos?|sekunden?|secondes?)\b"
_MIN = r"(?:m|mins?|minutes?|minutos?|minuten?)\b"
_NUM = r"\d+(?:\.\d+)?"
_VALUE = rf"\d+:\d\d(?::\d\d)?(?:\.\d+)?|{_NUM}\s*{_MIN}(?:\s*(?:and\s*)?{_NUM}\s*{_UNIT})?|{_NUM}\s*{_UNIT}"
_TIME = re.compile(
    rf"(?P<a>{_VALUE}|{_NUM}(?=\s*(?:-|–|—|to|and|until)\s*{_NUM}\s*{_UNIT}))"
    rf"(?:\s*(?:-|–|—|to|until|till|through|bis|hasta|a|jusqu'a)\s*(?P<b>{_VALUE}))?"
)
_LENGTH_BEFORE = re.compile(
    r"\b(for|lasts?|lasted|lasting|total(?: of)?|totals?|duration(?: is| of)?|long:|length(?: is| of)?|spans?"
    r"|dura|dauert|dure|pendant|video is|clip is|audio is|recording is|runs?|in all)"
    r"\W*(?:about|around|roughly|approximately|some|only|a|of)?\W*$"
)
_LENGTH_AFTER = re.compile(r"^\s*(?:long|in total|altogether|of (?:video|audio|footage)|lang|duration)\b")


def times(text: str) -> list[Stated]:
    """Moments, ranges and lengths in writing order ("0:07", "1:02:03", "7.5 s", "2-4 s", "for 3 s")."""
    found = []
    folded = fold(text)
    for match in _TIME.finditer(folded):
        if match.start() and (folded[match.start() - 1].isalnum() or folded[match.start() - 1] in ".:"):
            continue
        start = _seconds(match["a"])
        end = _seconds(match["b"]) if match["b"] else start
        length = match["b"] is None and bool(
            _LENGTH_BEFORE.search(folded[: match.start()]) or _LENGTH_AFTER.match(folded[match.end() :])
        )
        found.append(Stated(0.0, start, True) if length else Stated(start, max(start, end)))
    return found


def without_times(text: str) -> str:
    """Folded text with times, percentages, decimals and confidence figures blanked."""
    blank = re.sub(r"\d+(?:\.\d+)?\s*%|\d+\.\d+", " ", _TIME.sub(" ", fold(text)))
    return " ".join(blank.split())


def _seconds(value: str) -> float:
    if ":" in value:
        total = 0.0
        for part in value.split(":"):
            total = total * 60 + float(part)
        return total
    minutes = re.match(rf"(\d+(?:\.\d+)?)\s*{_MIN}", value)
    rest = value[minutes.end() :] if minutes else value
    number = re.search(r"\d+(?:\.\d+)?", rest)
    return (60 * float(minutes[1]) if minutes else 0.0) + (float(number[0]) if number else 0.0)


_NUMBER_WORDS = """zero none nobody cero null
one single once uno una un eine ein einen une
two both twice dos zwei deux
three tres drei trois
four cuatro vier quatre
five cinco funf cinq
six seis sechs
seven siete sieben sept
eight ocho acht huit
nine nueve neun neuf
ten diez zehn dix
eleven
twelve"""
_NUMBERS = {word: value for value, line in enumerate(_NUMBER_WORDS.splitlines()) for word in line.split()}


def numbers(text: str) -> list[int]:
    """Whole numbers in writing order, digits or words; times, decimals and percentages are left out."""
    found = []
    for token in re.findall(r"[a-z]+|\d+", without_times(text).replace("no one", "nobody")):
        if token.isdigit():
            found.append(int(token))
        elif token in _NUMBERS:
            found.append(_NUMBERS[token])
    return found


_IRREGULAR = {
    "people": "person",
    "persons": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "mice": "mouse",
}


def singular(word: str) -> str:
    """A crude singular, enough to compare labels: "buses" and "bus" give the same word."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(ss|sh|ch|x|us)es$", word):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us")) and len(word) > 2:
        return word[:-1]
    return word


def words(text: str) -> list[str]:
    """Folded words and numbers; number words become digits so that "two" and "2" are the same."""
    tokens = re.findall(r"[a-z]+(?:'[a-z]+)?|\d+", fold(text))
    return [
        str(_NUMBERS[t]) if t in _NUMBERS and t not in ("none", "nobody", "null", "un") else t for t in tokens
    ]
