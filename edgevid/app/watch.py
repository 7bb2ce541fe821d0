"""``edgevid watch``: the command; ``screen.py`` does the printing."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from edgevid.app.screen import JsonScreen, Screen, TextScreen
from edgevid.core.errors import BadInputError
from edgevid.core.nouns import KINDS, Kind

_SAMPLE = "sample"


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


@click.command("watch")
@click.argument("source")
@click.option(
    "--ask", "questions", multiple=True, metavar="Q", help="Question to answer at the end (repeatable)."
)
@click.option("--llm", metavar="MODEL", help="Run a decoder on the stream: 'demo' or a GGUF file.")
@click.option("--fps", default=2.0, show_default=True, help="Frames looked at per second of video.")
@click.option("--channels", type=_Channels(), help=f"What to watch for, of {', '.join(KINDS)}; default: all.")
@click.option(
    "--start",
    "start_s",
    default=0.0,
    type=click.FloatRange(min=0),
    help="Seconds into the source to start at.",
)
@click.option("--end", "end_s", type=click.FloatRange(min=0), help="Seconds into the source to stop at.")
@click.option("--threads", default=0, type=click.IntRange(min=0), help="CPU threads; 0 = all cores.")
@click.option(
    "--save", type=click.Path(dir_okay=False, path_type=Path), help="Keep the timeline in this file."
)
@click.option(
    "--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Write an annotated contact sheet PNG."
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines on stdout: event, answer, stats.")
def command(
    source: str,
    questions: tuple[str, ...],
    llm: str | None,
    fps: float,
    channels: tuple[Kind, ...] | None,
    start_s: float,
    end_s: float | None,
    threads: int,
    save: Path | None,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Watch SOURCE (file, folder of pictures, or "sample"); print what is seen and heard.

    Questions are answered from the timeline, with the spans that support each answer. Without --llm no
    language model runs; with it, a model's sentence is shown only when the timeline supports it.

    \b
    Examples:
      edgevid watch sample --ask "What is on the road?"
      edgevid watch talk.mp4 --channels speech --save talk.edgevid
      edgevid watch street.mp4 --fps 2 --json | jq 'select(.kind == "object")'
    """
    from edgevid.app.sample import sample_video
    from edgevid.app.sheet import FrameSampler, write_sheet
    from edgevid.media.source import open_source
    from edgevid.memory.memory import Memory
    from edgevid.stream.session import StreamSession

    if end_s is not None and end_s <= start_s:
        raise click.UsageError(f"--end ({end_s:g}) must be after --start ({start_s:g})")
    for output in (save, sheet):
        if output is not None and not output.parent.is_dir():
            raise BadInputError(f"folder '{output.parent}' does not exist", fix=f"mkdir -p {output.parent}")
    path = sample_video() if source == _SAMPLE else source
    screen: Screen = JsonScreen() if as_json else TextScreen()
    with ExitStack() as stack:
        opened = stack.enter_context(open_source(path))  # first: a wrong path is told before models load
        memory = stack.enter_context(Memory(save)) if save is not None else None
        session = stack.enter_context(
            StreamSession(llm, memory=memory, channels=channels, fps=fps, threads=threads)
        )
        sampler = FrameSampler()
        with screen.watching(opened.info):
            for event in session.watch(opened, start_s=start_s, end_s=end_s, on_frame=sampler):
                screen.event(event)
        for question in questions:
            screen.answer(session.ask(question))
        if sheet is not None:
            write_sheet(sheet, sampler, session.memory, session.video_id)
            screen.note(f"contact sheet: {sheet}")
        screen.stats(session.stats())
