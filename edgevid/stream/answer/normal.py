"""Questions to plain lower-case words: contractions opened, plurals folded, punctuation gone."""

from __future__ import annotations

import re
import unicodedata

_CONTRACTIONS = {
    "what's": "what is",
    "whats": "what is",
    "where's": "where is",
    "when's": "when is",
    "who's": "who is",
    "how's": "how is",
    "there's": "there is",
    "theres": "there is",
    "it's": "it is",
    "that's": "that is",
    "let's": "let us",
    "isn't": "is not",
    "aren't": "are not",
    "wasn't": "was not",
    "didn't": "did not",
    "doesn't": "does not",
    "don't": "do not",
    "can't": "can not",
    "cannot": "can not",
    "i'm": "i am",
    "they're": "they are",
    "we're": "we are",
    "you're": "you are",
    "he's": "he is",
    "she's": "she is",
    "vid": "video",
    "pls": "please",
    "u": "you",
    "ppl": "people",
    "pple": "people",
    "sth": "something",
    "sb": "somebody",
    "couldn't": "could not",
    "haven't": "have not",
    "hasn't": "has not",
    "won't": "will not",
    "nobody's": "nobody is",
    "anybody's": "anybody is",
    "anyone's": "anyone is",
    "someone's": "someone is",
    "somebody's": "somebody is",
    "tv's": "tv",
}
_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "mice": "mouse",
    "geese": "goose",
    "knives": "knife",
    "wolves": "wolf",
    "feet": "foot",
    "teeth": "tooth",
    "buses": "bus",
    "glasses": "glasses",
    "scissors": "scissors",
    "skis": "skis",
    "sheep": "sheep",
    "bus": "bus",
    "this": "this",
    "is": "is",
    "was": "was",
    "has": "has",
    "does": "does",
    "its": "its",
    "grass": "grass",
    "glass": "glass",
    "always": "always",
    "tennis": "tennis",
    "yes": "yes",
    "us": "us",
    "as": "as",
    "says": "say",
    "said": "say",
    "saying": "say",
    "series": "series",
    "movies": "movie",
    "pies": "pie",
    "ties": "tie",
}


# How short an answer is wished for: no part of what is asked.
_BREVITY = re.compile(
    r"\b(?:in|with|using) (?:just |only )?(?:one|a|two|three|a few|few|\d+) (?:short |simple )?"
    r"(?:sentences?|words?|lines?|phrases?)\b|\bin (?:short|brief)\b|\bbriefly\b|\bquickly\b"
)
# What people say before a question, or after it, that asks nothing.
_POLITE = re.compile(
    r"^(?:(?:hey|hi|hello|ok|okay|so|and|well|please|just|also|now|then) )+"
    r"|^(?:(?:can|could|would|will) you (?:please )?(?:tell me|say|show me|let me know|check)|tell me"
    r"|(?:i (?:want|would like|need) to know|do you (?:know|think|happen to know|remember)|i wonder"
    r"|any idea))"
    r"(?: if| whether)? (?=(?:is|are|was|were|do|does|did|there|what|which|who|when|where|how|at|the|a)\b)"
    r"|(?<! say)(?<! says)(?<! said)(?<! word) (?:please|pls|thanks|thank you|right|yes|or not|at all)$"
)


def plain(text: str) -> str:
    """Lower case, accents kept, curly quotes straightened, contractions opened, single spaces."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = text.replace("\u2019", "'").replace("\u2018", "'").replace("\u201c", '"').replace("\u201d", '"')
    words = re.findall(r"[\w'-]+|\"", text)
    return " ".join(_CONTRACTIONS.get(word.strip("'-"), word.strip("'-")) for word in words).strip()


def asked(question: str) -> str:
    """A question in plain words, without what is said for politeness or about the answer's length."""
    text = plain(question)
    short = " ".join(_BREVITY.sub(" ", text).split())
    return _POLITE.sub("", short).strip() or short or text


def singular(word: str) -> str:
    """Fold a regular or listed plural to its singular; other words pass."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def stems(text: str) -> list[str]:
    """Words of ``text``, plain and singular, quotes and a possessive 's dropped."""
    words = (word.removesuffix("'s") for word in plain(text).split())
    return [singular(part) for word in words if word != '"' for part in word.split("-") if part]


def root(word: str) -> str:
    """``word`` without a regular verb ending ("asking", "asked" and "ask" give the same)."""
    for ending in ("ing", "ed"):
        bare = word.removesuffix(ending)
        if bare != word and len(bare) >= 3 and re.search(r"[aeiouy]", bare):
            word = bare[:-1] if len(bare) > 3 and bare[-1] == bare[-2] and bare[-1] not in "sl" else bare
            break
    return word.removesuffix("e") if len(word) > 3 else word
