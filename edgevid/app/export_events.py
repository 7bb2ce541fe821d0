"""``edgevid export-events``: a saved timeline as JSONL, CSV or SRT."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import click

from edgevid.core.errors import BadInputError, UsageError
from edgevid.core.nouns import KINDS, NS_PER_S
from edgevid.media.atomic import written_whole
from edgevid.memory.memory import Memory, Row
from edgevid.stream.events import Event

_CSV_FIELDS = ["t_s", "end_s", "kind", "label", "score", "count", "row", "wall"]


def _jsonl(rows: list[Row]) -> str:
    return "".join(json.dumps(Event(row.id, row.observation).to_json()) + "\n" for row in rows)


def _csv(rows: list[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, _CSV_FIELDS, extrasaction="ignore", restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({"count": row.observation.count, **Event(row.id, row.observation).to_json()})
    return out.getvalue()


def _srt(rows: list[Row]) -> str:
    """Speech as plain captions, everything else as ``[label]``, numbered from 1."""
    blocks = []
    for number, row in enumerate(rows, 1):
        o = row.observation
        text = o.label if o.kind == "speech" else f"[{o.label}]"
        times = f"{_srt_time(o.span.start_ns)} --> {_srt_time(o.span.end_ns)}"
        blocks.append(f"{number}\n{times}\n{' '.join(text.split())}\n")
    return "\n".join(blocks)


def _srt_time(ns: int) -> str:
    ms = ns // (NS_PER_S // 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"


_FORMATS: dict[str, Callable[[list[Row]], str]] = {"jsonl": _jsonl, "csv": _csv, "srt": _srt}


def _choose_video(memory: Memory, video_id: int | None) -> int:
    videos = memory.videos()
    if not videos:
        raise BadInputError(f"'{memory.path}' holds no video", fix="edgevid watch VIDEO --save FILE")
    if video_id is None:
        return videos[-1].id
    if video_id not in {video.id for video in videos}:
        known = ", ".join(str(video.id) for video in videos)
        raise BadInputError(f"'{memory.path}' has no video {video_id}", fix=f"choose one of {known}")
    return video_id


@click.command("export-events")
@click.argument("session", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format", "format_", type=click.Choice(list(_FORMATS)), help="Default: from OUT's ending, else jsonl."
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File; default: stdout."
)
@click.option("--video", "video_id", type=int, help="Which video of the file; default: the newest.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    help="Only these kinds (repeatable); SRT defaults to speech.",
)
def command(
    session: Path, format_: str | None, output: Path | None, video_id: int | None, kinds: tuple[str, ...]
) -> None:
    """Write the timeline that `edgevid watch --save SESSION` kept.

    \b
    Examples:
      edgevid export-events day.edgevid -o events.csv
      edgevid export-events day.edgevid -o talk.srt --kind speech --kind sound
      edgevid export-events day.edgevid --format jsonl | jq .label
    """
    if not session.is_file():
        raise BadInputError(f"no session file '{session}'", fix=f"edgevid watch VIDEO --save {session}")
    if output is not None and output.exists() and output.samefile(session):
        raise UsageError(f"'{output}' is the timeline itself", fix="name another file with -o")
    if format_ is None:
        ending = output.suffix.lstrip(".").lower() if output else "jsonl"
        format_ = ending if ending in _FORMATS else "jsonl"
    if format_ == "srt" and not kinds:
        kinds = ("speech",)
    with Memory(session) as memory:
        rows = memory.rows(_choose_video(memory, video_id), kinds=kinds or KINDS)  # type: ignore[arg-type]
    text = _FORMATS[format_](rows)
    if output is None:
        click.echo(text, nl=False)
    else:
        with written_whole(output) as part:
            part.write_text(text, encoding="utf-8")
