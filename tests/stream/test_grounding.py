from __future__ import annotations

import pytest

from edgevid.core.nouns import Kind, Observation, TimeSpan
from edgevid.memory.memory import Row
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.grounding import ungrounded

S = 1_000_000_000
VOCABULARY = Vocabulary(objects=["person", "car", "dog"], classes=["castle"], sounds=["Siren"])


def row(row_id: int, kind: Kind, label: str, start_s: float, end_s: float, count: int = 1) -> Row:
    return Row(row_id, 1, Observation(kind, label, TimeSpan(int(start_s * S), int(end_s * S)), 0.9, count))


ROWS = [row(1, "object", "car", 3, 9, 2), row(2, "speech", "the dog ran 40 metres", 5, 6)]


@pytest.mark.parametrize(
    ("draft", "missing"),
    [
        ("Two cars are there from 0:03 to 0:09.", []),
        ("A voice says the dog ran 40 metres at 5 seconds.", []),
        ("There is a car at 0:42.", ["time 0:42"]),
        ("Three cars pass.", ["number 3"]),
        ("A person stands by the castle.", ["label person", "label castle"]),
        ("A siren at 1:00:03 and 7 cars", ["time 1:00:03", "number 7", "label siren"]),
        ("", []),
    ],
)
def test_claims_without_a_row_are_named(draft: str, missing: list[str]) -> None:
    assert ungrounded(draft, "What is there?", ROWS, VOCABULARY) == missing


def test_what_the_question_says_may_be_repeated() -> None:
    assert ungrounded("No dog, no person.", "Is there a person?", ROWS, VOCABULARY) == []
