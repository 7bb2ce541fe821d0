"""``edgevid watch``: the command line of it; ``watching.py`` does the work."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edgevid.app.cameras import MOST_THREADS, Camera, WatchPlan, named, parse_memory_bytes, read_plan
from edgevid.app.completion import files
from edgevid.app.outputs import check_outputs
from edgevid.app.quantities import Finite, parse_age_s, parse_bytes
from edgevid.app.watching import Request, run
from edgevid.core.errors import UsageError
from edgevid.core.kv_config import KV_DTYPES
from edgevid.core.nouns import KINDS, Kind
from edgevid.memory.erasing import Retention


class _Channels(click.ParamType):  # type: ignore[type-arg]  # generic only in newer clicks
    name = "kinds"

    def convert(
        self, value: str | tuple[Kind, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Kind, ...]:
        if isinstance(value, tuple):
            return value
        wanted = [name.strip() for name in value.split(",") if name.strip()]
        unknown = [name for name in wanted if name not in KINDS]
        if unknown or not wanted:
            self.fail(f"'{value}': choose from {', '.join(KINDS)}", param, ctx)
        return tuple(kind for kind in KINDS if kind in wanted)


_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("watch")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", shell_complete=files)
@click.option("--config", type=_FILE, help="Cameras and options from a TOML file (examples/cameras.toml).")
@click.option(
    "--ask", "questions", multiple=True, metavar="Q", help="Question to answer at the end (repeatable)."
)
@click.option(
    "--live", is_flag=True, help="In real time, newest frame first; implied by rtsp:// and devices."
)
@click.option(
    "-i",
    "--interactive",
    is_flag=True,
    help="Take questions while it watches; default with --live at a terminal.",
)
@click.option(
    "--notify", multiple=True, metavar="WHAT", help="Tell when this appears: 'a person' (repeatable)."
)
@click.option(
    "--notify-command", metavar="CMD", help="Run CMD for each alert (JSON on stdin, EDGEVID_*); no shell."
)
@click.option("--notify-webhook", metavar="URL", help="POST each alert to URL as JSON.")
@click.option(
    "--llm",
    metavar="MODEL",
    help="A model that follows: 'demo', a GGUF file or a checkpoint's folder.",
    shell_complete=files,
)
@click.option(
    "--mmproj", metavar="FILE", help="The vision half of a GGUF given with --llm.", shell_complete=files
)
@click.option("--fps", default=2.0, show_default=True, help="Frames looked at per second of video.")
@click.option("--channels", type=_Channels(), help=f"What to watch for, of {', '.join(KINDS)}; default: all.")
@click.option(
    "--start",
    "start_s",
    default=0.0,
    type=Finite(min=0),
    help="Seconds into the source to start at.",
)
@click.option("--end", "end_s", type=Finite(min=0), help="Seconds into the source to stop at.")
@click.option(
    "--threads", default=0, type=click.IntRange(0, MOST_THREADS), help="CPU threads for all; 0 = all cores."
)
@click.option("--save", type=_FILE, help="Keep the timeline in this file.")
@click.option(
    "--session",
    type=_FILE,
    help="--save, and go on from FILE when it exists; --llm keeps its past in FILE.kv.",
)
@click.option(
    "--kv-ram", metavar="SIZE", help="RAM for the past of --llm, such as 200MB; older goes to FILE.kv."
)
@click.option(
    "--kv-dtype",
    type=click.Choice(KV_DTYPES),
    default="f16",
    show_default=True,
    help="What --llm keeps its past as; int8 takes 0.52 of the RAM and disk.",
)
@click.option("--keep-age", metavar="AGE", help="Forget rows older than AGE, such as 12h or 7d.")
@click.option("--keep-size", metavar="SIZE", help="Forget the oldest rows beyond SIZE, such as 500MB or 2GB.")
@click.option("--sheet", type=_FILE, help="Write an annotated contact sheet PNG.")
@click.option("--trace", type=_FILE, help="Write what ran when, as a Chrome trace (ui.perfetto.dev).")
@click.option("--json", "as_json", is_flag=True, help="JSON lines on stdout: event, alert, answer, stats.")
@click.pass_context
def command(ctx: click.Context, /, sources: tuple[str, ...], config: Path | None, **options: Any) -> int:
    """Watch each SOURCE (file, folder of pictures, rtsp://, /dev/video0, or "sample"); print what is seen and
    heard.

    Questions are answered from the timeline, with the spans that support each answer. Without --llm no
    language model runs; with it, a model's sentence is shown only when the timeline supports it. With several
    sources, "door: who is there?" asks about the one called door.

    \b
    Examples:
      edgevid watch sample --ask "What is on the road?"
      edgevid watch talk.mp4 --channels speech --save talk.edgevid
      edgevid watch street.mp4 --fps 2 --json | jq 'select(.kind == "object")'
      edgevid watch rtsp://cam/door --notify "a person at the door" --notify-command "mail -s door me"
      edgevid watch rtsp://cam/door --llm demo --session door.edgevid
      edgevid watch --config cameras.toml
    """
    default = click.core.ParameterSource.DEFAULT
    given = {name for name in options if ctx.get_parameter_source(name) is not default}
    if bool(sources) == (config is not None):
        raise click.UsageError("name one or more sources, or --config FILE", ctx=ctx)
    plan = _plan_of_file(config, given) if config is not None else _plan_of_line(sources, options)
    start_s, end_s = options["start_s"], options["end_s"]
    if end_s is not None and end_s <= start_s:
        raise click.UsageError(f"--end ({end_s:g}) must be after --start ({start_s:g})")
    if options["sheet"] is not None and len(plan.cameras) > 1:
        raise UsageError("--sheet shows one source", fix="name one source")
    check_outputs([camera.source for camera in plan.cameras], [plan.save, options["sheet"], options["trace"]])
    live = any(camera.live for camera in plan.cameras)
    request = Request(
        questions=options["questions"],
        start_s=start_s,
        end_s=end_s,
        sheet=options["sheet"],
        trace=options["trace"],
        interactive=options["interactive"] or (live and _at_terminal() and not options["as_json"]),
        as_json=options["as_json"],
    )
    return run(plan, request)


# What the file decides when there is one.
_IN_FILE = (
    *("live", "notify", "notify_command", "notify_webhook", "llm", "mmproj", "fps", "channels", "threads"),
    *("save", "session", "kv_ram", "kv_dtype", "keep_age", "keep_size"),
)


def _plan_of_file(config: Path, given: set[str]) -> WatchPlan:
    doubled = [name for name in _IN_FILE if name in given]
    if doubled:
        raise UsageError(f"--{doubled[0].replace('_', '-')} and --config", fix=f"write it in {config}")
    plan = read_plan(config)
    return replace(plan, cameras=tuple(_live_if_it_is(camera) for camera in plan.cameras))


def _plan_of_line(sources: tuple[str, ...], options: dict[str, Any]) -> WatchPlan:
    if not 0 < options["fps"] <= 240:
        raise UsageError(f"--fps {options['fps']:g}", fix="choose a rate above 0, at most 240")
    if options["notify_command"] and options["notify_webhook"]:
        raise UsageError("--notify-command and --notify-webhook", fix="choose one")
    if options["save"] and options["session"]:
        raise UsageError("--save and --session name two timelines", fix="choose one")
    if options["kv_ram"] and not (options["session"] and options["llm"]):
        raise UsageError("--kv-ram without --session and --llm", fix="--llm MODEL --session FILE")
    if options["kv_dtype"] != "f16" and not options["llm"]:
        raise UsageError("--kv-dtype without --llm", fix="--llm MODEL")
    if options["mmproj"] and not options["llm"]:
        raise UsageError("--mmproj without --llm", fix="--llm TEXT.gguf --mmproj FILE")
    if (options["notify_command"] or options["notify_webhook"]) and not options["notify"]:
        raise UsageError("nothing to tell of", fix="--notify 'a person'")
    cameras = named(
        Camera(
            source,
            fps=options["fps"],
            channels=options["channels"],
            live=options["live"],
            notify=options["notify"],
        )
        for source in sources
    )
    return WatchPlan(
        cameras=tuple(_live_if_it_is(camera) for camera in cameras),
        save=options["save"] or options["session"],
        session=options["session"] is not None,
        kv_ram=parse_bytes(options["kv_ram"]) if options["kv_ram"] else None,
        kv_dtype=options["kv_dtype"],
        keep=Retention(
            parse_age_s(options["keep_age"]) if options["keep_age"] else None,
            parse_memory_bytes(options["keep_size"]) if options["keep_size"] else None,
        ),
        threads=options["threads"],
        llm=options["llm"],
        mmproj=options["mmproj"],
        notify_command=options["notify_command"],
        notify_webhook=options["notify_webhook"],
    )


def _live_if_it_is(camera: Camera) -> Camera:
    from edgevid.media.uri import is_live

    return replace(camera, live=camera.live or is_live(camera.source))


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
