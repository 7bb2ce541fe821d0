"""Whether lips and sound of a dub belong together, by a judge trained on people VisemeNet never saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from edgevid.bench.lipsync_frames import CLIPS
from edgevid.bench.report import Row
from edgevid.core.errors import EdgevidError, MissingPartError
from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync import parts as parts_
from edgevid.lipsync.compositor import MouthCompositor
from edgevid.lipsync.flow import DubbedFrame
from edgevid.lipsync.mouth_features import at_model_rate
from edgevid.lipsync.parts import Parts
from edgevid.lipsync.session import DubSession
from edgevid.lipsync.visemes import VisemeNet
from edgevid.models.store import ModelStore
from edgevid.train.lip_judge.judge import OFFSETS_MS, Judge, delayed, learn
from edgevid.train.viseme_net.clips import HELD_OUT, Clip, read_clips
from edgevid.train.viseme_net.tracks import LipReader, read_clip, speaker_of

INJECTED_MS = (-320, -160, -80, -40, 40, 80, 160, 320)
GOAL_MS = 20.0
_JUDGED = "s1"  # whom the judge never saw
_CHOSEN_ON = 40  # clips of theirs, the first by name, on which the judge's features were chosen: left out
_CLIPS, _QUICK_CLIPS = 16, 4
_LEAST_FRAMES = 40  # a dub with fewer drawn ones says nothing


def rows(data: Path | None, *, quick: bool = False) -> Iterator[Row]:
    """Trains the judge on the clips below ``data``, has it prove itself, and judges dubs of others."""
    name = "offset of dubs by the judge, people who talk"
    if data is None:
        yield Row(name, None, "ms", GOAL_MS, None, "needs the clips: set EDGEVID_TEST_DATA")
        return
    fresh = sorted((data / "talking" / "grid" / _JUDGED).glob("*.mpg"))[_CHOSEN_ON:]
    paths = fresh[: _QUICK_CLIPS if quick else _CLIPS]
    try:
        reader = LipReader(ModelStore())
        taught, judged = _read(_teachers(data), reader), _read(paths, reader)
        judge = learn(taught)
        yield from prove(judge, judged, "undubbed, a speaker the judge never saw")
        yield from leave_one_out(taught)
        talking = [data / "talking" / clip for clip in CLIPS]
        beside = [judge.offset_ms(clip) for clip in _read(talking, reader)]
        yield _report("offset of originals by the judge, people who talk", beside)
        yield from _dubs(judge, _dub_all(talking, reader), name)
        yield from _dubs(judge, _dub_all(paths, reader), "offset of dubs by the judge, commands of 2 s")
    except EdgevidError as error:
        yield Row(name, None, "ms", GOAL_MS, None, str(error))


def prove(judge: Judge, clips: Sequence[Clip], on: str) -> Iterator[Row]:
    """What the judge finds in ``clips``, which are in sync, as they are and with sound moved."""
    yield _report(f"offset of originals by the judge ({on})", [judge.offset_ms(clip) for clip in clips])
    errors = [
        judge.offset_ms(replace(clip, samples=delayed(clip.samples, ms))) - ms
        for clip in clips
        for ms in INJECTED_MS
    ]
    moves = ", ".join(f"{ms:+d}" for ms in INJECTED_MS)
    yield _report(f"error of the judge on injected offsets ({on})", errors, f"sound moved by {moves} ms; ")


def leave_one_out(clips: Sequence[Clip]) -> Iterator[Row]:
    """The same on the judge's own speakers, each by a judge that learnt from the others."""
    found = []
    for speaker in sorted({clip.speaker for clip in clips}):
        judge = learn([clip for clip in clips if clip.speaker != speaker])
        found += [judge.offset_ms(clip) for clip in clips if clip.speaker == speaker]
    yield _report("offset of originals by the judge (each speaker by the others)", found)


def _dubs(judge: Judge, dubs: Sequence[Clip], name: str) -> Iterator[Row]:
    if not dubs:
        yield Row(name, None, "ms", GOAL_MS, None, f"no dub with {_LEAST_FRAMES} drawn frames")
        return
    found = [judge.offset_ms(clip) for clip in dubs]
    together = int(OFFSETS_MS[np.argmax(np.sum([judge.scores(clip) for clip in dubs], axis=0))])
    yield _report(name, found, f"best slide of all together {together:+d} ms; ", goal=GOAL_MS)
    yield Row(
        f"{name}, all together",
        together,
        "ms",
        GOAL_MS,
        abs(together) <= GOAL_MS,
        f"the slide at which the sum of the agreements over {len(dubs)} dubs is best",
    )


def _report(name: str, found: Sequence[int], more: str = "", *, goal: float | None = None) -> Row:
    """The median distance from 0, and how the ``found`` lie."""
    away = np.abs(found)
    value = float(np.median(away))
    method = (
        f"median distance from 0 of {len(found)}, slides of 10 ms within +-600 ms, + = sound late; {more}"
        f"median {np.median(found):+.0f} ms, {100 * np.mean(away <= 20):.0f} % within 20 ms,"
        f" {100 * np.mean(away <= 40):.0f} % within 40 ms; lips by the mesh on the pictures; the judge learnt"
        " from VisemeNet's held-out speakers alone"
    )
    return Row(name, value, "ms", goal, None if goal is None else value <= goal, method)


def _teachers(data: Path) -> list[Path]:
    clips = sorted((data / "talking").rglob("*.mpg"))
    return [clip for clip in clips if speaker_of(clip) in HELD_OUT]


def _read(paths: Sequence[Path], reader: LipReader) -> list[Clip]:
    """Clips with lips as the picture shows them.

    Raises:
        MissingPartError: there are none.
    """
    with TemporaryDirectory() as folder:
        speakers = set()
        for path in paths:
            speakers.add(speaker_of(path))
            read_clip(path, reader, Path(folder) / f"{speaker_of(path)}-{path.stem}.npz")
        clips = read_clips(Path(folder), sorted(speakers))
    if not clips:
        raise MissingPartError("clips of the speakers to judge by are missing", fix="set EDGEVID_TEST_DATA")
    return clips


def _dub_all(paths: Sequence[Path], reader: LipReader) -> list[Clip]:
    """Each clip dubbed to Spanish, with a compositor that knows nothing yet."""
    parts, basis = parts_.load(target="es"), VisemeNet().basis
    try:
        if parts.missing:
            raise parts.missing[0]
        dubs = []
        for path in paths:
            parts.compositor = MouthCompositor(basis)
            assert parts.tracker is not None
            parts.tracker.reset()
            dubs.append(_dub(path, parts, reader))
    finally:
        parts.close()
    return [clip for clip in dubs if len(clip.seconds) >= _LEAST_FRAMES]


def _dub(path: Path, parts: Parts, reader: LipReader) -> Clip:
    """The drawn frames' lips beside the dub's own sound, both as they were given away."""
    shown: list[tuple[int, bool]] = []
    sounds: list[npt.NDArray[np.float32]] = []
    with DubSession(path, target="es", parts=parts) as session:

        def pictures() -> Iterator[npt.NDArray[np.uint8]]:
            for message in session:
                item = message.payload
                if isinstance(item, DubbedFrame):
                    shown.append((item.pts_ns, item.drawn))
                    yield item.frame.image
                else:
                    sounds.append(item.samples)

        found = reader.read(pictures())
        rate = session.rate
    kept = [(lips, ns) for lips, (ns, drawn) in zip(found, shown, strict=True) if drawn and lips is not None]
    return Clip(
        path.stem,
        speaker_of(path),
        np.stack([lips for lips, _ in kept]) if kept else np.zeros((0, 40, 2), np.float32),
        np.array([ns / NS_PER_S for _, ns in kept], np.float32),
        at_model_rate(np.concatenate(sounds), rate),
        (),
    )
