"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgevid.core.errors import EdgevidError, UsageError


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path``: renamed to it when the block ends, removed when the block fails.

    Errors: UsageError for what is there and no file (a rename would replace a device), EdgevidError when the
    file cannot be made or renamed; those of the block pass unchanged.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is no file to be replaced", fix="name a file")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        with reported(path):
            part.open("xb").close()
        yield part
        with reported(path):
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turns the system's errors into one that names ``path``."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def write_whole(path: str | Path, data: bytes) -> None:
    """Write ``data`` as the file ``path``, whole or not at all.

    Errors: EdgevidError when the disk refuses.
    """
    with written_whole(path) as part, reported(Path(path)):
        part.write_bytes(data)


def cannot_write(path: Path, error: Exception) -> EdgevidError:
    """The error for a file that could not be written, with the system's reason."""
    reason = getattr(error, "strerror", None) or str(error)
    return EdgevidError(f"{path}: cannot be written: {reason}", fix="check the folder and the free space")
