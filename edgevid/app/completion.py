"""``edgevid completion``: the shell completion script; files for what may be a file."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    Examples:
      edgevid completion bash >> ~/.bashrc
      edgevid completion fish > ~/.config/fish/completions/edgevid.fish
    """
    from edgevid.app.cli import cli

    completion = get_completion_class(shell)
    assert completion is not None  # click.Choice lets only known shells through
    click.echo(completion(cli, {}, "edgevid", "_EDGEVID_COMPLETE").source())


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """``shell_complete`` of a text that may name a file (or a stream, a device, a model)."""
    return [CompletionItem(incomplete, type="file")]
