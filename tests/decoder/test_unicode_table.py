"""The committed table of character classes against Python's own Unicode database."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

TABLE = Path(__file__).parent.parent.parent / "csrc" / "decoder" / "unicode_data.cc"
OTHER, SPACE = 0, 3
CLASSES = {"L": 1, "N": 2, "P": 4}


def committed_classes() -> list[int]:
    """The class of each code point, as unicode_data.cc says."""
    body = TABLE.read_text().split("kUnicodeRanges[] = {")[1].split("}")[0]
    starts = [int(value, 16) for value in re.findall(r"0x[0-9a-f]+", body)]
    classes: list[int] = []
    for start, after in zip(starts, [*starts[1:], 0x110000 << 3], strict=True):
        classes += [start & 7] * ((after >> 3) - (start >> 3))
    return classes


def test_classes_agree_with_python_where_both_know_the_character() -> None:
    if tuple(int(part) for part in unicodedata.unidata_version.split(".")) > (15, 1, 0):
        pytest.skip("this Python knows characters that the table does not")
    classes = committed_classes()
    assert len(classes) == 0x110000
    known = [p for p in range(0x110000) if unicodedata.category(chr(p)) != "Cn" and classes[p] != SPACE]
    assert len(known) > 280_000
    wrong = [p for p in known if classes[p] != CLASSES.get(unicodedata.category(chr(p))[0], OTHER)]
    assert not wrong, [f"U+{p:04X}" for p in wrong[:20]]


def test_spaces_are_those_of_unicode() -> None:
    spaces = {p for p, c in enumerate(committed_classes()) if c == SPACE}
    assert spaces == {p for p in range(0x110000) if chr(p).isspace()} - {0x1C, 0x1D, 0x1E, 0x1F}
