"""Pulling packs: plan, check the disk, download, take members out, convert, put in place.

A file gets its name in the store by one rename, after its hash was checked and its bytes are on disk;
everything before that happens in the store's scratch folder. So a pull can be killed at any point and run
again: artefacts whose files are in place are not downloaded again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.core.errors import BadModelError, EdgevidError, NetworkError
from edgevid.models.archives import take
from edgevid.models.download import fetch, is_no_space
from edgevid.models.hashing import sha256_of
from edgevid.models.packs import Artefact, Member, Pack

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore

_CONVERTERS = "edgevid.models.convert."
"""Only functions below this package convert: a manifest must not be able to call anything else."""


class PullListener:
    """Hears how a pull goes; every method does nothing by default. Called from the pulling thread."""

    def waiting(self, pid: str) -> None:
        """Another process (`pid`, may be empty) is changing the store; we wait for it."""

    def started(self, file: str, packs: Sequence[str], total: int) -> None:
        """The download of `file`, `total` bytes, for `packs` begins."""

    def progress(self, file: str, done: int) -> None:
        """`done` bytes of `file` are here."""

    def finished(self, file: str) -> None:
        """What is wanted of `file` is in place."""

    def converting(self, pack: str, name: str) -> None:
        """The file `name` of `pack` is being made."""


@dataclass(frozen=True, slots=True)
class PullResult:
    """A pack that is installed, its first file in `folder`; `downloaded` is 0 when nothing was missing."""

    pack: Pack
    folder: Path
    downloaded: int


@dataclass(slots=True)
class _Job:
    """One download and the members wanted of it, for one pack or several."""

    artefact: Artefact
    wanted: list[tuple[Pack, Member]] = field(default_factory=list)


def pull_packs(store: ModelStore, packs: Sequence[Pack], listener: PullListener) -> tuple[PullResult, ...]:
    """Install `packs`; see `ModelStore.pull` for errors."""
    with store.locked(listener), _scratch(store) as scratch:
        jobs = _plan(store, packs)
        conversions = [pack for pack in packs if _conversion_due(store, pack)]
        if jobs and store.offline:
            names = ", ".join(dict.fromkeys(pack.name for job in jobs for pack, _ in job.wanted))
            raise NetworkError(
                f"offline, and not installed: {names}", fix="pull without --offline or EDGEVID_OFFLINE"
            )
        needed = _space_needed(jobs, conversions)
        _check_space(store.root, needed)
        try:
            for job in jobs:
                _do(store, job, scratch, listener)
            for pack in conversions:
                listener.converting(pack.name, pack.files[-1].name)
                _convert(store, pack, scratch)
        except OSError as error:
            if is_no_space(error):
                raise _disk_full(store.root, needed) from None
            raise
    downloaded = {pack.name: sum(j.artefact.bytes for j in jobs if pack in dict(j.wanted)) for pack in packs}
    return tuple(PullResult(pack, _place(store, pack), downloaded[pack.name]) for pack in packs)


def _place(store: ModelStore, pack: Pack) -> Path:
    return store.path_of(pack, pack.files[0]).parent


@contextmanager
def _scratch(store: ModelStore) -> Iterator[Path]:
    """An empty scratch folder: nobody else is in it, because the store is locked."""
    shutil.rmtree(store.scratch, ignore_errors=True)
    store.scratch.mkdir(parents=True, exist_ok=True)  # the pip of a killed pull may still be at it
    try:
        yield store.scratch
    finally:
        shutil.rmtree(store.scratch, ignore_errors=True)


def _plan(store: ModelStore, packs: Sequence[Pack]) -> list[_Job]:
    jobs: dict[str, _Job] = {}
    for pack in packs:
        convert = _conversion_due(store, pack)
        for artefact in pack.artefacts:
            if not artefact.downloaded:
                continue
            wanted = [
                (pack, m) for m in artefact.members if (convert if m.temporary else not _ok(store, pack, m))
            ]
            if wanted:
                jobs.setdefault(artefact.sha256, _Job(artefact)).wanted += wanted
    return list(jobs.values())


def _conversion_due(store: ModelStore, pack: Pack) -> bool:
    return pack.conversion is not None and not _ok(store, pack, pack.conversion.result)


def _ok(store: ModelStore, pack: Pack, member: Member) -> bool:
    return store.state_of(store.path_of(pack, member), member)[0] == "ok"


def _do(store: ModelStore, job: _Job, scratch: Path, listener: PullListener) -> None:
    """Fetch one artefact and put its wanted members in place (temporary ones: into the scratch folder)."""
    artefact = job.artefact
    listener.started(artefact.file, list(dict.fromkeys(pack.name for pack, _ in job.wanted)), artefact.bytes)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        archive = fetch(artefact, Path(folder), lambda done: listener.progress(artefact.file, done))
        for pack, member in job.wanted:
            taken = Path(folder) / f"taken-{pack.name}-{member.name}"
            take(archive, member, taken)
            if member.temporary:
                taken.replace(_temporary(scratch, pack, member.name))
            else:
                _install(taken, store.path_of(pack, member))
    listener.finished(artefact.file)


def _convert(store: ModelStore, pack: Pack, scratch: Path) -> None:
    conversion = pack.conversion
    assert conversion is not None
    if not conversion.function.startswith(_CONVERTERS):
        raise BadModelError(f"pack {pack.name}: {conversion.function} is not below {_CONVERTERS}")
    module, _, function = conversion.function.partition(":")
    inputs = {}
    for member in (m for a in pack.artefacts for m in a.members if m.name in conversion.inputs):
        temporary = _temporary(scratch, pack, member.name)
        inputs[member.name] = temporary if member.temporary else store.path_of(pack, member)
    made = _temporary(scratch, pack, conversion.result.name)
    getattr(import_module(module), function)(inputs, made)
    digest = sha256_of(made)
    if digest != conversion.result.sha256:
        raise BadModelError(
            f"pack {pack.name}: {conversion.function} made {conversion.result.name} with sha256 {digest}; "
            f"expected {conversion.result.sha256}",
            fix="pip install --upgrade onnx, then pull again",
        )
    _install(made, store.path_of(pack, conversion.result))


def _temporary(scratch: Path, pack: Pack, name: str) -> Path:
    return scratch / f"{pack.name}-{name}"


def _install(file: Path, place: Path) -> None:
    """Rename, with file and folder on disk before and after."""
    _sync(file)
    place.parent.mkdir(exist_ok=True)
    file.replace(place)
    _sync(place.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _space_needed(jobs: Sequence[_Job], conversions: Sequence[Pack]) -> int:
    """Bytes at the worst moment: all members, and the largest download twice, as the client copies it."""
    members = sum(member.bytes or 0 for job in jobs for _, member in job.wanted)
    made = sum(pack.files[-1].bytes or 0 for pack in conversions)
    return members + made + 2 * max((job.artefact.bytes for job in jobs), default=0)


def _check_space(root: Path, needed: int) -> None:
    if shutil.disk_usage(root).free < needed:
        raise _disk_full(root, needed)


def _disk_full(root: Path, needed: int) -> EdgevidError:
    free = shutil.disk_usage(root).free
    return EdgevidError(
        f"not enough disk space at {root}: {needed / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free",
        fix="free some, or set EDGEVID_CACHE to a folder on a larger disk",
    )
