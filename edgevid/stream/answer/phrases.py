"""Which words a question asks about: "does he say X", "when is X mentioned", "what comes after "X""."""

from __future__ import annotations

import re

from edgevid.stream.answer import patterns

_ACTIVE = re.compile(
    r"\b(?:say|says|said|saying|mention|mentions|mentioned|mentioning|utter\w*|pronounc\w*|discuss\w*"
    r"|(?:speak|spoke|talk)\w* (?:about|of|on)|bring\w* up|refer\w* to|announc\w*"
    r"|us(?:e|es|ed) (?=the (?:word|phrase|term))"
    r"|(?:ask|warn|advise|invite|urge|request|instruct)\w*"
    r"(?: (?:\w+ ){0,2}?(?:to|for|about|of|that|whether|if)\b)?"
    r"|(?:part|bit|passage|line|sentence|something|anything) (?:about|on)"
    r"|(?:thank|apologi[sz]e)\w*(?: (?:\w+ )?for\b)?|(?:call|read)\w* out)\s+(.+)$"
)
_PASSIVE = re.compile(
    r"\b(?:is|are|was|were|does|do|did|has|have|gets?) (?:the |a |an |any )?(.+?) (?:ever |been |get "
    r"|being )*"
    r"(?:mentioned|said|spoken|uttered|brought up|come up|comes up|discussed|talked about|announced"
    r"|pronounced)\b"
)
_NAMED = re.compile(r"\b(?:the|a) (?:word|words|phrase|name|term|sentence|expression) (.+)$")
_ONE_WORD = re.compile(r"\bsay\w* the word (\w+)$")
_AFTER = re.compile(
    r"\b(?:right |just |directly |immediately |straight |shortly )?(?:after|before|following|preceding"
    r"|follows|precedes) (?:(?:the )?(?:word|words|phrase) )?(?:(?:he|she|they|someone|one) (?:says?|said"
    r"|(?:mention|talk|speak|name|read)\w*(?: about| of)?|(?:gets?|got|comes?|came|turns?) (?:on )?to) )?"
    r"(.+)$"
)
_LEAD = re.compile(
    r"^(?:(?:the|a|an|any|some|anything|something|much|his|her|its|their|word|words|phrase|term|name"
    r"|bit|part|moment|mention|passage|line|where|when"
    r"|about|of|that"
    r"|on|to do with) )+(?=\S)"
)
_TAIL = re.compile(
    r"\s+(?:(?:in|during|on|from|within) (?:the|this|there|it|that)\b.*|by (?:him|her|them|it|anyone"
    r"|someone|the \w+)"
    r"|at (?:all|any (?:point|time)|some (?:point|time)|the .*)|anywhere|somewhere|ever|aloud|out loud|too"
    r"|comes? up|(?:shows?|pops?|turns?) up|(?:is |was |are |were |be |being |get |gets )?"
    r"(?:said|spoken|mentioned|uttered|used|heard|brought up|appear\w*|occur\w*|shown|visible|written"
    r"|on screen"
    r"|on the screen|displayed))$"
)
_CALLED = re.compile(r"^.*\b(?:called|named) (?=\w)")
_CAPITALS = re.compile(
    r"\b(?!(?:TV|PC|DJ|GPS|LED|USA?|UK|EU|OK|CD|DVD|BMX|SUV|ATM|VAN)\b)[A-Z][A-Z'&-]{2,}(?: [A-Z'&-]{2,})*\b"
)
_SPLIT = re.compile(r" (?:or|like|such as) ")
_PRONOUN = re.compile(r"^(?:he|she|they|it|we|you|i)(?:'?(?:d|s|re|ve|ll|m))? ")


def quoted(question: str) -> str | None:
    """Words in quotation marks."""
    match = patterns.QUOTED.search(question)
    return (match.group(1) or match.group(2)).strip() if match else None


def capitals(question: str) -> str | None:
    """Words in capitals in a question that is not all in capitals: they are as on screen."""
    if not any(c.islower() for c in question):
        return None
    match = _CAPITALS.search(question)
    return match.group() if match else None


def spoken_phrase(text: str) -> str | None:
    """The words whose saying is asked about, from a plain question; None when it asks for all that is "
    "said."""
    if match := _ONE_WORD.search(text):
        return match.group(1)
    asks_what = re.match(r"(?:what|which|who)\b", text)
    for pattern in (_NAMED, _ACTIVE) if asks_what else (_NAMED, _PASSIVE, _ACTIVE):
        match = pattern.search(text)
        phrase = _clean(match.group(1)) if match else None
        if phrase:
            return phrase
    return None


def written_phrase(text: str) -> str | None:
    """The words whose showing is asked about."""
    match = _NAMED.search(text)
    return _clean(match.group(1)) if match else None


def neighbour_phrase(text: str) -> str | None:
    """The words after "before" or "after"."""
    match = _AFTER.search(text)
    return _clean(match.group(1)) if match else None


def alternatives(phrase: str) -> list[str]:
    """ "religion like an apostle" -> ["religion", "apostle"]."""
    return [part for piece in _SPLIT.split(phrase) if (part := _LEAD.sub("", piece.strip()))] or [phrase]


def _clean(phrase: str) -> str | None:
    before = None
    phrase = phrase.strip(' "')
    while phrase != before:
        before = phrase
        phrase = _CALLED.sub("", phrase)
        phrase = _PRONOUN.sub("", _LEAD.sub("", _TAIL.sub("", phrase).strip()))
    return None if not phrase or patterns.NO_PHRASE.match(phrase) else phrase
