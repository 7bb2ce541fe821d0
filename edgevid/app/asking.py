"""Questions asked while watching: answered in a thread of their own, so that nothing else waits."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from edgevid.core.errors import EdgevidError
from edgevid.core.nouns import Answer

if TYPE_CHECKING:
    from edgevid.stream.session import StreamSession

_WAITING = 16
_BEGINNING_S = 30.0


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and the name of the source it is about where there are several."""

    answer: Answer
    source: str | None


class Asker:
    """Answers one question at a time.

    With several sources a question is put to each; "door: who is there?" asks the one of that name alone.

    Args:
        tell: takes each ``Answered``, or an ``EdgevidError``, in the asking thread.
    """

    def __init__(
        self, sessions: Sequence[StreamSession], tell: Callable[[Answered | EdgevidError], None]
    ) -> None:
        self._sessions = sessions
        self._tell = tell
        self._questions: queue.Queue[str] = queue.Queue(_WAITING)
        threading.Thread(target=self._work, name="edgevid-ask", daemon=True).start()

    def ask(self, question: str, *, wait: bool = False) -> bool:
        """Queue ``question``; False when too many wait already, unless this one may ``wait`` for room."""
        with suppress(queue.Full):
            self._questions.put(question, block=wait)
            return True
        return False

    def _work(self) -> None:
        while True:
            question = self._questions.get()
            self._wait_for_a_beginning()
            try:
                for answered in answers(self._sessions, question):
                    self._tell(answered)
            except EdgevidError as error:
                self._tell(error)

    def _wait_for_a_beginning(self) -> None:
        """A question may come while the sources are still being opened."""
        until_s = time.monotonic() + _BEGINNING_S
        while not any(session.watched for session in self._sessions) and time.monotonic() < until_s:
            time.sleep(0.05)


def answers(sessions: Sequence[StreamSession], question: str) -> list[Answered]:
    """``question`` put to the session it names, or to all."""
    name, colon, rest = question.partition(":")
    named = [session for session in sessions if colon and session.label == name.strip()]
    asked = rest.strip() if named else question
    return [Answered(session.ask(asked), session.label) for session in named or sessions]


def read_lines(stream: TextIO, take: Callable[[str], object]) -> None:
    """Give each line of ``stream`` (piped in, of whatever bytes) to ``take``, in a thread."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")

    def work() -> None:
        for line in stream:
            if line.strip():
                take(line.strip())

    threading.Thread(target=work, name="edgevid-lines", daemon=True).start()
