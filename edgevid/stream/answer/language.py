"""Which language a question is in, by its commonest words; questions not in English are refused in "
"theirs."""

from __future__ import annotations

from edgevid.stream.answer.normal import plain

_WORDS: dict[str, frozenset[str]] = {
    "en": frozenset(
        "the a an is are was were what when where who which how many much long do does did there"
        " any in on at of to and you see hear say anyone someone video it they he she first last"
        " this that can could have has be happen happens please tell me list show describe before"
        " after with from for i your".split()
    ),
    "es": frozenset(
        "el la los las un una es son qué que cuándo cuando dónde donde quién quien cuál cual"
        " cuántos cuántas cuantos cuantas hay en del al se dice ve oye alguien vídeo y por para"
        " con cuánto dura aparece algún alguna personas primero veces está están suena música".split()
    ),
    "de": frozenset(
        "der die das ein eine ist sind was wann wo wer welche welcher wie viele viel lange gibt"
        " es im in am zu und man sieht hört sagt jemand video mit von für den dem wird werden"
        " kommt zeigt auf sehen hören".split()
    ),
    "fr": frozenset(
        "le la les un une des est sont que quoi quand où qui quel quelle combien il y a dans en"
        " du au et on voit entend dit quelqu'un vidéo avec pour de ce se passe qu'est-ce qu dure"
        " longtemps quels quelles personnes".split()
    ),
    "it": frozenset(
        "il lo la i gli le un una è sono che cosa quando dove chi quale quanti quante c'è ci nel"
        " di e si vede sente dice qualcuno video con per del della dura".split()
    ),
    "pt": frozenset(
        "o os um uma é são que quando onde quem qual quantos quantas há na da e se vê"
        " ouve diz alguém vídeo com para tem quanto dura".split()
    ),
    "nl": frozenset(
        "de het een zijn wat wanneer wie waar welke hoe hoeveel lang er op van met en men ziet hoort zegt"
        " iemand video duurt voor naar zien worden wordt".split()
    ),
}

REFUSALS: dict[str, str] = {
    "es": "Solo entiendo preguntas en inglés.",
    "de": "Ich verstehe nur Fragen auf Englisch.",
    "fr": "Je ne comprends que les questions en anglais.",
    "it": "Capisco solo domande in inglese.",
    "pt": "Só entendo perguntas em inglês.",
    "nl": "Ik begrijp alleen vragen in het Engels.",
    "ru": "Я понимаю вопросы только на английском языке (I only understand English).",
    "zh": "我只能理解英文问题 (I only understand English)。",
    "ja": "英語の質問しか理解できません (I only understand questions in English)。",
    "other": "I only understand questions in English.",
}


def detect(question: str) -> str:
    """Language code of ``question`` ("en", a key of ``REFUSALS``, or "other" for other scripts).

    Ties and unknown words count as English: refusing an English question is the worse error.
    """
    letters = [c for c in question if c.isalpha()]
    if letters and sum(ord(c) > 0x24F for c in letters) > len(letters) / 2:
        return _script(letters)
    words = plain(question).split()
    if not words:
        return "en"
    hits = {code: sum(word in known for word in words) for code, known in _WORDS.items()}
    if any(mark in question for mark in "¿¡"):
        hits["es"] += 2
    best = max(hits, key=lambda code: hits[code])
    foreign = hits[best] > hits["en"] and (hits[best] > 1 or len(words) < 3)
    return best if foreign else "en"


def _script(letters: list[str]) -> str:
    if any("\u3040" <= c <= "\u30ff" for c in letters):
        return "ja"
    if any("\u4e00" <= c <= "\u9fff" for c in letters):
        return "zh"
    return "ru" if any("\u0400" <= c <= "\u04ff" for c in letters) else "other"
