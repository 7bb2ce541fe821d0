"""Carrying out ``edgevid dub``: parts, session, output and what is shown, wired together in one process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.app.outputs import check_outputs
from edgevid.core.errors import BadInputError, UsageError

if TYPE_CHECKING:
    from edgevid.lipsync.flow import Line
    from edgevid.lipsync.protocols import Recognizer, Translator, Voice
    from edgevid.lipsync.session import DubSession


@dataclass(frozen=True, slots=True)
class Request:
    """The options of ``edgevid dub``, see its help."""

    source: str
    target: str
    language: str = "en"
    output: str | None = None
    voice: str | None = None
    mt: Path | None = None
    asr: Path | None = None
    lips: Path | None = None
    mark: bool = False
    subtitles: bool = False
    keep_original: bool = False
    live: bool = False
    threads: int = 0
    trace: Path | None = None
    as_json: bool = False


def run(request: Request) -> int:
    """Dub; returns the exit code.

    Ctrl-C and SIGTERM end a live dub, whose file is kept; of a file nothing is left but the error.

    Raises:
        EdgevidError: what cannot be read, loaded or written.
    """
    from edgevid.lipsync import parts
    from edgevid.lipsync.session import DubSession
    from edgevid.media.source import open_source
    from edgevid.media.uri import is_live
    from edgevid.runtime import CpuBudget, sigterm_exits

    live = request.live or is_live(request.source)
    output = _output(request, live)
    written = None if "://" in output or output == "window:" else Path(output)
    check_outputs([request.source], [written, request.trace])
    budget = CpuBudget(cores=request.threads or None)
    _tell_pages(request.source, output)
    with ExitStack() as stack:
        stack.enter_context(sigterm_exits())
        source = stack.enter_context(open_source(request.source, paced=live))
        if not source.info.has_audio:  # before parts are loaded
            raise BadInputError(f"{request.source}: has no sound to dub", fix="choose a source with speech")
        loaded = parts.load(
            source=request.language,
            target=request.target,
            voice=_voice(request.voice),
            recognizer=_recognizer(request),
            translator=_translator(request),
            lips=request.lips,
            threads=budget.threads("soft"),
        )
        stack.callback(loaded.close)
        session = stack.enter_context(
            DubSession(
                source,
                target=request.target,
                language=request.language,
                live=live,
                mark=request.mark,
                parts=loaded,
                budget=budget,
                trace=request.trace is not None,
            )
        )
        _dub(session, request, output)
        if request.trace is not None:
            session.trace.save(request.trace)
        _report(session, request, output)
    return 0


def _dub(session: DubSession, request: Request, output: str) -> None:
    from edgevid.lipsync.file import stream_dub, write_dub

    with _progress(session, request) as tick:
        if session.live:
            stream_dub(session, output, on_progress=tick)
            return
        subtitles = Path(output).with_suffix(".srt") if request.subtitles else None
        write_dub(session, output, keep_original=request.keep_original, subtitles=subtitles, on_progress=tick)


def _output(request: Request, live: bool) -> str:
    if live and (request.subtitles or request.keep_original):
        raise UsageError("--subtitles and --keep-original are for files", fix="leave them out, or --live")
    if request.output is not None:
        return request.output
    if live:
        raise UsageError(
            "a live dub needs -o", fix="-o NAME.m3u8, rtsp://, rtp://, webrtc://, window: or a file"
        )
    source = Path(request.source)
    return str(source.with_name(f"{source.stem}.{request.target}.mp4"))


def _tell_pages(source: str, output: str) -> None:
    """Where a person has to go before anything comes, or can be seen."""
    from edgevid.media.webrtc.address import page

    for address, purpose in ((source, "send"), (output, "watch")):
        if address.startswith("webrtc:"):
            print(f"open {page(address)} in a browser to {purpose}", file=sys.stderr, flush=True)


def _voice(name: str | None) -> Voice | None:
    if name is None:
        return None
    if name.endswith(".onnx"):
        from edgevid.lipsync.adapters.piper import PiperVoice

        return PiperVoice(Path(name))
    from edgevid.lipsync.espeak import EspeakVoice

    return EspeakVoice(variant=name)


def _recognizer(request: Request) -> Recognizer | None:
    if request.asr is None:
        return None
    from edgevid.lipsync.adapters.faster_whisper import FasterWhisperRecognizer

    return FasterWhisperRecognizer(
        request.asr, language=None if request.language == "auto" else request.language
    )


def _translator(request: Request) -> Translator | None:
    if request.mt is None or request.language == request.target:
        return None
    from edgevid.lipsync.adapters.ctranslate2_mt import Ctranslate2Translator

    return Ctranslate2Translator(request.mt, pair=(request.language, request.target))


@contextmanager
def _progress(session: DubSession, request: Request) -> Iterator[Callable[[float], None]]:
    """A bar on stderr at a terminal, clauses as they come on stdout."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("dubbing"), BarColumn(), TimeRemainingColumn())
    shown = console.is_terminal and not request.as_json and not session.live
    told = 0
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("dubbing", total=session.source.info.duration_s)

        def tick(seconds: float) -> None:
            nonlocal told
            bar.update(task, completed=seconds)
            for spoken in session.spoken[told:]:
                told += 1
                print(_line(spoken, request.as_json), flush=True)

        yield tick
        tick(session.source.info.duration_s or 0.0)


def _line(spoken: Line, as_json: bool) -> str:
    clause = spoken.clause
    start_s, end_s = spoken.start_ns / 1e9, spoken.end_ns / 1e9
    if not as_json:
        return f"{start_s:8.2f}  {clause.text}\n          {spoken.text}"
    line = {
        "event": "clause",
        "start_s": round(start_s, 3),
        "end_s": round(end_s, 3),
        "source_start_s": round(clause.start_ns / 1e9, 3),
        "source_end_s": round(clause.end_ns / 1e9, 3),
        "source_text": clause.text,
        "text": spoken.text,
    }
    return json.dumps(line, ensure_ascii=False)


def _report(session: DubSession, request: Request, output: str) -> None:
    stats = {**session.stats(), "output": output}
    if request.as_json:
        print(json.dumps(stats, ensure_ascii=False), flush=True)
        return
    for warning in stats["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    for line in _summary(stats):
        print(line)


def _summary(stats: dict[str, Any]) -> Iterator[str]:
    speed = f", {stats['times_real_time']:g} x real time" if stats["times_real_time"] else ""
    yield f"{stats['output']}: {stats['dubbed']} of {stats['clauses']} clauses dubbed{speed}"
    if stats["condensed"]:
        yield f"{stats['condensed']} clauses condensed, {stats['dropped_words']} words left out"
    untouched = ", ".join(f"{count} {reason}" for reason, count in stats["frames_untouched"].items())
    if stats["frames_drawn"] or untouched:
        kept = f"; left as they were: {untouched}" if untouched else ""
        yield f"lips drawn on {stats['frames_drawn']} of {stats['frames']} frames{kept}"
