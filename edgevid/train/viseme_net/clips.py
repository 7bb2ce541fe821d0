"""The read clips (``tracks.py``) as training material: split by speaker, mouths as curves at 50 Hz.

Words of GRID's alignments become phonemes by espeak-ng, whose sounds are stretched to each word's span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgevid.lipsync.espeak import EspeakVoice
from edgevid.lipsync.mouth_features import STEP_SAMPLES, steps_of
from edgevid.lipsync.mouth_shape import LipBasis, Speaker, fit_speaker
from edgevid.lipsync.nouns import CURVE_STEP_NS, Floats, Phoneme
from edgevid.perception.audio_intake import RATE

TRAIN = ("s1", "grid_bbaf2n", "grid_brbk7n", "grid_lbax4n", "grid_lbbc2a")
HELD_OUT = ("s26", "s23", "grid_id2_vcd_swwp2s", "grid_lrwp9a", "grid_pwij3p", "grid_sbia1a", "grid_sbwe5n")
"""Speakers no shipped weight has seen."""
_AGAIN = {"grid_bbaf2n": "s1", "grid_pwij3p": "grid_id2_vcd_swwp2s", "grid_lrwp9a": "s23"}
"""Clips that show, by clothes and room, somebody who is here under another name."""
OTHER = ("latentsync_demo1_video", "latentsync_demo3_video", "vretalk_1", "vretalk_4")
"""Clips of unstated origin: evaluation only."""
_REST_S = 0.15  # this far from words the mouth counts as resting


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip: ``lips`` [frames, 40, 2] at ``seconds`` [frames], ``samples`` at 16 kHz, ``words`` with their
    start and end in seconds (empty where unknown)."""

    name: str
    speaker: str
    lips: Floats
    seconds: Floats
    samples: Floats
    words: tuple[tuple[str, float, float], ...]

    @property
    def steps(self) -> int:
        """Of its curve: those the picture covers."""
        last = int(float(self.seconds[-1]) * 1e9) // CURVE_STEP_NS + 1
        return min(steps_of(len(self.samples)), last)


def read_clips(folder: Path, speakers: Sequence[str]) -> list[Clip]:
    """The clips of ``speakers``, sorted by name."""
    clips = []
    for path in sorted(folder.glob("*.npz")):
        speaker = next((s for s in speakers if path.stem.startswith(f"{s}-")), None)
        if speaker is None:
            continue
        with np.load(path) as data:
            words = tuple(
                (str(word), float(a), float(b))
                for word, (a, b) in zip(data["words"], data["word_seconds"], strict=True)
            )
            clips.append(Clip(path.stem, speaker, data["lips"], data["seconds"], data["samples"], words))
    return clips


def person_of(speaker: str) -> str:
    """Who ``speaker`` is: two names may mean one person."""
    return _AGAIN.get(speaker, speaker)


def speakers_of(clips: Sequence[Clip]) -> dict[str, Speaker]:
    """Every speaker's neutral mouth, from all clips of theirs."""
    names = sorted({clip.speaker for clip in clips})
    return {n: fit_speaker(np.concatenate([c.lips for c in clips if c.speaker == n])) for n in names}


def curve_of(clip: Clip, basis: LipBasis, speaker: Speaker) -> Floats:
    """float32 [steps, 6]: the tracked mouth, weights about the clip's own middle."""
    params = basis.params(clip.lips, speaker)
    params[:, 3:] -= params[:, 3:].mean(axis=0)
    times = np.arange(clip.steps) * (STEP_SAMPLES / RATE)
    columns = [np.interp(times, clip.seconds, column) for column in params.T]
    return np.stack(columns, axis=1).astype(np.float32)


def resting(clip: Clip) -> Floats:
    """float32 [steps]: 1 well outside all words, 0 within; zeros when the words are unknown."""
    times = np.arange(clip.steps) * (STEP_SAMPLES / RATE)
    spoken = [(a, b) for word, a, b in clip.words if word not in ("sil", "sp")]
    if not spoken:
        return np.zeros(clip.steps, np.float32)
    away = np.min([np.maximum(a - times, times - b) for a, b in spoken], axis=0)
    return np.asarray(np.clip(away / _REST_S, 0, 1), np.float32)


class Lexicon:
    """Phonemes of words, by espeak-ng."""

    def __init__(self) -> None:
        self._voice = EspeakVoice()
        self._known: dict[str, tuple[Phoneme, ...]] = {}

    def phonemes(self, clip: Clip) -> tuple[Phoneme, ...]:
        """Those of all words of ``clip``, in the time of the clip."""
        out = []
        for word, start, end in clip.words:
            if word in ("sil", "sp"):
                continue
            if word not in self._known:
                self._known[word] = self._voice.speak(word, language="en").phonemes
            sounds = self._known[word]
            first, last = sounds[0].start_ns, sounds[-1].end_ns
            stretch = (end - start) * 1e9 / (last - first)
            for p in sounds:
                begin, finish = ((t - first) * stretch + start * 1e9 for t in (p.start_ns, p.end_ns))
                out.append(Phoneme(p.symbol, round(begin), round(finish)))
        return tuple(out)

    def close(self) -> None:
        self._voice.close()
