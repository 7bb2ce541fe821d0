"""``edgevid forget``: remove what was seen and heard from a memory file, bytes included."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from edgevid.app.quantities import Instant, parse_instant
from edgevid.core.errors import BadInputError, UsageError
from edgevid.core.nouns import TimeSpan
from edgevid.memory.erasing import Removed, Selection
from edgevid.memory.memory import Memory
from edgevid.stream.kv_session import kv_files

_END_NS = 2**62  # past any time a row can have


class _InstantType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer clicks
    name = "time"

    def convert(
        self, value: str | Instant, param: click.Parameter | None, ctx: click.Context | None
    ) -> Instant:
        return value if isinstance(value, Instant) else parse_instant(value)


@click.command("forget")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "start", type=_InstantType(), help="First time to forget; default: the beginning.")
@click.option("--to", "end", type=_InstantType(), help="Forget up to this time; default: the end.")
@click.option("--video", "video_id", type=int, help="Only this video; alone, it goes whole.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout; needs --yes or --dry-run.")
def command(
    file: Path,
    start: Instant | None,
    end: Instant | None,
    video_id: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Remove from FILE every row that touches the time between --from and --to, and overwrite its bytes.

    A position such as 1:30 counts in the video; a date such as "2026-11-22 14:05" is on the wall clock (of
    this machine's zone unless it names one) and concerns rows of live sources. What decoders have seen
    (FILE.kv) cannot be forgotten in part: it goes whole. What storage keeps below the file system (snapshots,
    spare blocks of flash) is out of reach.

    \b
    Examples:
      edgevid forget day.edgevid --from "2026-11-22 14:00" --to "2026-11-22 15:00" --dry-run
      edgevid forget day.edgevid --video 3 --from 1:30 --to 2:00
      edgevid forget day.edgevid --video 3 --yes
    """
    if not file.is_file():
        raise BadInputError(f"no memory file '{file}'", fix="check the path")
    before = _size(file)
    with Memory(file) as memory:
        selection = _selection(memory, start, end, video_id)
        found = memory.would_forget(selection)
        if not dry_run:
            _confirm(found, selection, yes=yes, as_json=as_json)
            found = memory.forget(selection)
            if found.rows or found.videos:
                for path in kv_files(file):
                    path.unlink()
    freed = 0 if dry_run else before - _size(file)
    if as_json:
        report = {"type": "forgotten", "dry_run": dry_run, "rows": found.rows, "videos": found.videos}
        click.echo(json.dumps({**report, "freed_bytes": freed}))
    else:
        click.echo(
            f"would forget {_said(found)}" if dry_run else f"forgot {_said(found)}, {freed} bytes freed"
        )
    return 0


def _selection(memory: Memory, start: Instant | None, end: Instant | None, video_id: int | None) -> Selection:
    known = [video.id for video in memory.videos()]
    if video_id is not None and video_id not in known:
        raise BadInputError(
            f"'{memory.path}' has no video {video_id}",
            fix=f"choose one of {', '.join(map(str, known))}" if known else None,
        )
    if start is None and end is None:
        if video_id is None:
            raise UsageError("forget needs a time or a video", fix="--from, --to or --video")
        return Selection(video_id)
    if start is not None and end is not None and start.on_wall_clock != end.on_wall_clock:
        raise UsageError("--from and --to are of two kinds", fix="write both as positions or both as dates")
    start_ns, end_ns = start.ns if start else 0, end.ns if end else _END_NS
    if end_ns <= start_ns:
        raise UsageError("--to must be after --from")
    span = TimeSpan(start_ns, end_ns)
    if (start or end).on_wall_clock:  # type: ignore[union-attr]  # one of them is given
        return Selection(video_id, wall=span)
    if video_id is None and len(known) > 1:
        raise UsageError(
            f"a position needs a video: '{memory.path}' holds {len(known)}", fix="--video N, or a date"
        )
    return Selection(video_id, span=span)


def _confirm(found: Removed, selection: Selection, *, yes: bool, as_json: bool) -> None:
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError(f"would forget {_said(found)}; nobody is there to ask", fix="--yes or --dry-run")
    whole = " and the name of the video" if selection.whole else ""
    click.confirm(f"Forget {_said(found)}{whole} for good?", abort=True, err=True)


def _said(found: Removed) -> str:
    rows = f"{found.rows} row{'' if found.rows == 1 else 's'}"
    return f"{rows} and {found.videos} video{'' if found.videos == 1 else 's'}" if found.videos else rows


def _size(file: Path) -> int:
    return sum(part.stat().st_size for part in file.parent.glob(file.name + "*") if part.is_file())
