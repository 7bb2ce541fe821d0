"""The dub as a pipeline of ``edgevid/runtime``.

::

    a file:  sound ----+-------------------------------------------> mix --+
                       +-> cut -> listen -> interpret -> speak ------^     +-> draw --> output
             pictures -----> faces ------------------------ in order of time^

    live:    capture, one pass for both; ``cut`` also tells ``mix``, which waits for nobody else.

Of a file every channel blocks: pictures wait at ``draw`` until the sound of their time is mixed, and sound
waits when pictures are behind, so neither piles up. Live, ``faces`` takes the newest picture and ``draw``
waits for no sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgevid.core.nouns import AudioChunk, Frame
from edgevid.lipsync.clauses import ClauseSegmenter
from edgevid.lipsync.hearing import Cutter, Generation, Listener
from edgevid.lipsync.mixing import Mixer
from edgevid.lipsync.painting import FaceFinder, Painter
from edgevid.lipsync.parts import Parts
from edgevid.lipsync.speaking import Interpreter, Speaker
from edgevid.runtime import Node, Output, Pipeline

_LIVE_LEAD_NS = 100_000_000  # pictures of that time have not come yet
_LIVE_HANG_S = 10.0
_FOREVER_S = 1e6  # by_pts: an input that says nothing is waited for
_SOUND_AHEAD = 64  # chunks
_PICTURES = 4


@dataclass(frozen=True, slots=True)
class Stages:
    """The bodies, which keep the counts."""

    cutter: Cutter
    listener: Listener
    interpreter: Interpreter
    speaker: Speaker
    mixer: Mixer
    finder: FaceFinder
    painter: Painter


def make_stages(
    parts: Parts, *, source: str, target: str, generation: Generation, live: bool, mark: bool = False
) -> Stages:
    """Wire ``parts`` into stages that share ``generation``; ``mark``: as ``Painter``."""
    segmenter = ClauseSegmenter(parts.voice_activity, language=source)
    mixer = Mixer(
        generation=generation,
        live=live,
        lead_ns=_LIVE_LEAD_NS if live else 0,
    )
    return Stages(
        Cutter(segmenter),
        Listener(parts.recognizer, segmenter, language=source, generation=generation, drafts=live),
        Interpreter(parts.translator, target=target, generation=generation),
        Speaker(
            parts.voice,
            parts.mouth,
            language=target,
            generation=generation,
            now_ns=(lambda: mixer.now_ns) if live else None,
        ),
        mixer,
        FaceFinder(parts.tracker),
        Painter(
            parts.compositor,
            generation=generation,
            missing="; ".join(error.message for error in parts.missing),
            mark=mark,
        ),
    )


def build_recorded(
    pipeline: Pipeline,
    stages: Stages,
    sound: Iterable[AudioChunk],
    pictures: Iterable[Frame],
    *,
    threads: int,
) -> Output:
    """A file, read in two passes. ``threads`` of each network."""
    heard = pipeline.source("sound", sound)
    said = _voice_line(pipeline, stages, heard, threads=threads, hang_s=math.inf)
    mixed = pipeline.stage("mix", stages.mixer, after=[heard, said], capacity=_SOUND_AHEAD, hang_s=math.inf)
    seen = pipeline.stage(
        "faces",
        stages.finder,
        after=pipeline.source("pictures", pictures),
        capacity=_PICTURES,
        threads=threads,
        hang_s=math.inf,
    )
    drawn = pipeline.stage(
        "draw",
        stages.painter,
        after=[mixed, seen],
        by_pts=True,
        wait_s=_FOREVER_S,
        capacity=_PICTURES,
        hang_s=math.inf,
    )
    return pipeline.output("dub", after=drawn, capacity=_PICTURES)


def build_live(
    pipeline: Pipeline,
    stages: Stages,
    items: Iterable[Frame | AudioChunk],
    *,
    threads: int,
    interrupt: Callable[[], None] | None,
) -> Output:
    """A live source, read in one pass; ``interrupt`` makes a waiting read of it return."""
    capture = pipeline.source("capture", items, interrupt=interrupt)
    heard = pipeline.stage("sound", _sound_only, after=capture, executor="sync")
    pictures = pipeline.stage("pictures", _pictures_only, after=capture, executor="sync")
    cut = _cut(pipeline, stages, heard, _LIVE_HANG_S)
    said = _after_cut(pipeline, stages, cut, threads=threads, hang_s=_LIVE_HANG_S)
    mixed = pipeline.stage("mix", stages.mixer, after=[heard, cut, said], capacity=_SOUND_AHEAD)
    seen = pipeline.stage(
        "faces", stages.finder, after=pictures, policy="latest-only", threads=threads, hang_s=_LIVE_HANG_S
    )
    drawn = pipeline.stage("draw", stages.painter, after=[mixed, seen], capacity=_SOUND_AHEAD)
    return pipeline.output("dub", after=drawn, capacity=_SOUND_AHEAD)


def _voice_line(pipeline: Pipeline, stages: Stages, heard: Node, *, threads: int, hang_s: float) -> Node:
    cut = _cut(pipeline, stages, heard, hang_s)
    return _after_cut(pipeline, stages, cut, threads=threads, hang_s=hang_s)


def _cut(pipeline: Pipeline, stages: Stages, heard: Node, hang_s: float) -> Node:
    return pipeline.stage("cut", stages.cutter, after=heard, hang_s=hang_s)


def _after_cut(pipeline: Pipeline, stages: Stages, cut: Node, *, threads: int, hang_s: float) -> Node:
    words = pipeline.stage("listen", stages.listener, after=cut, threads=threads, hang_s=hang_s)
    translated = pipeline.stage("interpret", stages.interpreter, after=words, hang_s=hang_s)
    return pipeline.stage("speak", stages.speaker, after=translated, hang_s=hang_s)


def _sound_only(item: Frame | AudioChunk) -> AudioChunk | None:
    return item if isinstance(item, AudioChunk) else None


def _pictures_only(item: Frame | AudioChunk) -> Frame | None:
    return item if isinstance(item, Frame) else None
