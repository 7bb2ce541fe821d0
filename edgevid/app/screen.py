"""What ``edgevid watch`` shows: JSON lines for programs, a timeline for people (and live_screen.py)."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgevid.app.asking import Answered
from edgevid.app.wording import answer_lines, event_line, opened_line, stats_lines
from edgevid.core.errors import EdgevidError
from edgevid.stream.events import Event, answer_json

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from edgevid.media.info import SourceInfo
    from edgevid.stream.alerts import Alert


class Screen(ABC):
    """Where a watch reports to; one call per thing that happens, all from one thread."""

    @contextmanager
    def watching(self, duration_s: float | None) -> Iterator[None]:
        """Wrap the watching; ``duration_s`` of a single source that has an end."""
        yield

    def opened(self, info: SourceInfo, source: str | None) -> None:  # noqa: B027
        """A source that can be told about before it is watched."""

    @abstractmethod
    def event(self, event: Event) -> None:
        """Something begins to be seen or heard."""

    @abstractmethod
    def alert(self, alert: Alert) -> None:
        """A condition came true."""

    @abstractmethod
    def answer(self, answered: Answered) -> None:
        """A question is answered."""

    @abstractmethod
    def failed(self, error: EdgevidError, source: str | None) -> None:
        """A source, or a question, failed while others go on."""

    @abstractmethod
    def stats(self, stats: dict[str, Any]) -> None:
        """A session's measurements, last of all."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Something worth a line, e.g. a file that was written."""


class JsonScreen(Screen):
    """One JSON object per line on stdout, flushed at once; nothing else goes there."""

    def event(self, event: Event) -> None:
        self._print(event.to_json())

    def alert(self, alert: Alert) -> None:
        self._print(alert.to_json())

    def answer(self, answered: Answered) -> None:
        self._print({**answer_json(answered.answer), **_named(answered.source)})

    def failed(self, error: EdgevidError, source: str | None) -> None:
        self._print({**error.to_json(), **_named(source)})

    def stats(self, stats: dict[str, Any]) -> None:
        self._print(stats)

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)

    @staticmethod
    def _print(line: dict[str, Any]) -> None:
        print(json.dumps(line, ensure_ascii=False), flush=True)


class TextScreen(Screen):
    """A timeline, answers with their evidence, and one line of measurements; progress on stderr."""

    def __init__(self) -> None:
        from rich.console import Console

        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, soft_wrap=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    @contextmanager
    def watching(self, duration_s: float | None) -> Iterator[None]:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("watching"), BarColumn(), TimeRemainingColumn())
        shown = self._err.is_terminal and duration_s is not None
        with Progress(*columns, console=self._err, transient=True, disable=not shown) as progress:
            self._progress = progress
            self._task = progress.add_task("watching", total=duration_s)
            yield

    def opened(self, info: SourceInfo, source: str | None) -> None:
        self._out.print(opened_line(info, source))

    def event(self, event: Event) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=event.observation.span.start_s)
        self._out.print(event_line(event))

    def alert(self, alert: Alert) -> None:
        from rich.markup import escape

        self._out.print(f"[bold red]alert[/]   {escape(alert.condition.text)}")

    def answer(self, answered: Answered) -> None:
        self._out.print()
        for line in answer_lines(answered.answer, answered.source):
            self._out.print(line)

    def failed(self, error: EdgevidError, source: str | None) -> None:
        self.note(f"error: {source}: {error}" if source else f"error: {error}")

    def stats(self, stats: dict[str, Any]) -> None:
        self._out.print()
        for line in stats_lines(stats):
            self._out.print(line)
        for warning in stats["warnings"]:
            self.note(f"warning: {warning}")

    def note(self, text: str) -> None:
        self._err.print(text, markup=False)


def _named(source: str | None) -> dict[str, str]:
    return {"source": source} if source else {}
