"""What to watch, from the command line or one TOML file for many cameras (examples/cameras.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from edgevid.app.quantities import parse_age_s, parse_bytes
from edgevid.app.toml_table import Table
from edgevid.core.errors import BadInputError
from edgevid.core.kv_config import KV_DTYPES, KvDtype
from edgevid.core.nouns import KINDS, Kind
from edgevid.media.uri import redact
from edgevid.memory.erasing import Retention

_MOST_CAMERAS = 64
_LEAST_BYTES = 1_000_000
MOST_THREADS = 1024


@dataclass(frozen=True, slots=True)
class Camera:
    """One source and how it is watched.

    Attributes:
        name: label of its events; None when there is only one source and nobody named it.
        channels: kinds to watch for; None = all that can be had.
        live: paced and newest-frame-wins; a live address is always watched so.
        notify: conditions to tell of.
    """

    source: str
    name: str | None = None
    fps: float = 2.0
    channels: tuple[Kind, ...] | None = None
    live: bool = False
    notify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """Everything one ``edgevid watch`` does; ``threads`` 0 = all cores.

    Attributes:
        save: the timeline's file.
        session: keep what decoders have seen beside it, and go on from there.
        kv_ram: bytes for the KV cache of each decoder of a session; None = no cap.
        kv_dtype: what decoders keep keys and values as.
    """

    cameras: tuple[Camera, ...]
    save: Path | None = None
    session: bool = False
    kv_ram: int | None = None
    kv_dtype: KvDtype = "f16"
    keep: Retention | None = None
    threads: int = 0
    llm: str | None = None
    mmproj: str | None = None
    notify_command: str | None = None
    notify_webhook: str | None = None


def named(cameras: Iterable[Camera]) -> tuple[Camera, ...]:
    """Several sources are told apart: those without a name get the last part of their address.

    Raises:
        BadInputError: none, or too many.
    """
    found = list(cameras)
    if not 1 <= len(found) <= _MOST_CAMERAS:
        raise BadInputError(f"{len(found)} sources to watch", fix=f"name 1 to {_MOST_CAMERAS}")
    if len(found) == 1:
        return tuple(found)
    taken: set[str] = {camera.name for camera in found if camera.name}
    for i, camera in enumerate(found):
        if camera.name is None:
            address = redact(camera.source)
            stem = address.rstrip("/").rpartition("/")[2] or address
            numbered = (f"{stem} {number}" for number in count(i + 1))
            name = next(name for name in chain((stem,), numbered) if name not in taken)
            taken.add(name)
            found[i] = replace(camera, name=name)
    return tuple(found)


def read_plan(path: Path) -> WatchPlan:
    """The plan in a TOML file. Relative paths are taken from the folder edgevid runs in.

    Raises:
        BadInputError: the file cannot be read, is not TOML, or holds an unknown key or a wrong value; the
            message names file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}", fix="check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"{path}: not TOML: {error}", fix="see examples/cameras.toml") from error
    top = Table(data, path=path, text=text)
    defaults = Camera(
        source="",
        fps=_fps(top, 2.0),
        channels=_channels(top, None),
        live=top.take("live", bool, False),
        notify=tuple(top.strings("notify")),
    )
    keep, notifier = top.table("keep"), top.table("notifier")
    save, session = top.take("save", str, None), top.take("session", str, None)
    if save and session:
        raise top.wrong("session", "and save name two timelines; write one of them")
    kept = save or session
    plan = WatchPlan(
        cameras=_cameras(top, defaults),
        save=Path(kept) if kept else None,
        session=bool(session),
        kv_ram=top.convert("kv_ram", parse_bytes),
        kv_dtype=_kv_dtype(top),
        keep=Retention(keep.convert("age", parse_age_s), keep.convert("size", parse_memory_bytes)),
        threads=top.take("threads", int, 0),
        llm=top.take("llm", str, None),
        mmproj=top.take("mmproj", str, None),
        notify_command=notifier.take("command", str, None),
        notify_webhook=notifier.take("webhook", str, None),
    )
    if plan.kv_ram is not None and not (plan.session and plan.llm):
        raise top.wrong("kv_ram", "needs session and llm")
    if plan.kv_dtype != "f16" and not plan.llm:
        raise top.wrong("kv_dtype", "needs llm")
    if plan.mmproj and not plan.llm:
        raise top.wrong("mmproj", "needs llm")
    if plan.notify_command and plan.notify_webhook:
        raise notifier.wrong("webhook", "and command are two ways to tell; write one of them")
    if (plan.notify_command or plan.notify_webhook) and not any(camera.notify for camera in plan.cameras):
        raise top.wrong("notifier", "has nothing to tell of; write notify = ['a person']")
    if not 0 <= plan.threads <= MOST_THREADS:
        raise top.wrong("threads", f"must be 0 (all cores) to {MOST_THREADS}")
    for table in (top, keep, notifier):
        table.finish()
    return plan


def _cameras(top: Table, defaults: Camera) -> tuple[Camera, ...]:
    cameras: list[Camera] = []
    for table in top.tables("camera"):
        source = table.take("source", str, None)
        if not source:
            raise table.wrong("source", "is missing")
        name = table.take("name", str, None)
        if name in {camera.name for camera in cameras if camera.name}:
            raise table.wrong("name", f"'{name}' is taken by another camera")
        cameras.append(
            Camera(
                source=source,
                name=name,
                fps=_fps(table, defaults.fps),
                channels=_channels(table, defaults.channels),
                live=table.take("live", bool, defaults.live),
                notify=(*defaults.notify, *table.strings("notify")),
            )
        )
        table.finish()
    if not 1 <= len(cameras) <= _MOST_CAMERAS:
        raise top.wrong("camera", f"{len(cameras)} of them; write 1 to {_MOST_CAMERAS} [[camera]] tables")
    return named(cameras)


def _kv_dtype(table: Table) -> KvDtype:
    name = table.take("kv_dtype", str, "f16")
    for dtype in KV_DTYPES:
        if name == dtype:
            return dtype
    raise table.wrong("kv_dtype", f"'{name}' is none of {', '.join(KV_DTYPES)}")


def _fps(table: Table, default: float) -> float:
    fps = table.take("fps", float, default)
    if not 0 < fps <= 240:
        raise table.wrong("fps", "must be above 0 and at most 240")
    return fps


def _channels(table: Table, default: tuple[Kind, ...] | None) -> tuple[Kind, ...] | None:
    names = table.strings("channels")
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise table.wrong("channels", f"'{unknown[0]}' is none of {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in names) or default


def parse_memory_bytes(text: str) -> int:
    """Bytes that a timeline may take.

    Raises:
        UsageError: not a size.
        BadInputError: too small to hold anything.
    """
    size = parse_bytes(text)
    if size < _LEAST_BYTES:
        raise BadInputError(f"'{text}' is too small", fix="1MB or more")
    return size
