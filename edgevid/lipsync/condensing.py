"""Says less when there is no time to say all: asides go first, then fillers, then parts from the end."""

from __future__ import annotations

import re

_ASIDE = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\]|—[^—]*—|–[^–]*–)")
_FILLERS = {
    "en": "um|uh|er|well|you know|i mean|kind of|sort of|actually|basically|really|just|like|so|okay",
    "es": "eh|este|pues|bueno|o sea|sabes|ya sabes|quiero decir|realmente|en realidad|entonces|así que",
    "ca": "eh|doncs|bé|vull dir|saps|realment|bàsicament|en realitat|així que",
    "eo": "nu|do|ja|efektive|reale|vere",
    "fr": "euh|ben|bon|alors|donc|tu sais|vous savez|je veux dire|en fait|vraiment",
    "de": "äh|ähm|also|na ja|weißt du|ich meine|eigentlich|wirklich|halt|eben",
}
_PART = re.compile(r"(?<=[,;:.!?])\s+")


def condensed(text: str, most: int, *, language: str) -> str:
    """``text`` in at most ``most`` characters, whole words only; empty when no word fits."""
    for shorten in (_without_asides, lambda t: _without_fillers(t, language)):
        if len(text) <= most:
            return text
        text = shorten(text)
    parts = _PART.split(text)
    while len(parts) > 1 and len(" ".join(parts)) > most:
        parts.pop()
    return _first_words(" ".join(parts), most)


def _without_asides(text: str) -> str:
    return _ASIDE.sub("", text).strip()


def _without_fillers(text: str, language: str) -> str:
    """Fillers stand between commas or begin the text; elsewhere the same words mean something."""
    words = _FILLERS.get(language.split("-")[0])
    if not words:
        return text
    text = re.sub(rf"(?:^|(?<=[.!?])\s*)\s*(?:{words})\s*,\s*", " ", text, flags=re.IGNORECASE)
    return re.sub(rf",\s*(?:{words})\s*(?=[,.!?])", "", text, flags=re.IGNORECASE).strip()


def _first_words(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    cut = text.rfind(" ", 0, most + 1)
    return text[: max(cut, 0)].rstrip(" ,;:")
