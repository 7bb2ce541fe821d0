"""Lines of varied text for tokenizers, the same on every Python: nothing here asks the Unicode database."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Maker = Callable[[random.Random], str]

WORDS = (
    "the of and to in is that it was for on with as at by from are this be or have not a I you he she they "
    "we an dog video frame camera street bicycle seventeen weather answering international "
    "counterrevolutionary antidisestablishmentarianism naïve façade Zürich São señor coöperate "
    "Ångström Überraschung don't can't"
).split()
CONTRACTIONS = (
    "'s",
    "'t",
    "'re",
    "'ve",
    "'m",
    "'ll",
    "'d",
    "'S",
    "'RE",
    "'Ve",
    "'LL",
    "’s",
    "’re",
    "'x",
    "'",
    "''s",
)
# First and last code points of blocks of many scripts; unassigned ones among them are wanted.
BLOCKS = (
    "21-7E A1-17F 180-24F 250-2FF 370-3FF 400-52F 531-58F 591-5F4 600-6FF 700-74F 780-7BF 900-97F 980-9FF "
    "A00-A7F A80-AFF B00-B7F B80-BFF C00-C7F C80-CFF D00-D7F D80-DFF E00-E7F E80-EFF F00-FFF 1000-109F "
    "10A0-10FF 1100-11FF 1200-137F 13A0-13FF 1400-167F 1680-169F 16A0-16FF 1780-17FF 1800-18AF 1C80-1C8F "
    "1D00-1DBF 1E00-1FFF 2070-218F 2190-23FF 2460-27BF 2C00-2DFF 3041-30FF 3105-318F 31F0-33FF 4E00-9FFF "
    "A000-A4CF A500-ABFF AC00-D7A3 F900-FAFF FB00-FDFF FE30-FFEF 10000-1015B 10280-10FFF 11000-11FFF "
    "12000-123FF 13000-1342F 16800-16FFF 17000-187F7 1B000-1B2FF 1D400-1D7FF 1E800-1E95F 1EE00-1EEFF "
    "20000-2A6DF 2EBF0-2EE5D 30000-323AF "
)
SCRIPTS = [tuple(int(end, 16) for end in block.split("-")) for block in BLOCKS.split()]
DIGIT_ZEROS = (0x30, 0x660, 0x6F0, 0x966, 0x9E6, 0xBE6, 0xE50, 0x1040, 0xFF10, 0x104A0, 0x1D7CE, 0x1E950)
NUMBERS = "½¾²³¹①⑳Ⅷⅳ〇一壹৴௰፩፼𐄇㊿"
SPACES = " \t\n\r\v\f\x85\xa0\u1680\u2000\u2003\u2007\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
INVISIBLE = "\u200b\u200c\u200d\u200e\u2060\ufeff\u00ad\u061c\u180e\u2066\u2069\ufffc\ufffd\ufff9"
EMOJI = ("😀 🤷🏽‍♀️ 👨‍👩‍👧‍👦 🏳️‍🌈 🇪🇸 🇯🇵🇩🇪 1️⃣ #️⃣ ❤️‍🔥 👩🏿‍🚀 🧑‍🤝‍🧑 ☃ ♥️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🫠 🫨 🩷 👁️‍🗨️ 🤌🏻 ").split()
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿«»…—–“”‘’‚„†‡•‰′″‹›⁂€£¥©®±×÷。、「」『』【】〜・！？"
CODE = (
    "def {a}(self, {b}: int = {n}) -> None:\n    return {b} * {n}  # {a}",
    "for (int {a} = 0; {a} < {n}; ++{a}) {{\n\t{b}[{a}] = 0x{n:x};\n}}",
    '{{"{a}": {n}, "{b}": [true, null, {n}e-{n}]}}',
    '<div class="{a}"><a href="https://{b}.org/?q={n}&x=%20">{a}</a></div>',
    "SELECT {a}, COUNT(*) FROM {b} WHERE id >= {n} GROUP BY {a};",
    "if [[ -z \"${{{a}}}\" ]]; then echo '{b}' | sed 's/^ *//' >> /tmp/{n}.log; fi",
    "std::vector<std::pair<{a}_t, {b}*>> {a}{n}{{}};\r\n\r\n#include <{b}.h>",
    "let {a} = ({b}) => `${{{b}.map(x => x ** {n})}}`; // {a}\n",
    "\\frac{{{a}_{{{n}}}}}{{\\sqrt{{{b}}}}} \\approx {n}.{n}\\%",
)
SPECIAL = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|im_",
    "end|>",
    "<file_sep>",
    "<s>",
    "</s>",
    "<unk>",
    "[INST]",
)


def word(rng: random.Random) -> str:
    made = rng.choice(WORDS)
    return rng.choice((made, made, made, made.title(), made.upper(), made[: rng.randrange(1, 5)]))


def prose(rng: random.Random) -> str:
    ends = (" ", " ", " ", " ", ", ", ". ", "; ", "? ", " - ", "\n", "…")
    return "".join(word(rng) + rng.choice(ends) for _ in range(rng.randrange(1, 20)))


def contractions(rng: random.Random) -> str:
    joins = ("", " ", "s ", "1", "\n")
    return "".join(
        word(rng) + rng.choice(CONTRACTIONS) + rng.choice(joins) for _ in range(rng.randrange(1, 8))
    )


def script(rng: random.Random) -> str:
    first, last = rng.choice(SCRIPTS)
    letters = (rng.randrange(1, 9) for _ in range(rng.randrange(1, 8)))
    return " ".join("".join(chr(rng.randint(first, last)) for _ in range(n)) for n in letters)


def mixture(rng: random.Random) -> str:
    return "".join(chr(rng.randint(*rng.choice(SCRIPTS))) for _ in range(rng.randrange(1, 40)))


def anything(rng: random.Random) -> str:
    points = (rng.randrange(0x110000) if rng.random() < 0.3 else rng.randrange(0x3000) for _ in range(30))
    return "".join(chr(p) for p in points if not 0xD800 <= p <= 0xDFFF)


def combining(rng: random.Random) -> str:
    marks = [chr(rng.randint(0x300, 0x36F)) for _ in range(8)] + [
        "\u093e",
        "\u064b",
        "\u20dd",
        "\ufe0f",
        "\U000e0100",
    ]
    return "".join(
        rng.choice("aeno nAΩжا\u0915") + "".join(rng.choices(marks, k=rng.randrange(4))) for _ in range(12)
    )


def emoji(rng: random.Random) -> str:
    return "".join(
        rng.choice(EMOJI) + rng.choice(("", "", " ", "a", "!\n")) for _ in range(rng.randrange(1, 8))
    )


def digits(rng: random.Random) -> str:
    def number() -> str:
        zero = rng.choice(DIGIT_ZEROS) if rng.random() < 0.4 else 0x30
        return "".join(chr(zero + rng.randrange(10)) for _ in range(rng.randrange(1, 12)))

    joins = ("", " ", "  ", ",", ".", "-", "x", "$", "%", "\n", "٬", rng.choice(NUMBERS))
    return "".join(number() + rng.choice(joins) for _ in range(rng.randrange(1, 8)))


def spaces(rng: random.Random) -> str:
    def run() -> str:
        one = rng.choice((" ", " ", "\t", "\n", "\r\n", rng.choice(SPACES)))
        return (
            one * rng.randrange(1, 7)
            if rng.random() < 0.7
            else "".join(rng.choices(SPACES, k=rng.randrange(1, 9)))
        )

    return "".join(run() + rng.choice(("", word(rng), "1", "!", "é")) for _ in range(rng.randrange(1, 8)))


def controls(rng: random.Random) -> str:
    unusual = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0))] + list(INVISIBLE)
    return "".join(rng.choice((word(rng), rng.choice(unusual), " ")) for _ in range(rng.randrange(1, 20)))


def punctuation(rng: random.Random) -> str:
    runs = (rng.choice(PUNCTUATION) * rng.randrange(1, 5) for _ in range(rng.randrange(1, 10)))
    return "".join(run + rng.choice(("", " ", "\n", "\r\n", word(rng))) for run in runs)


def code(rng: random.Random) -> str:
    return rng.choice(CODE).format(
        a=word(rng).lower(), b=word(rng).lower(), n=rng.randrange(10 ** rng.randrange(1, 7))
    )


def special(rng: random.Random) -> str:
    return "".join(
        rng.choice(SPECIAL) + rng.choice(("", " ", "\n", word(rng))) for _ in range(rng.randrange(1, 6))
    )


def repeated(rng: random.Random) -> str:
    return rng.choice((word(rng), "a", " ", "\n", "!", "7", "ab", "é", "漢", "😀")) * rng.randrange(2, 120)


MAKERS: tuple[Maker, ...] = (
    prose,
    contractions,
    script,
    script,
    mixture,
    anything,
    combining,
    emoji,
    digits,
    spaces,
    controls,
    punctuation,
    code,
    special,
    repeated,
)


def damaged(rng: random.Random, text: str) -> bytes:
    """Bytes that are not UTF-8: some cut, some changed, some put in.

    No byte above 0xF3 is left, for llama.cpp ends the process over what would decode to more than U+10FFFF.
    """
    data = bytearray(text.encode())
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data) + 1)
        action = rng.randrange(3)
        if action == 0:
            data[at:at] = bytes(
                rng.choice((0x80, 0xBF, 0xC0, 0xC3, 0xE2, 0xED, 0xF0)) for _ in range(rng.randrange(1, 4))
            )
        elif action == 1 and at < len(data):
            del data[at]
        elif at < len(data):
            data[at] = rng.randrange(0xF4)
    return bytes(b for b in data if b < 0xF4)


def varied_lines(count: int, *, seed: int) -> Iterator[bytes]:
    """``count`` lines, at most a few hundred characters each, one in twelve of them not valid UTF-8."""
    rng = random.Random(seed)
    for _ in range(count):
        text = "".join(rng.choice(MAKERS)(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
        yield damaged(rng, text) if rng.random() < 1 / 12 else text.encode()
