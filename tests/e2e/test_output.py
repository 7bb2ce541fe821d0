"""What happens to a command whose output cannot be written any further."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIST = [sys.executable, "-m", "edgevid", "models", "list"]


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_a_reader_that_leaves_is_no_error(json: tuple[str, ...]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run([*LIST, *json], stdout=theirs, stderr=subprocess.PIPE, check=False, timeout=60)
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_a_full_disk_is_told_in_one_line(json: tuple[str, ...]) -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no /dev/full here")
    with full.open("wb") as out:
        done = subprocess.run([*LIST, *json], stdout=out, stderr=subprocess.PIPE, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["error: No space left on device"]
