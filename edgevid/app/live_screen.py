"""The terminal while something live is watched: events, how old they are, answers, a line to type in."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgevid.app.asking import Answered
from edgevid.app.keyboard import Keyboard
from edgevid.app.screen import TextScreen
from edgevid.app.wording import answer_lines, event_line
from edgevid.core.errors import EdgevidError
from edgevid.stream.events import Event

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from edgevid.stream.alerts import Alert
    from edgevid.stream.session import StreamSession

_EVENTS, _ANSWERS = 200, 40  # lines kept
_REFRESHES_PER_S = 4


class LiveScreen(TextScreen):
    """Draws itself a few times a second, in a thread of its own, from what happened and the sessions' counts.

    Args:
        ask: is given each question typed; False means that too many wait.
        quit: is called for Ctrl-D.
    """

    def __init__(
        self, sessions: Sequence[StreamSession], *, ask: Callable[[str], bool], quit: Callable[[], None]
    ) -> None:
        super().__init__()
        self._sessions = sessions
        self._ask = ask
        self._events: deque[str] = deque(maxlen=_EVENTS)
        self._answers: deque[str] = deque(maxlen=_ANSWERS)
        self._keyboard = Keyboard(sys.stdin.fileno(), entered=self._entered, left=quit)
        self._drawing = False

    @contextmanager
    def watching(self, duration_s: float | None) -> Iterator[None]:
        from rich.live import Live

        live = Live(
            self, console=self._out, screen=True, refresh_per_second=_REFRESHES_PER_S, redirect_stderr=False
        )
        self._drawing = True
        try:
            with self._keyboard, live:
                yield
        finally:
            self._drawing = False
        for line in self._answers:
            self._out.print(line)

    def event(self, event: Event) -> None:
        self._events.append(event_line(event))

    def alert(self, alert: Alert) -> None:
        from rich.markup import escape

        self._events.append(f"[bold red]alert[/]   {escape(alert.condition.text)}")

    def answer(self, answered: Answered) -> None:
        if self._drawing:
            self._answers.extend(answer_lines(answered.answer, answered.source))
        else:
            super().answer(answered)

    def failed(self, error: EdgevidError, source: str | None) -> None:
        from rich.markup import escape

        if self._drawing:
            self._events.append(
                f"[red]error: {escape(source + ': ' if source else '')}{escape(str(error))}[/]"
            )
        else:
            super().failed(error, source)

    def _entered(self, line: str) -> None:
        if not self._ask(line):
            self._answers.append("[red]too many questions wait[/]")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.markup import escape
        from rich.text import Text

        height = (options.height or console.height) - len(self._sessions) - 4
        width = options.max_width
        answers = [row for line in self._answers for row in Text.from_markup(line).wrap(console, width)]
        answers = answers[-max(3, height // 3) :]
        events = list(self._events)[-max(1, height - len(answers)) :]
        for session in self._sessions:
            yield _one_line(status_line(session.stats()))
        yield Text("─" * width, style="dim")
        for event in [*events, *[""] * (height - len(events) - len(answers))]:
            yield _one_line(event)
        yield Text("─" * width, style="dim")
        yield from answers
        yield Text.from_markup(f"[bold]ask>[/] {escape(self._keyboard.typed)}█")


def _one_line(markup: str) -> Text:
    """Cut at the edge of the screen, so that what is below stays in sight."""
    from rich.text import Text

    text = Text.from_markup(markup, emoji=False, overflow="ellipsis")
    text.no_wrap = True
    return text


def status_line(stats: dict[str, Any]) -> str:
    """``door  1.9 frames/s, 31 s watched, frame age 120 ms, 12 dropped, 310 MB, queues eye 1 ear 0``."""
    from rich.markup import escape

    age = stats["stages"].get("age", {"p50_ms": 0.0})["p50_ms"]
    shown = [f"{stats['fps']:.1f} frames/s", f"{stats['media_s']:.0f} s watched"]
    if age:
        shown.append(f"frame age {age:.0f} ms")
    channels = stats["channels"]
    shown.append(f"{sum(c['dropped'] for c in channels.values())} dropped")
    shown.append(f"{stats['rss_mb']:.0f} MB")
    shown.append("queues " + " ".join(f"{name} {c['depth']}" for name, c in channels.items()))
    return f"[bold]{escape(stats.get('source') or 'watching')}[/]  {', '.join(shown)}"
