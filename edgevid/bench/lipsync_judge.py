"""Whether lips and sound of a dub belong together, by a judge trained on people VisemeNet never saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgevid.bench import lipsync_second_judge
from edgevid.bench.lipsync_frames import CLIPS
from edgevid.bench.lipsync_judged import LEAST_FRAMES, dub_all, own_sound
from edgevid.bench.report import Row
from edgevid.core.errors import EdgevidError, MissingPartError
from edgevid.models.store import ModelStore
from edgevid.train.lip_judge.judge import OFFSETS_MS, Judge, delayed, learn
from edgevid.train.viseme_net.clips import HELD_OUT, Clip, person_of, read_clips
from edgevid.train.viseme_net.tracks import LipReader, read_clip, speaker_of

INJECTED_MS = (-320, -160, -80, -40, 40, 80, 160, 320)
GOAL_MS = 20.0
_JUDGED = "s1"  # whom the judge never saw
_CHOSEN_ON = 40  # clips of theirs, the first by name, on which the judge's features were chosen: left out
_CLIPS, _QUICK_CLIPS = 16, 4


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
        yield from _dubs(judge, dub_all(talking, reader), name)
        yield from _dubs(judge, dub_all(paths, reader), "offset of dubs by the judge, commands of 2 s")
        # What the judge makes of the voice, of the language and of our drawing, one by one.
        same = "offset of commands said again in English by the judge"
        yield from _dubs(judge, dub_all(paths, reader, target="en"), same)
        found = [judge.offset_ms(clip) for clip in own_sound(paths, reader)]
        own = "offset of our lips on people's own sound by the judge"
        yield _report(own, found, "VisemeNet learnt from this speaker; ")
        yield from lipsync_second_judge.rows(data, paths)
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
    """The same on the judge's own people, each by a judge that learnt from the others."""
    found = []
    for person in sorted({person_of(clip.speaker) for clip in clips}):
        judge = learn([clip for clip in clips if person_of(clip.speaker) != person])
        found += [judge.offset_ms(clip) for clip in clips if person_of(clip.speaker) == person]
    yield _report("offset of originals by the judge (each person by the others)", found)


def _dubs(judge: Judge, dubs: Sequence[Clip], name: str) -> Iterator[Row]:
    if not dubs:
        yield Row(name, None, "ms", GOAL_MS, None, f"no dub with {LEAST_FRAMES} drawn frames")
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
