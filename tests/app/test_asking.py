"""Questions from the terminal or a pipe: none is lost, and no byte stops the reading."""

from __future__ import annotations

import threading
from io import BytesIO, TextIOWrapper
from typing import Any

from edgevid.app.asking import Answered, Asker, answers, read_lines
from edgevid.core.errors import EdgevidError, UsageError
from edgevid.core.nouns import Answer


class Watched:
    """What an ``Asker`` needs of a session."""

    watched = True

    def __init__(self, label: str | None = None, *, ready: threading.Event | None = None) -> None:
        self.label = label
        self._ready = ready

    def ask(self, question: str) -> Answer:
        if self._ready is not None:
            assert self._ready.wait(30)
        if question == "?":
            raise UsageError("no question")
        return Answer(question, f"{self.label}: {question}")


def test_a_question_goes_to_the_source_it_names_or_to_all() -> None:
    sessions: Any = [Watched("door"), Watched("yard")]
    assert [a.answer.text for a in answers(sessions, "door: who?")] == ["door: who?"]
    assert [a.answer.text for a in answers(sessions, "when: who?")] == [
        "door: when: who?",
        "yard: when: who?",
    ]


def test_more_questions_than_wait_are_all_answered_when_they_are_piped_in() -> None:
    ready, done = threading.Event(), threading.Event()
    told: list[Answered | EdgevidError] = []

    def tell(thing: Answered | EdgevidError) -> None:
        told.append(thing)
        if len(told) == 50:
            done.set()

    session: Any = Watched(ready=ready)
    asker = Asker([session], tell)
    stream = TextIOWrapper(BytesIO(b"".join(b"question %d\n\n" % i for i in range(50))), encoding="utf-8")
    read_lines(stream, lambda line: asker.ask(line, wait=True))
    ready.set()
    assert done.wait(30)
    assert [t.answer.question for t in told if isinstance(t, Answered)] == [
        f"question {i}" for i in range(50)
    ]


def test_who_types_is_told_when_too_many_wait() -> None:
    ready = threading.Event()
    session: Any = Watched(ready=ready)
    asker = Asker([session], lambda _: None)
    taken = [asker.ask("who?") for _ in range(40)]
    assert taken[0]
    assert not taken[-1]
    ready.set()


def test_bytes_that_are_no_text_stop_nothing() -> None:
    lines: list[str] = []
    done = threading.Event()

    def take(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            done.set()

    read_lines(TextIOWrapper(BytesIO(b"\xff\xfe?\nWhat is seen?\n"), encoding="utf-8"), take)
    assert done.wait(30)
    assert lines == ["\ufffd\ufffd?", "What is seen?"]
