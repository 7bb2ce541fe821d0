"""Which sources a client may name: files under the roots, live addresses where the user allows them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgevid.app.server.errors import HttpError
from edgevid.media.uri import IMAGE_SUFFIXES, MEDIA_SUFFIXES, natural_key, printable, redact

SAMPLE = "sample"
_LIVE = re.compile(r"rtsps?://|/dev/video\d+$", re.IGNORECASE)
_SUFFIXES = MEDIA_SUFFIXES | IMAGE_SUFFIXES
_DEEPEST = 4  # folders below a root that are listed


@dataclass(frozen=True, slots=True)
class Allowed:
    """A source that may be opened.

    Attributes:
        target: the real path, or the live address.
        shown: as the client named it, without passwords.
        live: whether it never ends by itself.
    """

    target: str
    shown: str
    live: bool


class Sources:
    """Checks names before anything is opened.

    Args:
        roots: folders whose files may be read; links out of them are not followed.
        allow_live: whether ``rtsp://`` and ``/dev/videoN`` may be named.
        trusted: files the user named on the command line; they may be played back too.
    """

    def __init__(self, roots: Sequence[Path], *, allow_live: bool, trusted: Sequence[str] = ()) -> None:
        self._roots = tuple(root.resolve(strict=True) for root in roots)
        self._allow_live = allow_live
        self._trusted = {os.path.realpath(name) for name in trusted}

    def allow(self, name: str) -> Allowed:
        """The source that ``name`` means.

        Raises:
            HttpError: 403. A file that is not there and one that is outside look the same.
        """
        if _LIVE.match(name):
            if not self._allow_live:
                raise HttpError(
                    403, "live_off", "live sources are off", param="source", fix="edgevid serve --allow-live"
                )
            return Allowed(name, redact(name), live=True)
        path = self._inside(name)
        if path is None or path.suffix[1:].lower() not in _SUFFIXES:
            raise HttpError(
                403,
                "not_allowed",
                "no such media file in the folders this server may read",
                param="source",
                fix="edgevid serve --root FOLDER; GET /v1/sources lists what there is",
            )
        return Allowed(str(path), name, live=False)

    def trust(self, path: str | Path) -> None:
        """Let a file outside the roots be played back."""
        self._trusted.add(os.path.realpath(path))

    def playable(self, uri: str) -> Path | None:
        """The file a video in memory came from, when clients may have it and it is still there."""
        if os.path.realpath(uri) in self._trusted:
            path = Path(os.path.realpath(uri))
            return path if path.is_file() else None
        path_inside = self._inside(uri)
        return path_inside if path_inside and path_inside.suffix[1:].lower() in _SUFFIXES else None

    def listed(self, most: int) -> list[dict[str, object]]:
        """Media files under the roots, ``{"source", "bytes"}``; at most ``most`` per root, natural order."""
        found: list[dict[str, object]] = []
        for root in self._roots:
            files = sorted(_walk(root, most), key=natural_key)
            for path in files:
                with suppress(OSError):  # it has gone since
                    found.append({"source": self._name(root, path), "bytes": path.stat().st_size})
        return found

    def _name(self, root: Path, path: Path) -> str:
        """Relative where that is unambiguous."""
        return str(path.relative_to(root)) if len(self._roots) == 1 else str(path)

    def _inside(self, name: str) -> Path | None:
        if not name or "\0" in name or len(name) > 4096:
            return None
        for root in self._roots:
            try:
                path = (root / name).resolve(strict=True)
                if path.is_relative_to(root) and path.is_file():
                    return path
            except (OSError, ValueError, RuntimeError):
                continue
        return None


def _walk(root: Path, most: int) -> Iterator[Path]:
    """Regular media files up to ``_DEEPEST`` folders down, without following links."""
    left = most
    for folder, folders, names in os.walk(root):
        deep = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(f for f in folders if f[0] != "." and deep < _DEEPEST)
        for name in sorted(names):
            path = Path(folder) / name
            if printable(str(path)) != str(path):  # no client could name it
                continue
            if path.suffix[1:].lower() in _SUFFIXES and path.is_file() and not path.is_symlink():
                yield path
                left -= 1
                if left == 0:
                    return
