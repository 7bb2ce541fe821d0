"""``edgevid dub``: the command line of it; ``dubbing.py`` does the work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from edgevid.app.completion import files
from edgevid.app.dubbing import Request, run
from edgevid.core.errors import UsageError

_FILE = click.Path(dir_okay=False, path_type=Path)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]{2})?")
_AUTO = "auto"


@click.command("dub")
@click.argument("source", shell_complete=files)
@click.option("--to", "target", required=True, metavar="LANG", help="Language of the dub, such as es.")
@click.option(
    "--from", "language", default="en", show_default=True, metavar="LANG", help="Language spoken, or auto."
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="File; with --live also rtsp://, rtp://, webrtc://HOST:PORT, NAME.m3u8, window:.",
)
@click.option("--voice", metavar="VOICE", help="An espeak-ng variant (f2, m3) or a Piper voice FILE.onnx.")
@click.option(
    "--mt", type=click.Path(file_okay=False, path_type=Path), help="OPUS-MT or NLLB for CTranslate2."
)
@click.option("--asr", type=click.Path(file_okay=False, path_type=Path), help="Whisper for CTranslate2.")
@click.option("--lips", type=_FILE, metavar="FILE.onnx", help="A Wav2Lip network; mind its licence.")
@click.option("--mark", is_flag=True, help='Write "AI-dubbed" on every picture.')
@click.option("--subtitles", is_flag=True, help="Write OUT.srt, and a track of subtitles.")
@click.option("--keep-original", is_flag=True, help="Keep the original sound as the second track.")
@click.option("--live", is_flag=True, help="In real time; implied by rtsp://, webrtc://, devices.")
@click.option("--threads", default=0, type=click.IntRange(min=0), help="CPU threads for all; 0 = all cores.")
@click.option("--trace", type=_FILE, help="Write what ran when, as a Chrome trace (ui.perfetto.dev).")
@click.option("--json", "as_json", is_flag=True, help="JSON lines on stdout: clause, stats.")
@click.pass_context
def command(ctx: click.Context, /, source: str, **options: Any) -> int:
    """Speak SOURCE in another language, lips in sync; music and ambience stay.

    What cannot be recognised or translated is heard as it was; faces that cannot be followed are shown as
    they were; the last line says how much. The result is tagged "AI-dubbed". Dub people who agreed to it.

    \b
    Examples:
      edgevid dub talk.mp4 --to es
      edgevid dub talk.mp4 --to es -o charla.mp4 --subtitles --keep-original
      edgevid dub talk.mp4 --to en --voice f2
      edgevid dub talk.mp4 --to es --mark --mt opus-mt-en-es/ --voice es_ES-davefx.onnx
      edgevid dub rtsp://cam/desk --to es -o rtsp://server/desk-es
      edgevid dub webrtc://localhost:8889 --to es -o webrtc://localhost:8890
    """
    for name in ("target", "language"):
        if not _LANGUAGE.fullmatch(options[name]) and (name, options[name]) != ("language", _AUTO):
            raise UsageError(f"'{options[name]}' is no language code", fix="write it as es or en-gb")
    return run(Request(source=source, **options))
