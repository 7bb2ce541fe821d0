"""The command line as a whole: help, what is said without arguments, Ctrl-C before it has begun."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from edgevid.app.cli import _run, cli


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


def test_every_command_helps_with_examples_and_whole_sentences() -> None:
    for path, command in _commands(cli, "edgevid"):
        said = command.get_help(click.Context(command, info_name=path))
        assert f"Examples:\n    {path}" in said
        assert "..." not in said.partition("Commands:")[2]


@pytest.mark.parametrize("args", [[], ["models"], ["bench"]])
def test_without_arguments_it_helps(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(args) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("Usage: edgevid") and "Commands:" in err
    assert "error:" not in err


@pytest.mark.parametrize(
    ("option", "says"), [("", ("", "error: interrupted")), ("--json", ('"code": "interrupted"', ""))]
)
def test_ctrl_c_while_it_loads_is_one_line(option: str, says: tuple[str, str]) -> None:
    script = """
import os, signal, sys
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Pressed())
from edgevid.__main__ import main
main()
"""
    run = subprocess.run([sys.executable, "-c", script, option], capture_output=True, text=True, timeout=60)
    assert run.returncode == 130
    for stream, said in zip((run.stdout, run.stderr), says):
        assert said in stream and len(stream.splitlines()) == bool(said)
