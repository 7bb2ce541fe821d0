"""The model packs on this machine: where they are, whether they are whole, and how they come and go.

<root>/                       $EDGEVID_CACHE/models, else $XDG_CACHE_HOME/edgevid/models, else ~/.cache/...
  NAME-DIGEST/                one installed version of a pack; a file was hashed before it got its name here
    model.onnx ...
  .lock                       held by the one process that pulls or removes
  .stamps.json                digests by stat, see hashing.py
  .tmp/                       downloads under way; whatever a killed process left here, the next pull removes
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgevid.core.errors import BadModelError, EdgevidError, MissingPartError
from edgevid.models.download import channel_problem
from edgevid.models.hashing import Stamps
from edgevid.models.locking import exclusive
from edgevid.models.packs import Catalogue, Member, Pack
from edgevid.models.pull import PullListener, PullResult, pull_packs

_PACK_FOLDER = re.compile(r"[a-z0-9][a-z0-9-]*-[0-9a-f]{8}")


FileState = Literal["ok", "missing", "wrong", "unpinned"]
"""``unpinned``: a user's own file whose manifest gives no sha256."""


@dataclass(frozen=True, slots=True)
class PackStatus:
    """A pack and whether all its files are there (by size; `ModelStore.verify` reads them)."""

    pack: Pack
    installed: bool
    problem: MissingPartError | None
    """Why it cannot be pulled here: its channel is off, or edgevid never fetches from it."""

    @property
    def name(self) -> str:
        return self.pack.name

    @property
    def task(self) -> str:
        return self.pack.task

    @property
    def default(self) -> bool:
        return self.pack.default


@dataclass(frozen=True, slots=True)
class FileReport:
    """What `ModelStore.verify` found about one file."""

    pack: str
    name: str
    path: Path
    state: FileState
    sha256: str | None


class ModelStore:
    """Model packs in one folder. Safe for many readers beside one writer, threads or processes.

    Args:
        root: the folder; by default as the module says.
        offline: refuse to download; by default whether $EDGEVID_OFFLINE is set to anything but 0.
        catalogue: the known packs; by default edgevid's and the user's ($EDGEVID_PACKS).
    """

    def __init__(
        self, root: Path | None = None, *, offline: bool | None = None, catalogue: Catalogue | None = None
    ) -> None:
        self.root = (root or _default_root()).absolute()
        self.offline = os.environ.get("EDGEVID_OFFLINE", "0") not in ("", "0") if offline is None else offline
        self.catalogue = catalogue or Catalogue.load()
        self.stamps = Stamps(self.root / ".stamps.json")

    def list(self) -> tuple[PackStatus, ...]:
        """Every known pack, in the order of the catalogue."""
        return tuple(self.status(pack.name) for pack in self.catalogue)

    def status(self, name: str) -> PackStatus:
        pack = self.catalogue[name]
        installed = all(_looks_whole(self.path_of(pack, member), member) for member in pack.files)
        return PackStatus(pack, installed, None if installed else self._problem(pack))

    def where(self, name: str) -> Mapping[str, Path]:
        """Paths of the pack's files by their name in the pack (`as` in packs.toml), each one's hash checked.

        Raises:
            MissingPartError: the pack is not installed; `fix` installs it.
            BadModelError: a file is not the pinned one; both hashes are in the message.
            UsageError: no such pack.
        """
        pack = self.catalogue[name]
        paths = {}
        for report in self._reports(pack, fresh=False):
            if report.state == "missing":
                problem = self._problem(pack)
                why = f"; {problem.message}" if problem else ""
                fix = problem.fix if problem else f"edgevid models pull {pack.name}"
                raise MissingPartError(f"model pack {pack.name} is not installed{why}", fix=fix)
            if report.state == "wrong":
                expected = next(m.sha256 for m in pack.files if m.name == report.name)
                raise BadModelError(
                    f"{report.path}: sha256 is {report.sha256}, expected {expected}",
                    fix=f"edgevid models pull {pack.name}",
                )
            paths[report.name] = report.path
        return paths

    def pull(self, names: Sequence[str], *, listener: PullListener | None = None) -> tuple[PullResult, ...]:
        """Install packs; files already there are checked and kept. Only one process pulls at a time.

        Finished artefacts stay when a later one fails or the pull is interrupted.

        Raises:
            NetworkError, BadModelError, MissingPartError, UsageError: as in `download.fetch`.
            EdgevidError: the disk is too full, before anything is downloaded or while it is.
        """
        packs = tuple(dict.fromkeys(self.catalogue[name] for name in names))
        for pack in packs:
            if (problem := self._problem(pack)) and not self.status(pack.name).installed:
                raise problem
        return pull_packs(self, packs, listener or PullListener())

    def verify(self, names: Iterable[str]) -> Iterator[FileReport]:
        """Read and hash every file of the packs, whatever is remembered about them."""
        for name in names:
            yield from self._reports(self.catalogue[name], fresh=True)

    def remove(self, names: Iterable[str]) -> int:
        """Delete packs; returns the bytes freed. The user's own (``file:``) and embedded files stay."""
        packs = [self.catalogue[name] for name in names]
        with self.locked(PullListener()):
            return sum(_delete(self.folder(pack), self.scratch) for pack in packs)

    def collect(self, *, dry_run: bool = False) -> Mapping[Path, int]:
        """Delete what no known pack uses: older versions, remains of killed pulls. Returns bytes by path."""
        with self.locked(PullListener()):
            known = {self.folder(pack).name for pack in self.catalogue}
            stale = [p for p in self.root.iterdir() if p.is_dir() and _PACK_FOLDER.fullmatch(p.name)]
            stale = [p for p in stale if p.name not in known] + [p for p in [self.scratch] if p.is_dir()]
            return {
                path: _size_of(path) if dry_run else _delete(path, self.scratch) for path in sorted(stale)
            }

    @property
    def scratch(self) -> Path:
        """Where downloads happen: on the disk of the packs, so that a rename puts a file in its place."""
        return self.root / ".tmp"

    def folder(self, pack: Pack) -> Path:
        """Where `pack` is, or would be, installed."""
        return self.root / f"{pack.name}-{pack.digest}"

    def path_of(self, pack: Pack, member: Member) -> Path:
        if member.folder is not None:
            return (member.folder / member.path).absolute()
        return self.folder(pack) / member.name

    def state_of(self, path: Path, member: Member, *, fresh: bool = False) -> tuple[FileState, str | None]:
        """State of one file and the sha256 found, if it was read."""
        if not path.is_file():
            return "missing", None
        if member.sha256 is None:
            return "unpinned", None
        digest = self.stamps.digest(path, fresh=fresh)
        return ("ok" if digest == member.sha256 else "wrong"), digest

    @contextmanager
    def locked(self, listener: PullListener) -> Iterator[None]:
        """Be the only process that changes the store."""
        with ExitStack() as stack:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                stack.enter_context(exclusive(self.root / ".lock", on_wait=listener.waiting))
            except OSError as error:
                message = f"cannot write to the model cache {self.root}: {error.strerror}"
                raise EdgevidError(message, fix="set EDGEVID_CACHE to a folder you can write to") from None
            yield

    def _reports(self, pack: Pack, *, fresh: bool) -> Iterator[FileReport]:
        for member in pack.files:
            path = self.path_of(pack, member)
            state, digest = self.state_of(path, member, fresh=fresh)
            yield FileReport(pack.name, member.name, path, state, digest)

    def _problem(self, pack: Pack) -> MissingPartError | None:
        for artefact in pack.artefacts:
            if artefact.downloaded and (problem := channel_problem(artefact.scheme)):
                return problem
            if artefact.scheme == "hf":
                how = "download it and name its files in a manifest with a file: source (EDGEVID_PACKS)"
                return MissingPartError(
                    f"{artefact.source} is listed only, edgevid does not fetch it", fix=how
                )
            missing = [m for m in artefact.members if m.folder and not self.path_of(pack, m).is_file()]
            if missing:
                path = self.path_of(pack, missing[0])
                fix = "install edgevid again" if artefact.scheme == "embedded" else f"put the file at {path}"
                return MissingPartError(f"{path} is not there", fix=fix)
        return None


def _default_root() -> Path:
    if cache := os.environ.get("EDGEVID_CACHE"):
        return Path(cache).expanduser() / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgevid" / "models"


def _looks_whole(path: Path, member: Member) -> bool:
    return path.is_file() and member.bytes in (None, path.stat().st_size)


def _size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _delete(folder: Path, scratch: Path) -> int:
    """Delete a folder by way of `scratch`: half deleted, it must not look like a pack. Returns its bytes."""
    if not folder.is_dir():
        return 0
    size = _size_of(folder)
    if folder != scratch:
        scratch.mkdir(exist_ok=True)
        folder.rename(scratch / folder.name)
    shutil.rmtree(scratch)
    return size
