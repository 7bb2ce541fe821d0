"""``edgevid doctor``: what works on this machine, and the command that installs what does not."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Literal

import click

from edgevid import __version__
from edgevid.core.errors import EdgevidError, MissingPartError
from edgevid.runtime.device import DeviceProfile

State = Literal["ok", "optional", "missing", "untested"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. Only ``missing`` makes the exit code 4."""

    part: str
    state: State
    detail: str
    fix: str | None = None


def _machine() -> Iterator[Finding]:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    profile = DeviceProfile.read()
    cores = f"{profile.usable_cores} of {profile.cores} cores usable"
    hottest = f", {profile.hottest_celsius:.0f} °C" if profile.hottest_celsius is not None else ""
    detail = f"{profile.model}, {profile.arch}, {cores}, {memory_gib:.0f} GiB{hottest}, Python {python}"
    yield Finding("machine", "ok", detail)


def _native() -> Iterator[Finding]:
    from edgevid.models.native import native_library

    try:
        kernels = native_library().isa()
    except MissingPartError as error:
        yield Finding("native core", "missing", error.message, error.fix)
        return
    yield Finding("native core", "ok", f"edgevid {__version__}, kernels: {kernels}")


def _libraries() -> Iterator[Finding]:
    for name in ("numpy", "av", "onnxruntime", "soxr"):
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "missing", "not installed", "pip install --force-reinstall edgevid")


def _packs() -> Iterator[Finding]:
    from edgevid.models.store import ModelStore

    for pack in ModelStore().list():
        if pack.installed:
            yield Finding(f"pack {pack.name}", "ok", pack.task)
        elif pack.default:
            yield Finding(f"pack {pack.name}", "missing", pack.task, f"edgevid models pull {pack.name}")
        else:
            yield Finding(f"pack {pack.name}", "optional", pack.task, f"edgevid models pull {pack.name}")


def _live() -> Iterator[Finding]:
    """What edgevid can watch as it happens; cameras and microphones were never at hand to try."""
    yield Finding("rtsp://, pipes, paced files", "ok", "tried against GStreamer's RTSP server")
    cameras = sorted(path.name for path in Path("/dev").glob("video*"))
    found = f"found: {', '.join(cameras)}" if cameras else "none here"
    yield Finding("cameras (/dev/videoN)", "untested", f"untested on hardware; {found}")
    yield Finding(
        "microphones (mic:)", "untested", "untested on hardware; tried on a sound server's null source"
    )


def _dubbing() -> Iterator[Finding]:
    """Speech parts of `edgevid dub`; each is started once, as a file alone proves nothing."""
    from edgevid.lipsync import apertium
    from edgevid.lipsync.espeak import EspeakVoice

    try:
        with closing(EspeakVoice()) as voice:
            version = voice.version
        yield Finding("voice: espeak-ng", "ok", f"{version}, 100 languages")
    except MissingPartError as error:
        yield Finding("voice: espeak-ng", "optional", "dubbing needs it or another voice", error.fix)
    for source, target in (("en", "es"), ("en", "ca"), ("en", "eo")):
        part, fix = f"translation: {source}-{target}", apertium.install(source, target)
        try:
            apertium.ApertiumTranslator(pairs=[(source, target)]).close()
            yield Finding(part, "ok", "Apertium")
        except EdgevidError as error:
            yield Finding(part, "optional", f"dub --to {target}: {error.message}", fix)


def _extras() -> Iterator[Finding]:
    extras = [
        (
            "faster_whisper",
            "dubbing from other languages than English (Whisper)",
            "pip install 'edgevid[asr]'",
        ),
        ("uvicorn", "edgevid serve", "pip install 'edgevid[server]'"),
        ("gguf", "watch --llm FOLDER, or with --mmproj", "pip install 'edgevid[hf]'"),
        ("aiortc", "calls in a browser (webrtc://)", "pip install 'edgevid[webrtc]'"),
        ("ctranslate2", "dubbing by neural translation (OPUS-MT, NLLB)", "pip install 'edgevid[mt]'"),
        ("espeakng_loader", "espeak-ng without a system package", "pip install 'edgevid[tts]'"),
        ("llama_cpp", "second LLM backend (any GGUF)", "pip install 'edgevid[vlm]'"),
        ("pygame", "pictures in a window (window:)", "pip install 'edgevid[window]'"),
        ("tensorrt", "TensorRT sessions", "pip install 'edgevid[tensorrt]', on the target device"),
        ("torch", "export and GPU kernels", "pip install 'edgevid[export]'"),
    ]
    for module, purpose, fix in extras:
        if util.find_spec(module):
            yield Finding(module, "ok", purpose)
        else:
            yield Finding(module, "optional", purpose, fix)
    if not shutil.which("npm"):
        yield Finding("npm", "optional", "packs that come from npm", "apt-get install npm")


_CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _machine,
    _native,
    _libraries,
    _packs,
    _live,
    _dubbing,
    _extras,
)
_PIPED_COLUMNS = 160
_MARKS = {
    "ok": "[green]ok[/]",
    "optional": "[dim]--[/]",
    "missing": "[red]missing[/]",
    "untested": "untested",
}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--all", "show_all", is_flag=True, help="Also show optional parts that are not installed.")
def command(as_json: bool, show_all: bool) -> int:
    """Say what works on this machine and how to install the rest; exit 4 when a needed part is missing.

    \b
    Examples:
      edgevid doctor
      edgevid doctor --json | jq '.findings[] | select(.state == "missing") | .fix'
    """
    findings = [finding for check in _CHECKS for finding in check()]
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        _print(findings, show_all)
    return 4 if any(finding.state == "missing" for finding in findings) else 0


def _print(findings: list[Finding], show_all: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("part", "", "what", "fix"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        if show_all or finding.state != "optional":
            detail, fix = escape(finding.detail), escape(finding.fix or "")  # "edgevid[vlm]" is no markup
            table.add_row(finding.part, _MARKS[finding.state], detail, fix)
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    Console(width=_PIPED_COLUMNS if piped else None).print(table)
