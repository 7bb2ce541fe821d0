"""SHA-256 of files, remembered between runs so that 100 MB are not read again at every start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

_SETTLED_NS = 2_000_000_000
"""A file changed more recently than this is not remembered: a second change could leave the same times."""


def sha256_of(path: Path) -> str:
    """Hex digest of the file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Stamps:
    """Digests by (path, size, mtime, ctime, inode), kept in one JSON file.

    Safe for threads. The file is a cache: when it is missing, damaged, not writable, or lost to a concurrent
    writer, files are hashed again. Content changed behind an unchanged stat is found only by `fresh`.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[int | str]] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(file.read_text(encoding="utf-8"))
            self._known = known if isinstance(known, dict) else {}

    def digest(self, path: Path, *, fresh: bool = False) -> str:
        """SHA-256 of `path`; read from disk when `fresh` or when its stat differs from the remembered one."""
        before = _stat(path)
        known = self._known.get(str(path))
        if not fresh and isinstance(known, list) and known[:-1] == before:
            return str(known[-1])
        digest = sha256_of(path)
        if time.time_ns() - max(before[1:3]) > _SETTLED_NS and _stat(path) == before:
            self._known[str(path)] = [*before, digest]
            self._save()
        return digest

    def _save(self) -> None:
        kept = {path: entry for path, entry in list(self._known.items()) if Path(path).exists()}
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=".stamps-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(kept, file)
                Path(name).replace(self._file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise


def _stat(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
