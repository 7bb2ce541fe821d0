"""The completion scripts, in the shells they are for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

_WAIT_S = 60.0


def _has(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here: apt install {shell}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a shell that finds ``edgevid``, in a folder with a script for each shell and one video."""
    program = tmp_path / "bin" / "edgevid"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgevid "$@"\n')
    program.chmod(0o755)
    root = str(Path(__file__).parents[2])
    found = {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        "HOME": str(tmp_path),
        "TERM": "dumb",
    }
    for shell in ("bash", "zsh", "fish"):
        script = subprocess.run(
            [program, "completion", shell], env=found, capture_output=True, text=True, check=True
        )
        (tmp_path / f"script.{shell}").write_text(script.stdout)
    (tmp_path / "holiday.mp4").touch()
    return found


def _said(command: list[str], environment: dict[str, str]) -> list[str]:
    run = subprocess.run(
        command,
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        check=True,
        timeout=_WAIT_S,
    )
    return run.stdout.splitlines()


def test_bash_completes_commands_and_options(environment: dict[str, str]) -> None:
    _has("bash")
    script = """
source script.bash
COMP_WORDS=(edgevid wat) COMP_CWORD=1; _edgevid_completion edgevid; echo "${COMPREPLY[@]}"
COMPREPLY=()
COMP_WORDS=(edgevid watch --sav) COMP_CWORD=2; _edgevid_completion edgevid; echo "${COMPREPLY[@]}"
"""
    assert _said(["bash", "--norc", "-c", script], environment) == ["watch", "--save"]


def test_fish_completes_commands_options_and_files(environment: dict[str, str]) -> None:
    _has("fish")
    for typed, found in (("wat", "watch"), ("watch --sav", "--save"), ("watch holi", "holiday.mp4")):
        script = f'source script.fish; complete -C "edgevid {typed}"'
        (line,) = _said(["fish", "--no-config", "-c", script], environment)
        assert line.partition("\t")[0] == found


class _Terminal:
    """An interactive zsh."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._shown = ""
        self._ours, theirs = os.openpty()
        self._shell = subprocess.Popen(
            ["zsh", "-f", "-i"],
            env={**environment, "PS1": "ready> "},
            cwd=environment["HOME"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str) -> None:
        """Until it shows ``text`` after what was waited for last."""
        until = time.monotonic() + _WAIT_S
        while text not in self._shown:
            assert time.monotonic() < until, self._shown
            try:
                self._shown += os.read(self._ours, 4096).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.05)
        self._shown = self._shown.partition(text)[2]

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._ours)


def test_zsh_completes_commands_options_and_files(environment: dict[str, str]) -> None:
    _has("zsh")
    terminal = _Terminal(environment)
    try:
        terminal.wait_for("ready> ")
        terminal.press("autoload -U compinit; compinit -u -D; source script.zsh; print loaded$((6 * 7))\n")
        terminal.wait_for("loaded42")
        terminal.wait_for("ready> ")
        for typed, found in (("edgevid wat", "watch "), ("--sav", "--save "), ("x.db holi", "holiday.mp4 ")):
            terminal.press(f"{typed}\t")
            terminal.wait_for(found)
    finally:
        terminal.close()
