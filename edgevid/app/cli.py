"""``edgevid``: the command line. Verbs are imported only when called, so ``--help`` is quick."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper

import click

from edgevid import __version__
from edgevid.core.errors import EdgevidError

_VERBS = {  # verb -> (module that holds its click command, one line for --help)
    "watch": ("edgevid.app.watch", "Watch a video or stream; print events and answer questions."),
    "dub": ("edgevid.app.dub", "Speak a video in another language, lips in sync."),
    "export-events": ("edgevid.app.export_events", "Write a saved timeline as JSONL, CSV or SRT."),
    "forget": ("edgevid.app.forget", "Remove rows from a saved timeline, bytes included."),
    "serve": ("edgevid.app.serve", "Serve a web page, an OpenAI-compatible API and sessions."),
    "models": ("edgevid.app.models_cli", "List, pull, verify and locate model packs."),
    "doctor": ("edgevid.app.doctor", "Say what works on this machine and how to install the rest."),
    "bench": ("edgevid.app.bench_cli", "Measure speed and quality; print ratios to named peers."),
    "completion": ("edgevid.app.completion", "Print the shell completion script."),
}
_USAGE, _INTERRUPTED = 2, 130
_NO_ARGUMENTS = getattr(click.exceptions, "NoArgsIsHelpError", ())  # older clicks print their help themselves


class _LazyGroup(click.Group):
    """A group whose commands are imported on use."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output left (`| head`): click would exit with 1
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        command = import_module(_VERBS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in _VERBS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgevid")
def cli() -> None:
    """Video AI that runs on the device: watch a stream, remember it, answer questions about it, offline.

    \b
    Examples:
      edgevid models pull --default
      edgevid watch talk.mp4 --ask "What does she say first?"
      edgevid watch street.mp4 --json > events.jsonl

    Exit codes: 0 done, 1 failed, 2 usage, 3 bad input or model, 4 missing part, 130 interrupted.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code. A traceback (on stderr) is a bug and is called one."""
    args = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, TextIOWrapper):  # file names may be any bytes, and terminals of any encoding
        sys.stdout.reconfigure(encoding="utf-8" if "--json" in args else None, errors="backslashreplace")
    sys.exit(_run(args))


def _run(args: list[str]) -> int:
    try:
        code = cli.main(args=args, prog_name="edgevid", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except _NO_ARGUMENTS as error:
        print(error.format_message(), file=sys.stderr)
        return _USAGE
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        return _report("usage", error.format_message(), _help_hint(error), _USAGE, args)
    except EdgevidError as error:
        return _report(error.code, error.message, error.fix, error.exit_code, args)
    except (KeyboardInterrupt, click.Abort):
        return _report("interrupted", "interrupted", None, _INTERRUPTED, args)
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        return _report("failed", f"{error.strerror or error}{where}", None, 1, args)
    except Exception as error:
        traceback.print_exc()
        what = f"a bug in edgevid: {type(error).__name__}: {error}"
        return _report("internal", what, "report it with the lines above", 1, args)


def _help_hint(error: click.ClickException) -> str | None:
    ctx = getattr(error, "ctx", None)
    return f"{ctx.command_path} --help" if ctx is not None else None


def _report(code: str, message: str, fix: str | None, exit_code: int, args: list[str]) -> int:
    """Print one error, as JSON on stdout under ``--json``, else as one line on stderr."""
    if "--json" in args:
        with suppress(OSError):  # stdout may be what failed
            print(json.dumps({"error": {"code": code, "message": message, "fix": fix}}), flush=True)
            return exit_code
    print(f"error: {message}" + (f" (fix: {fix})" if fix else ""), file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    main()
