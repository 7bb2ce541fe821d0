"""Where clauses end, against a fixed pause: boundary F1 and the wait, where the boundaries are known.

Two sets. Meetings and dialogue: the ends of speakers' turns (RTTM), of which many have no pause at all.
Reading with hesitations: sentences with known word times, one after the other with pauses of 0.4-1.0 s, half
of them with a pause of 0.3-0.6 s put after a function word, where speakers hesitate; the ends of sentences.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.bench.hearing import read_rttm
from edgevid.bench.report import Row
from edgevid.core.errors import MissingPartError
from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync.clauses import ClauseConfig, ClauseSegmenter, Cut, Draft
from edgevid.lipsync.hangover import HangoverConfig
from edgevid.lipsync.protocols import Recognizer
from edgevid.media.wav import read_audio
from edgevid.perception.audio_intake import RATE, Block
from edgevid.perception.held_sound import WINDOW, VoiceActivity

FIXED_MS = (300, 500, 700)
_TOLERANCE_S = 0.5
_RTTM = (
    ("sample", "sample.wav", "sample.rttm"),
    ("dev00", "ami_dev00.wav", "ami_debug.development.rttm"),
    ("trn01", "ami_trn01.wav", "ami_debug.train.rttm"),
)
_HESITATES_AFTER = frozenset("to of and in the for an a is than how not be have might".split())
_READINGS = 8  # of each sentence
_HISS = 2e-4  # level of the pauses put in


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples at 16 kHz and the times in s at which something ends."""

    samples: npt.NDArray[np.float32]
    ends_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Boundaries found, matched one to one within 0.5 s; the waits of the cuts that were not forced."""

    hits: int
    true: int
    found: int
    waits_ms: tuple[float, ...]

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(1, self.true + self.found)

    @property
    def wait_ms(self) -> float:
        return float(np.mean(self.waits_ms)) if self.waits_ms else 0.0


def rows(vad: VoiceActivity, recognizer: Recognizer, data: Path) -> Iterator[Row]:
    """F1 and wait of the adaptive segmenter on both sets, each beside the fixed pauses.

    Raises:
        MissingPartError: the recordings are not there.
    """
    if not (data / "vad" / "sample.wav").is_file():
        raise MissingPartError(f"no recordings below {data}", fix="set EDGEVID_TEST_DATA")
    sets = {
        "ends of turns in 90 s of meetings and dialogue (25, RTTM)": turns(data),
        "ends of 40 read sentences, 20 of them with a hesitation put in (5 LibriVox sentences)": hesitations(
            data
        ),
    }
    for name, recordings in sets.items():
        ours = score(recordings, vad, recognizer)
        fixed = {ms: score(recordings, vad, None, config=_fixed(ms)) for ms in FIXED_MS}
        rivals = ", ".join(f"{ms} ms: F1 {s.f1:.2f}, wait {s.wait_ms:.0f}" for ms, s in fixed.items())
        best = max(fixed.values(), key=lambda s: s.f1)
        method = f"{name}; within 0.5 s; drafts heard by the recogniser; fixed pauses: {rivals}"
        goal = round(best.f1, 3)
        yield Row("clause boundary F1", round(ours.f1, 3), "", goal, round(ours.f1, 3) >= goal, method)
        passed = ours.wait_ms <= best.wait_ms
        yield Row(
            "mean pause before a cut",
            round(ours.wait_ms),
            "ms",
            round(best.wait_ms),
            passed,
            f"{name}; as above",
        )


def turns(data: Path) -> list[Recording]:
    """The recordings with speaker turns."""
    found = []
    for name, sound, rttm in _RTTM:
        spans = read_rttm((data / "vad" / rttm).read_text(encoding="utf-8"), recording=name)
        found.append(Recording(read_audio(data / "vad" / sound), tuple(span.end_s for span in spans)))
    return found


def hesitations(data: Path) -> list[Recording]:
    """The read sentences, in one recording; the same on every call."""
    random = np.random.default_rng(7)
    sentences = [
        _sentence(path) for path in sorted((data / "audio" / "librivox").glob("*-0[0-9][0-9]0.json"))
    ]
    pieces: list[npt.NDArray[np.float32]] = []
    ends: list[float] = []
    for reading in range(_READINGS):
        for number, (samples, pauses) in enumerate(sentences):
            if (reading + number) % 2:
                at = int(random.choice(pauses))
                pieces += [samples[:at], _hiss(random, random.uniform(0.3, 0.6)), samples[at:]]
            else:
                pieces.append(samples)
            ends.append(sum(map(len, pieces)) / RATE)
            pieces.append(_hiss(random, random.uniform(0.4, 1.0)))
    return [Recording(np.concatenate(pieces), tuple(ends))]


def score(
    recordings: Sequence[Recording],
    vad: VoiceActivity,
    recognizer: Recognizer | None,
    *,
    config: ClauseConfig | None = None,
) -> Score:
    """Cut ``recordings``, telling the words of every draft when there is a ``recognizer``."""
    hits = found = 0
    waits: list[float] = []
    for recording in recordings:
        cuts = _cut(recording, ClauseSegmenter(vad, config=config), recognizer)
        hits += _matched(recording.ends_s, [cut.utterance.span.end_s for cut in cuts])
        found += len(cuts)
        waits += [cut.waited_ms for cut in cuts if not cut.forced]
    return Score(hits, sum(len(r.ends_s) for r in recordings), found, tuple(waits))


def _cut(recording: Recording, segmenter: ClauseSegmenter, recognizer: Recognizer | None) -> list[Cut]:
    cuts = []
    for start in range(0, len(recording.samples), WINDOW):
        block = Block(recording.samples[start : start + WINDOW], start * NS_PER_S // RATE, False)
        for item in segmenter.push(block):
            if isinstance(item, Cut):
                cuts.append(item)
            elif recognizer is not None:
                segmenter.hint(item, recognizer.recognize(item.utterance.samples, RATE))
    return cuts + [item for item in segmenter.flush() if not isinstance(item, Draft)]


def _matched(true: Sequence[float], found: Sequence[float]) -> int:
    """Pairs, nearest first, each time used once."""
    pairs = sorted((abs(a - b), i, j) for i, a in enumerate(true) for j, b in enumerate(found))
    left: set[int] = set()
    right: set[int] = set()
    for distance, i, j in pairs:
        if distance <= _TOLERANCE_S and i not in left and j not in right:
            left.add(i)
            right.add(j)
    return len(left)


def _sentence(path: Path) -> tuple[npt.NDArray[np.float32], list[int]]:
    """Samples from the first word to the last, and where in them a speaker might hesitate."""
    aligned = [word for word in json.loads(path.read_text())["w"] if not word["t"].startswith("<")]
    start = round(aligned[0]["b"] * RATE)
    ends = [(word["t"].split("(")[0], round((word["b"] + word["d"]) * RATE)) for word in aligned]
    samples = read_audio(path.with_suffix(".wav"))[start : ends[-1][1]]
    return samples, [end - start for word, end in ends[1:-1] if word in _HESITATES_AFTER]


def _hiss(random: np.random.Generator, seconds: float) -> npt.NDArray[np.float32]:
    return (random.normal(size=round(seconds * RATE)) * _HISS).astype(np.float32)


def _fixed(ms: int) -> ClauseConfig:
    return ClauseConfig(hangover=HangoverConfig(shortest_ms=ms, usual_ms=ms, longest_ms=ms))
