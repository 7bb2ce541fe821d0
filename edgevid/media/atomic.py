"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgevid.core.errors import EdgevidError


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path``; renamed to it when the block ends, removed when it fails or is
    interrupted.

    Errors: EdgevidError when the folder cannot be written to or the disk is full.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=f".part{path.suffix}", dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def cannot_write(path: Path, error: Exception) -> EdgevidError:
    """The error for a file that could not be written, with the system's reason."""
    reason = getattr(error, "strerror", None) or str(error)
    return EdgevidError(f"{path}: cannot be written: {reason}", fix="check the folder and the free space")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
