"""Dubbing as a library: ``with DubSession("talk.mp4", target="es") as dub: for message in dub: ...``.

``dub_file`` in ``file.py`` is the one call from file to file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from edgevid.core.errors import BadInputError, UsageError
from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync import parts as parts_
from edgevid.lipsync.flow import DubbedFrame, DubbedSound, Line
from edgevid.lipsync.hearing import Generation
from edgevid.lipsync.parts import Parts
from edgevid.lipsync.pipeline import build_live, build_recorded, make_stages
from edgevid.media.source import Source, open_source
from edgevid.runtime import CpuBudget, Message, Output, Pipeline
from edgevid.runtime.trace import Trace

_FILE_CHUNK_S, _LIVE_CHUNK_S = 0.25, 0.02
_LEARN_S, _LEARN_FPS = 12.0, 12.5
_TRACED = 200_000
_RATE = 48_000  # Hz; every encoder of sound takes it


class DubSession:
    """One dub of one source; a context manager, iterated once.

    Iterating gives runtime messages whose payload is a ``DubbedFrame`` or a ``DubbedSound``, each kind in
    order of time; ``message.stamps`` has when each stage had it. Leaving the block early stops everything.

    Attributes:
        spoken: every clause of the dub so far.

    Args:
        source: what ``open_source`` takes, or an open source, which stays the caller's.
        target, language: ISO 639-1 codes of the dub and of the source.
        live: in real time, pictures never delayed; implied by live sources. A file is then paced.
        mark: write on every picture that it was dubbed.
        parts: made by ``parts.load``; closed with the session when it loads them itself.
        trace: keep what ran when, for ``session.trace.save(path)``.

    Raises:
        BadInputError, MissingPartError: as ``open_source`` and ``parts.load``.
    """

    def __init__(
        self,
        source: str | Path | Source,
        *,
        target: str,
        language: str = "en",
        live: bool = False,
        mark: bool = False,
        parts: Parts | None = None,
        budget: CpuBudget | None = None,
        trace: bool = False,
    ) -> None:
        self._stack = ExitStack()
        with self._stack:
            self.source = self._opened(source, live)
            info = self.source.info
            if not info.has_audio:
                raise BadInputError(f"{info.uri}: has no sound to dub", fix="choose a source with speech")
            self.live = live or info.live
            self._budget = budget or CpuBudget()
            self._threads = self._budget.threads("soft")
            self._generation = Generation()
            if parts is None:
                parts = parts_.load(source=language, target=target, threads=self._threads)
                self._stack.callback(parts.close)
            self.parts = parts
            self.stages = make_stages(
                parts,
                source=language,
                target=target,
                generation=self._generation,
                live=self.live,
                mark=mark,
            )
            self._pipeline = Pipeline("dub", budget=self._budget, trace=_TRACED if trace else 0)
            self._stack = self._stack.pop_all()
        self.rate, self.target, self.language = _RATE, target, language
        self.spoken: list[Line] = []
        self._media_ns = 0
        self._began: float | None = None
        self._wall_s = 0.0

    def _opened(self, source: str | Path | Source, live: bool) -> Source:
        if isinstance(source, Source):
            return source
        return self._stack.enter_context(open_source(source, paced=live))

    def __enter__(self) -> DubSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def trace(self) -> Trace:
        """What ran when; empty unless asked for."""
        return self._pipeline.trace

    def interrupt(self) -> None:
        """Barge-in: what was said so far is heard and seen no more, from the next picture on."""
        self._generation.bump()
        self.stages.speaker.fitted.reset()

    def __iter__(self) -> Iterator[Message[DubbedFrame | DubbedSound]]:
        if self._began is not None:
            raise UsageError("a session is iterated once", fix="make another DubSession")
        self._began = time.monotonic()
        output = self._output()
        with self._pipeline as pipeline:
            pipeline.start()
            for message in output:
                self._note(message.payload)
                yield message
            pipeline.wait()
        self._wall_s = time.monotonic() - self._began

    def _output(self) -> Output:
        read = self.source.read
        if self.live:
            items = read(sample_rate=self.rate, chunk_s=_LIVE_CHUNK_S)
            return build_live(
                self._pipeline, self.stages, items, threads=self._threads, interrupt=self.source.close
            )
        if self.parts.compositor is not None:
            self._learn_mouth()
        sound = self.source.audio(sample_rate=self.rate, chunk_s=_FILE_CHUNK_S)
        return build_recorded(self._pipeline, self.stages, sound, self.source.frames(), threads=self._threads)

    def _learn_mouth(self) -> None:
        """Look at the beginning of a file first, so that its first clause has a mouth to be drawn from."""
        for frame in self.source.frames(fps=_LEARN_FPS, end_s=_LEARN_S):
            seen = self.stages.finder(frame)
            if seen is not None:
                self.stages.painter.learn(seen)
        if self.parts.tracker is not None:
            self.parts.tracker.reset()

    def _note(self, payload: DubbedFrame | DubbedSound) -> None:
        self._media_ns = max(self._media_ns, payload.pts_ns)
        if isinstance(payload, DubbedSound):
            spoken = (talk.spoken for talk in payload.talks)
            self.spoken.extend(Line(s.clause, s.text, s.start_ns, s.end_ns) for s in spoken)

    def stats(self) -> dict[str, Any]:
        """Counts and times so far, for people and programs; docs/LIPSYNC.md explains them."""
        stages = self.stages
        fitted, painter = stages.speaker.fitted, stages.painter
        elapsed_s = self._wall_s or time.monotonic() - (self._began or time.monotonic())
        media_s = self._media_ns / NS_PER_S
        return {
            "event": "stats",
            "source_language": self.language,
            "target_language": self.target,
            "media_s": round(media_s, 3),
            "wall_s": round(elapsed_s, 3),
            "times_real_time": round(media_s / elapsed_s, 2) if elapsed_s else None,
            "clauses": stages.listener.clauses,
            "dubbed": stages.mixer.talks,
            "unrecognised": stages.listener.unrecognised,
            "failed": stages.interpreter.failed + stages.speaker.failed,
            "condensed": fitted.condensed,
            "dropped_words": fitted.dropped_words,
            "worst_lag_ms": fitted.worst_lag_ns // 1_000_000,
            "frames": painter.frames,
            "frames_drawn": painter.drawn,
            "frames_untouched": dict(painter.untouched),
            "warnings": self.warnings(),
        }

    def warnings(self) -> list[str]:
        """One line per thing the user should know."""
        stages = self.stages
        lines = [*self.source.warnings, *(f"pictures stay untouched: {e}" for e in self.parts.missing)]
        failures = (stages.interpreter.last_error, stages.speaker.last_error)
        lines += [f"left as it was: {error}" for error in failures if error is not None]
        if self._began is not None and not stages.listener.clauses:
            lines.append("no speech found: the sound is the original")
        elif stages.listener.unrecognised:
            lines.append(
                f"{stages.listener.unrecognised} of {stages.listener.clauses} clauses could not be"
                f" recognised as {self.language} and stay as they were"
            )
        return lines
