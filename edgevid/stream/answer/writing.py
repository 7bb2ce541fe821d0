"""Questions for what is written on something: shirts, signs and counters "say" what can be read on them."""

from __future__ import annotations

import re

from edgevid.stream.answer.normal import singular

_BEARERS = frozenset(
    (
        "ad advert advertisement advertising apron arrow awning backpack badge bag banner bib billboard"
        " blackboard board boat book bottle box bracelet building bus cab can cap caption car card carton"
        " chalkboard chyron clock coat container counter cover cup display document door dress envelope"
        " flag flyer form gate gauge graffiti grave hat headline helmet hoodie inscription intertitle"
        " jacket jar jersey key label leaflet letter lettering line logo lorry magazine map marquee mat menu"
        " meter mirror monitor monument mug nameplate newspaper note noticeboard overlay package packet"
        " page paper placard plaque plate post poster print roof scarf scoreboard screen ship shirt shop"
        " sign signboard signpost stamp sticker stone store storefront subtitle sweater sweatshirt tag"
        " tattoo taxi tee text thermometer ticker ticket tie timer tin title tombstone train tram trolley"
        " truck uniform van vest wall watermark whiteboard window wrapper writing"
    ).split()
)
_DISPLAYS = frozenset(
    "billboard board caption chyron clock counter display gauge headline label meter nameplate overlay plaque"
    " plate scoreboard sign signboard sticker tag thermometer ticker timer title watermark".split()
)
_SAYS = re.compile(
    r"\b(?:does|do|did|is|was) (?:the|this|that|these|those|his|her|their|its|a|an|your)"
    r" ((?:[\w'-]+ ){1,8}?)(say|saying|read|reading|spell|show|display|indicate)s?\b"
)
_PREPOSITION = re.compile(
    r" (?:in|on|at|of|with|behind|above|over|under|below|near|beside|by|from|to|across|next) "
)
_STRONG = (
    r"numbers?|digits?|numerals?|letters?|words?|logos?|slogans?|captions?|watermarks?|headlines?|lettering|text"
    r"|inscriptions?|initials|(?<=\w )names?|url|website|web address|titles?|time ?codes?|score"
)
_WEAK = r"brands?|compan(?:y|ies)|bands?|teams?|firms?|shops?|stores?|products?|years?|dates?|message|phrase"
_WRITTEN = r"printed|written|painted|displayed|legible|readable|advertised|stamped|embroidered"
_SHOWN = "shown|visible|seen|wears?|wearing|bears?|has|have"
_ON = (
    r"\bon (?:it|him|her|them|(?:(?:the|his|her|their|its|this|that|a|an) )?(?:[\w'-]+ ){0,4}"
    rf"(?:{'|'.join(sorted(_BEARERS))})s?)\b"
)
_CORNER = r"in (?:the|a) (?:\w+ ){0,2}corner|at the (?:very )?(?:top|bottom)"
_NAMES = re.compile(
    rf"\b(?:what|which)(?: is the| are the)? (?:[\w'-]+ ){{0,2}}?(?:"
    rf"(?:{_STRONG})\b(?! of\b).*(?:\b(?:{_WRITTEN}|{_SHOWN}|{_CORNER})\b|{_ON})"
    rf"|(?:{_WEAK})\b.*(?:\b(?:{_WRITTEN})\b|{_ON})"
    r"|(?:score|(?:shirt|jersey|bus|car|house|phone|player|start|bib|room) numbers?"
    r"|watermarks?|logos?|captions?|slogans?|headlines?|licen[cs]e plates?)\b)"
    r"|^what is (?:being )?(?:advertised|painted|stamped|engraved|embroidered)\b"
    r"|^(?:the )?(?:numbers?|names?|words?|text|logo|letters) on (?:the|his|her|its|their)\b"
)
_CLOCK = re.compile(
    r"^what time (?:is (?:shown|displayed)\b"
    r"|does the (?:\w+ )?(?:clock|watch|timer|display|screen|counter)\b)"
)
_SIGNS = re.compile(
    r"^(?:is|are) there (?:an?|any|some) words?\b"
    r"|^(?:(?:what|which)(?: is| are)?(?: the)?|(?:is|are) there(?: an?| any| some)?"
    r"|(?:do|can) (?:you|we|i) (?:see|read)(?: an?| any| some)?)"
    r" (?:numbers?|digits?|letters?|words?(?= (?:appears?|(?:do|can) (?:you|we|i) (?:see|read))))\b"
    r"(?! of\b)(?!.*\b(?:sa(?:y|id)|spoken|heard?|used?|mean))"
)
_NUMBER = re.compile(r"\b(?:what time|numbers?|digits?|numerals?|score|figures?|time ?codes?|year)\b")


def asks_for_writing(text: str) -> bool:
    """Whether a plain question asks for words or numbers that something bears or shows.

    The head of what "says" something decides: a shirt is read, the man in the shirt is heard.
    """
    if _NAMES.search(text) or _CLOCK.match(text):
        return True
    match = _SAYS.search(text)
    if match is None:
        return False
    head = singular(_PREPOSITION.split(f"{match.group(1)}")[0].split()[-1].split("-")[-1])
    return head in (_DISPLAYS if match.group(2) in ("show", "display", "indicate") else _BEARERS)


def asks_for_a_clock(text: str) -> bool:
    """Whether it asks what a clock in the picture shows, not when something is."""
    return bool(_CLOCK.match(text))


def asks_for_signs(text: str) -> bool:
    """Whether it asks for numbers, letters or words, whatever bears them."""
    return bool(_SIGNS.search(text))


def asks_for_number(text: str) -> bool:
    """Whether it asks for a number that is written."""
    return bool(_NUMBER.search(text))
