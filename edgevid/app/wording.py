"""Events, answers and measurements as lines with rich's markup."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from edgevid.core.nouns import NS_PER_S, Answer, Kind
from edgevid.stream.answer import phrasing
from edgevid.stream.events import Event

if TYPE_CHECKING:
    from edgevid.media.info import SourceInfo

_COLOURS: dict[Kind, str] = {
    "object": "cyan",
    "class": "blue",
    "text": "yellow",
    "speech": "green",
    "sound": "magenta",
    "cut": "dim",
}
_SPANS, _ROWS = 6, 4


def opened_line(info: SourceInfo, source: str | None) -> str:
    """``clip.mp4  640x360 h264, aac, 12 seconds``."""
    from rich.markup import escape

    sound = info.audio_codec or "no sound"
    size = f"{info.width}x{info.height} {info.video_codec}" if info.has_video else "no picture"
    length = phrasing.seconds(int(info.duration_s * NS_PER_S)) if info.duration_s else "no end known"
    name = f"{escape(source)}: " if source else ""
    return f"[bold]{name}{escape(info.uri)}[/]  {size}, {sound}, {length}"


def event_line(event: Event) -> str:
    """Time (of day for live sources), source, kind, label, count, score."""
    from rich.markup import escape

    o = event.observation
    time = phrasing.clock(o.span.start_ns)
    if o.wall_ns is not None:
        time = f"{datetime.fromtimestamp(o.wall_ns / NS_PER_S).astimezone():%H:%M:%S}"
    count = f" x{o.count}" if o.count > 1 else ""
    label = f'"{o.label}"' if o.kind in ("speech", "text") else o.label.split(",")[0]
    name = f"[bold]{escape(event.source)}[/]  " if event.source else ""
    kind = f"[{_COLOURS[o.kind]}]{o.kind:<6}[/]"
    return f"{time:>8}  {name}{kind}  {escape(label)}{count}  [dim]{o.score:.2f}[/]"


def answer_lines(answer: Answer, source: str | None) -> list[str]:
    """The question, the answer, its evidence, and how it was found."""
    from rich.markup import escape

    name = f"{escape(source)}: " if source else ""
    lines = [f"[bold]? {name}{escape(answer.question)}[/]", f"  {escape(answer.text)}"]
    if answer.evidence:
        spans = [
            f"{phrasing.interval(e)} (row{'s' if len(e.rows) > 1 else ''} {_numbers(e.rows)})"
            for e in answer.evidence
            if e.rows
        ]
        lines.append(f"  [dim]evidence: {'; '.join(spans[:_SPANS]) or 'the length of the video'}[/]")
    if answer.attended:
        seen = [
            f"{phrasing.clock(a.span.start_ns)} to {phrasing.clock(a.span.end_ns)} ({a.peak:.0%})"
            for a in answer.attended
        ]
        lines.append(f"  [dim]attended most: {'; '.join(seen)}[/]")
    return [*lines, f"  [dim]{answer.latency_ms:.0f} ms, {escape(', '.join(answer.calls))}[/]"]


def stats_lines(stats: dict[str, Any]) -> list[str]:
    """One session's measurements."""
    from rich.markup import escape

    name = f"{escape(stats['source'])}: " if stats.get("source") else ""
    stages = ", ".join(f"{name} {times['p50_ms']:.0f}" for name, times in stats["stages"].items())
    lines = [
        f"{name}{stats['frames']} frames of {stats['media_s']:.1f} s in {stats['elapsed_s']:.1f} s"
        f" ({stats['realtime']:.1f}x real time), {stats['rss_mb']:.0f} MB",
        f"[dim]ms per run (median): {stages}[/]",
    ]
    dropped = {name: channel["dropped"] for name, channel in stats["channels"].items() if channel["dropped"]}
    if dropped:
        lines.append("dropped: " + ", ".join(f"{count} before {name}" for name, count in dropped.items()))
    decoder = stats.get("decoder")
    if decoder:
        lines.append(
            f"decoder {escape(decoder['model'])}: {decoder['decode_tokens_per_s']:.0f} tokens/s decoding,"
            f" {decoder['feed_tokens_per_s']:.0f} tokens/s watching, {stats['kv_tokens']} tokens of KV"
            f" ({decoder['selection']}), eyes: {decoder['encoder']}"
        )
    return lines


def _numbers(rows: tuple[int, ...]) -> str:
    shown = ", ".join(str(row) for row in rows[:_ROWS])
    return f"{shown}, ..." if len(rows) > _ROWS else shown
