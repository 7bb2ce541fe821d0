"""What ``edgevid watch`` shows: JSON lines for programs, a timeline for people."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgevid.core.nouns import NS_PER_S, Answer
from edgevid.stream.answer import phrasing
from edgevid.stream.events import Event, answer_json

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from edgevid.media.info import SourceInfo

_COLOURS = {
    "object": "cyan",
    "class": "blue",
    "text": "yellow",
    "speech": "green",
    "sound": "magenta",
    "cut": "dim",
}


class Screen(ABC):
    """Where a watch reports to; one call per thing that happens."""

    @contextmanager
    def watching(self, info: SourceInfo) -> Iterator[None]:
        """Wrap the watching of one source."""
        yield

    @abstractmethod
    def event(self, event: Event) -> None:
        """Something begins to be seen or heard."""

    @abstractmethod
    def answer(self, answer: Answer) -> None:
        """A question is answered."""

    @abstractmethod
    def stats(self, stats: dict[str, Any]) -> None:
        """The session's measurements, last of all."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Something worth a line, e.g. a file that was written."""


class JsonScreen(Screen):
    """One JSON object per line on stdout, flushed at once; nothing else goes there."""

    def event(self, event: Event) -> None:
        self._print(event.to_json())

    def answer(self, answer: Answer) -> None:
        self._print(answer_json(answer))

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
    def watching(self, info: SourceInfo) -> Iterator[None]:
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        sound = info.audio_codec or "no sound"
        size = f"{info.width}x{info.height} {info.video_codec}" if info.has_video else "no picture"
        length = phrasing.seconds(int(info.duration_s * NS_PER_S)) if info.duration_s else "unknown length"
        self._out.print(f"[bold]{escape(info.uri)}[/]  {size}, {sound}, {length}")
        columns = (
            TextColumn("watching"),
            BarColumn(),
            TextColumn("{task.fields[clock]}"),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns, console=self._err, transient=True, disable=not self._err.is_terminal
        ) as progress:
            self._progress = progress
            self._task = progress.add_task("watching", total=info.duration_s, clock="0:00")
            yield

    def event(self, event: Event) -> None:
        from rich.markup import escape

        o = event.observation
        if self._progress is not None and self._task is not None:
            clock = phrasing.clock(o.span.start_ns)
            self._progress.update(self._task, completed=o.span.start_s, clock=clock)
        count = f" x{o.count}" if o.count > 1 else ""
        label = f'"{o.label}"' if o.kind in ("speech", "text") else o.label.split(",")[0]
        colour = _COLOURS[o.kind]
        time = phrasing.clock(o.span.start_ns)
        self._out.print(f"{time:>8}  [{colour}]{o.kind:<6}[/]  {escape(label)}{count}  [dim]{o.score:.2f}[/]")

    def answer(self, answer: Answer) -> None:
        from rich.markup import escape

        self._out.print(f"\n[bold]? {escape(answer.question)}[/]")
        self._out.print(f"  {escape(answer.text)}")
        if answer.evidence:
            spans = [f"{phrasing.interval(e)} (rows {_numbers(e.rows)})" for e in answer.evidence if e.rows]
            self._out.print(f"  [dim]evidence: {'; '.join(spans[:6]) or 'the length of the video'}[/]")
        calls = escape(", ".join(answer.calls))
        self._out.print(f"  [dim]{answer.latency_ms:.0f} ms, {calls}[/]")

    def stats(self, stats: dict[str, Any]) -> None:
        self._out.print(
            f"\n{stats['frames']} frames of {stats['media_s']:.1f} s in {stats['elapsed_s']:.1f} s"
            f" ({stats['realtime']:.1f}x real time), {stats['rss_mb']:.0f} MB"
        )
        stages = ", ".join(f"{name} {times['p50_ms']:.0f}" for name, times in stats["stages"].items())
        self._out.print(f"[dim]ms per run (median): {stages}[/]")
        decoder = stats.get("decoder")
        if decoder:
            self._out.print(
                f"decoder {decoder['model']}: {decoder['decode_tokens_per_s']:.0f} tokens/s decoding,"
                f" {decoder['feed_tokens_per_s']:.0f} tokens/s watching, {stats['kv_tokens']} tokens of KV"
                f" ({decoder['selection']}), eyes: {decoder['encoder']}"
            )
        for warning in stats["warnings"]:
            self.note(f"warning: {warning}")

    def note(self, text: str) -> None:
        self._err.print(text, markup=False)


def _numbers(rows: tuple[int, ...]) -> str:
    shown = ", ".join(str(row) for row in rows[:4])
    return f"{shown}, ..." if len(rows) > 4 else shown
