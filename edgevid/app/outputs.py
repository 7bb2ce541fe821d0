"""What a command writes must be writable, and nothing it reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgevid.core.errors import BadInputError, UsageError


def check_outputs(sources: Iterable[str], outputs: Iterable[Path | None]) -> None:
    """Every file to be written has its folder, and is neither a source nor another one of them.

    Raises:
        BadInputError: the folder of an output does not exist.
        UsageError: an output is a device, a source, or is written twice.
    """
    taken = {Path(source).resolve() for source in sources if "://" not in source}
    for output in outputs:
        if output is None:
            continue
        if not output.parent.is_dir():
            raise BadInputError(f"folder '{output.parent}' does not exist", fix=f"mkdir -p {output.parent}")
        if output.exists() and not output.is_file():
            raise UsageError(f"'{output}' is no file to be written", fix="name a file")
        if output.resolve() in taken:
            raise UsageError(f"'{output}' is a source, or is written twice", fix="name another file")
        taken.add(output.resolve())
