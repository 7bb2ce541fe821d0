"""``edgevid serve``: the command; ``server/`` does the serving."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path

import click

from edgevid.app.cameras import MOST_THREADS
from edgevid.app.quantities import Finite
from edgevid.core.errors import MissingPartError, UsageError

_SHORTEST_TOKEN = 16
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("serve")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; others than loopback need a token.",
)
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=_FOLDER,
    help="Folder whose files may be watched and played (repeatable).",
)
@click.option(
    "--source", "sources", multiple=True, metavar="URI", help="Watch this from the start (repeatable)."
)
@click.option("--allow-live", is_flag=True, help="Let clients name rtsp:// addresses and /dev/videoN.")
@click.option("--memory", type=_FILE, help="Keep timelines in this file, and serve what is in it.")
@click.option("--llm", metavar="MODEL", help="Chat with this model: 'demo' or a GGUF file.")
@click.option(
    "--fps",
    default=2.0,
    show_default=True,
    type=Finite(0.01, 60),
    help="Frames looked at per second.",
)
@click.option(
    "--threads",
    default=0,
    type=click.IntRange(0, MOST_THREADS),
    help="CPU threads of all sessions together; 0 = all cores.",
)
@click.option("--token-file", type=_FILE, help="File with the token clients must show; else $EDGEVID_TOKEN.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Another name this machine is called by (repeatable).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout once it listens.")
def command(
    host: str,
    port: int,
    roots: tuple[Path, ...],
    sources: tuple[str, ...],
    allow_live: bool,
    memory: Path | None,
    llm: str | None,
    fps: float,
    threads: int,
    token_file: Path | None,
    allowed_hosts: tuple[str, ...],
    as_json: bool,
) -> int:
    """Serve a web page, an OpenAI-compatible API and sessions on this machine (docs/HTTP.md).

    \b
    Examples:
      edgevid serve --root ~/videos
      edgevid serve --root ~/videos --memory home.edgevid --llm demo
      edgevid serve --host 0.0.0.0 --token-file token.txt --source rtsp://camera/door
    """
    try:
        from edgevid.app.server.listen import serve
        from edgevid.app.server.service import Service
    except ModuleNotFoundError as error:
        raise MissingPartError(
            f"the server needs {error.name}", fix="pip install 'edgevid[server]'"
        ) from error
    from edgevid.app.server.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        token=_token(token_file),
        allowed_hosts=allowed_hosts,
        roots=roots,
        allow_live=allow_live,
        memory=memory,
        llm=llm,
        sources=sources,
        fps=fps,
        threads=threads,
    )
    if not settings.on_loopback and settings.token is None:
        raise UsageError(
            f"listening on {host} lets others connect: that needs a token",
            fix="--token-file FILE, or --host 127.0.0.1",
        )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of what a client who left did not read

    def on_ready(bound: int) -> None:
        url = f"http://{f'[{host}]' if ':' in host else host}:{bound}/"
        click.echo(json.dumps({"type": "listening", "url": url}) if as_json else f"listening on {url}")

    return serve(Service(settings), on_ready=on_ready)


def _token(file: Path | None) -> str | None:
    """The token, from a file that only its owner can read, or from the environment."""
    if file is None:
        token = os.environ.get("EDGEVID_TOKEN")
        if token is None:
            return None
    else:
        if not file.is_file():
            raise UsageError(f"no token file '{file}'", fix=f"(umask 077; openssl rand -hex 32 > {file})")
        if file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            raise UsageError(f"others can read the token file '{file}'", fix=f"chmod 600 {file}")
        token = file.read_text(encoding="utf-8", errors="replace").strip()
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or any(c.isspace() for c in token):
        raise UsageError(
            f"the token must be at least {_SHORTEST_TOKEN} characters of ASCII without spaces",
            fix="openssl rand -hex 32",
        )
    return token
