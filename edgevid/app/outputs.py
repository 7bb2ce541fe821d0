"""What a command writes must be writable, and nothing it reads."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from edgevid.core.errors import BadInputError, UsageError
from edgevid.media.uri import list_files, parse_uri


def check_outputs(sources: Iterable[str], outputs: Iterable[Path | None]) -> None:
    """Every file to be written has its folder, and is neither a source nor another one of them.

    Raises:
        BadInputError: the folder of an output does not exist.
        UsageError: an output is a device, a source or a picture of one, or is written twice.
    """
    sources, written = list(sources), set()
    for output in outputs:
        if output is None:
            continue
        if not output.parent.is_dir():
            fix = f"mkdir -p {shlex.quote(str(output.parent))}"
            raise BadInputError(f"folder '{output.parent}' does not exist", fix=fix)
        exists = output.exists()
        if exists and not output.is_file():
            raise UsageError(f"'{output}' is no file to be written", fix="name a file")
        real = os.path.realpath(output)
        if real in written or (exists and any(_holds(source, output) for source in sources)):
            raise UsageError(f"'{output}' is a source, or is written twice", fix="name another file")
        written.add(real)


def _holds(source: str, file: Path) -> bool:
    """Whether ``file`` is what ``source`` names, or one of the files in it."""
    uri = parse_uri(source)
    if uri.live:
        return False
    listing = list_files(uri)
    return any(path.exists() and path.samefile(file) for path in (*listing.media, *listing.images))
