"""``edgevid bench``: measure, and print what was reached and what was not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from edgevid.bench.report import Row, refuse_when_loaded, report

_FORCE = click.option("--force", is_flag=True, help="Time even when the machine is busy.")
_THREADS = click.option(
    "--threads", default=0, type=click.IntRange(min=0), help="CPU threads; 0 = all cores."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
_PLOTS = click.option(
    "--plots", metavar="DIR", type=click.Path(path_type=Path), help="Draw PNGs there (edgevid[plots])."
)
_STRICT = click.option("--strict", is_flag=True, help="Exit 1 when a goal is missed.")


@click.group("bench")
def command() -> None:
    """Measure speed and quality on this machine; exit 1 when a goal is missed under --strict.

    \b
    Examples:
      edgevid bench answers --json
      edgevid bench decoder --quick
    """


@command.command("answers", short_help="Score answers on the question sets.")
@click.option("--llm", metavar="MODEL", help="Let this model draft; 'demo' or a GGUF file.")
@click.option("--quick", is_flag=True, help="The dev set only.")
@click.option("--wrong", is_flag=True, help="Print each wrong dev answer to stderr.")
@_JSON
@_STRICT
def answers(llm: str | None, quick: bool, wrong: bool, as_json: bool, strict: bool) -> int:
    """Score answers on the question sets (needs the clips: EDGEVID_TEST_DATA).

    \b
    Examples:
      edgevid bench answers --json
      edgevid bench answers --quick --wrong
    """
    from edgevid.bench import answers as bench

    found = bench.rows(bench.find_data(), llm=llm, quick=quick, on_wrong=_print_wrong if wrong else None)
    return _finish("answers", list(found), as_json, strict)


@command.command("decoder", short_help="Speed and parity against llama.cpp.")
@click.option("--quick", is_flag=True, help="Fits in a minute: depth 512 only.")
@_FORCE
@_THREADS
@_JSON
@_STRICT
def decoder(quick: bool, force: bool, threads: int, as_json: bool, strict: bool) -> int:
    """Decode, 10-token step and prefill against llama.cpp at its best settings, and parity.

    \b
    Examples:
      edgevid bench decoder --quick
      edgevid bench decoder --threads 2 --json
    """
    from edgevid.bench import decoder as bench

    refuse_when_loaded(force=force)
    return _finish("decoder", list(bench.rows(quick=quick, threads=threads)), as_json, strict, threads)


@command.command("runtime", short_help="Cost of the scheduler, hard deadlines.")
@click.option("--quick", is_flag=True, help="Fits in a minute.")
@_FORCE
@_JSON
@_STRICT
def runtime(quick: bool, force: bool, as_json: bool, strict: bool) -> int:
    """Cost of the scheduler, and hard deadlines beside other work, against asyncio and GStreamer.

    \b
    Examples:
      edgevid bench runtime --quick
    """
    from edgevid.bench import runtime as bench

    refuse_when_loaded(force=force)
    return _finish("runtime", list(bench.rows(quick=quick)), as_json, strict)


@command.command("lipsync", short_help="A live dub: latency, lips, clauses.")
@click.option("--quick", is_flag=True, help="Four recordings, no judge, no dubs looked at.")
@click.option(
    "--only", metavar="PART,...", default="", help="These parts alone: latency, sequential, judge, ..."
)
@_FORCE
@click.option(
    "--strips",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write mouths, original above dubbed, as PNGs there (with the part 'frames').",
)
@_JSON
@_STRICT
def lipsync(quick: bool, only: str, force: bool, strips: Path | None, as_json: bool, strict: bool) -> int:
    """A live dub in real time against the same parts in a row; lips, clauses, VisemeNet.

    \b
    Examples:
      edgevid bench lipsync --quick
      edgevid bench lipsync --only latency,judge --json
      edgevid bench lipsync --only frames --strips strips
    """
    from edgevid.bench import lipsync as bench
    from edgevid.bench.answers import find_data

    parts = [part.strip() for part in only.split(",") if part.strip()]
    refuse_when_loaded(force=force)
    found = bench.rows(find_data(), quick=quick, only=parts, strips=strips)
    return _finish("lipsync", _told(found), as_json, strict)


@command.command("streaming", short_help="Retrieval of the KV cache.")
@click.option("--quick", is_flag=True, help="At a depth of 2,000 tokens.")
@click.option(
    "--only",
    metavar="PART,...",
    default="",
    help="These parts alone: e1, speed, disk, e2, e5, e4, e3, llama, flat, rss. Under --quick most take a "
    "minute or two; in full disk, llama and flat may take an hour.",
)
@_PLOTS
@_FORCE
@_THREADS
@_JSON
@_STRICT
def streaming(
    quick: bool, only: str, plots: Path | None, force: bool, threads: int, as_json: bool, strict: bool
) -> int:
    """Retrieval of the KV cache: what it loses, against rivals, and what it saves.

    \b
    Examples:
      edgevid bench streaming --quick
      edgevid bench streaming --only e1,speed --plots plots
    """
    from edgevid.bench import streaming as bench
    from edgevid.bench.answers import find_data

    parts = [part.strip() for part in only.split(",") if part.strip()]
    refuse_when_loaded(force=force)
    found = bench.rows(find_data(), quick=quick, threads=threads, only=parts)
    return _finish("streaming", _told(found, plots), as_json, strict, threads)


@command.command("attention", short_help="Attention over pages against torch.")
@click.option("--quick", is_flag=True, help="At 2,000 tokens only.")
@_PLOTS
@_FORCE
@_THREADS
@_JSON
@_STRICT
def attention(quick: bool, plots: Path | None, force: bool, threads: int, as_json: bool, strict: bool) -> int:
    """The decoder's attention, dense and retrieved, against torch at 8K, 32K and 128K, with the roofline.

    \b
    Examples:
      edgevid bench attention --quick
    """
    from edgevid.bench import attention as bench
    from edgevid.bench.answers import find_data

    refuse_when_loaded(force=force)
    found = bench.rows(find_data(), quick=quick, threads=threads)
    return _finish("attention", _told(found, plots), as_json, strict, threads)


class Told(list[Row]):
    """Rows in the order they came; ``code``: the exit status of the signal that ended them, else 0."""

    code = 0


def _told(rows: Iterator[Row], plots: Path | None = None) -> Told:
    """All rows, each told on stderr as it comes, as a long bench should; drawn into ``plots``. Ctrl-C and
    SIGTERM keep those that are there."""
    from edgevid.bench.streaming_plots import draw, figures, library
    from edgevid.runtime.signals import sigterm_exits

    if plots is not None:
        library()  # better missed before the bench than after
    found = Told()
    try:
        with sigterm_exits():
            for row in rows:
                click.echo(f"{row.measure}: {row.value} {row.unit}", err=True)
                found.append(row)
    except (KeyboardInterrupt, SystemExit) as ended:
        click.echo(f"interrupted; {len(found)} rows were measured", err=True)
        found.code = 143 if isinstance(ended, SystemExit) else 130
    if plots is not None:
        for path in draw(figures(found), plots):
            click.echo(f"wrote {path}", err=True)
    return found


def _finish(name: str, rows: Sequence[Row], as_json: bool, strict: bool, threads: int = 0) -> int:
    envelope = report(name, rows, threads=threads or os.cpu_count() or 1)
    if as_json:
        click.echo(json.dumps(envelope))
    else:
        _print(envelope["machine"], rows)
    if isinstance(rows, Told) and rows.code:
        return rows.code
    return 1 if strict and any(row.passed is False for row in rows) else 0


def _print(machine: dict[str, object], rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("measure", "value", "unit", "goal", ""):
        table.add_column(heading)
    marks = {True: "[green]reached[/]", False: "[red]missed[/]", None: ""}
    for row in rows:
        value = "--" if row.value is None else str(row.value)
        table.add_row(
            row.measure, value, row.unit, "" if row.goal is None else f"{row.goal:g}", marks[row.passed]
        )
    console = Console()
    console.print(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']}")
    console.print(table)
    for row in rows:
        if row.value is None:
            console.print(f"[dim]{row.measure}: {row.method}[/]")


def _print_wrong(wrong: dict[str, object]) -> None:
    click.echo(json.dumps(wrong, ensure_ascii=False), err=True)
