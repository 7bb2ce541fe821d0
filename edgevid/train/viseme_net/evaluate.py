"""How near curves come to tracked mouths: ``python -m edgevid.train.viseme_net.evaluate TRACKS``.

For every speaker: correlation of opening and width over time (the mean over clips), and of width without what
goes with the opening, for the network alone, for phoneme times alone and for both; how many bilabials are
closed within one frame (40 ms) of where the tracked mouth is most closed; and how often the mouth is open
(above ``OPEN``) well outside words.
With ``--model MODEL.pt`` also the bare network, without rules, in int8 and in float32.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgevid.lipsync.mouth_features import STEP_SAMPLES
from edgevid.lipsync.mouth_shape import LipBasis
from edgevid.lipsync.nouns import Floats, Phoneme
from edgevid.lipsync.phoneme_mouth import BILABIAL, visemes_of
from edgevid.lipsync.visemes import VisemeNet
from edgevid.perception.audio_intake import RATE
from edgevid.train.viseme_net.clips import (
    HELD_OUT,
    OTHER,
    TRAIN,
    Clip,
    Lexicon,
    curve_of,
    read_clips,
    resting,
    speakers_of,
)
from edgevid.train.viseme_net.material import features

if TYPE_CHECKING:
    from edgevid.train.viseme_net.network import VisemeNet as TrainedNet

OPEN = 0.03
"""Opening above which a mouth counts as open: 1.5 mm of a mouth 5 cm wide."""
_FRAME_STEPS = 2  # 40 ms
_SEARCHED_S = 0.08

Predictor = Callable[[Clip], Floats]


@dataclass(frozen=True, slots=True)
class Score:
    """Of one speaker. ``opening``, ``width`` and ``spread`` (width without what goes with the opening) are
    correlations; ``bilabials`` counts (closed, all); ``rest`` counts steps (open, all)."""

    clips: int
    opening: float
    width: float
    spread: float
    bilabials: tuple[int, int]
    rest: tuple[int, int]


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's r; 0 when either does not move."""
    a, b = a - a.mean(), b - b.mean()
    power = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / power if power > 1e-9 else 0.0


def beyond(width: Floats, opening: Floats) -> Floats:
    """What of ``width`` does not follow ``opening`` linearly."""
    moved = opening - opening.mean()
    power = float(moved @ moved)
    slope = float(moved @ width) / power if power > 1e-9 else 0.0
    return np.asarray(width - width.mean() - slope * moved, np.float32)


def score(clips: Sequence[Clip], basis: LipBasis, predict: Predictor, lexicon: Lexicon) -> Score:
    """``clips`` are of one speaker."""
    (speaker,) = speakers_of(clips).values()
    opening, width, spread, closed, found, is_open, rested = [], [], [], 0, 0, 0, 0
    for clip in clips:
        truth, guess = curve_of(clip, basis, speaker), predict(clip)[: clip.steps]
        opening.append(correlation(guess[:, 0], truth[:, 0]))
        width.append(correlation(guess[:, 1], truth[:, 1]))
        spread.append(correlation(*(beyond(curve[:, 1], curve[:, 0]) for curve in (guess, truth))))
        for first, last in bilabials(lexicon.phonemes(clip), len(truth)):
            at = first + int(np.argmin(truth[first:last, 0]))
            near = guess[max(at - _FRAME_STEPS, 0) : at + _FRAME_STEPS + 1, 0]
            closed, found = closed + int(near.min() <= OPEN), found + 1
        quiet = resting(clip) >= 1
        is_open, rested = is_open + int((guess[quiet, 0] > OPEN).sum()), rested + int(quiet.sum())
    means = [float(np.mean(each)) for each in (opening, width, spread)]
    return Score(len(clips), means[0], means[1], means[2], (closed, found), (is_open, rested))


def bare_networks(net: TrainedNet, around: dict[str, Floats]) -> dict[str, Predictor]:
    """What ``train.py`` trained, in float32 and quantised, without what ``VisemeNet`` does by rule."""
    import torch

    from edgevid.train.viseme_net.quantize import quantize

    file = quantize(net, around)

    def exact(clip: Clip) -> Floats:
        rows = (features(clip.samples) - around["mel_mean"]) / around["mel_std"]
        with torch.no_grad():
            out = net(torch.from_numpy(rows.T[None].copy()))[0].numpy().T
        return np.asarray(out * around["param_std"] + around["param_mean"], np.float32)

    def coded(clip: Clip) -> Floats:
        return file.params(file.run(features(clip.samples), backend="auto"))

    return {"bare float32 network": exact, "bare int8 network": coded}


def bilabials(phonemes: Sequence[Phoneme], steps: int) -> list[tuple[int, int]]:
    """Where the closures of p, b, m are looked for, as steps [first, last)."""
    seconds = STEP_SAMPLES / RATE
    spans = [(p.start_ns / 1e9, p.end_ns / 1e9) for p in phonemes if BILABIAL in visemes_of(p.symbol)]
    found = [(int((a - _SEARCHED_S) / seconds), int((b + _SEARCHED_S) / seconds) + 1) for a, b in spans]
    return [(max(a, 0), min(b, steps)) for a, b in found if max(a, 0) < min(b, steps)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tracks", type=Path)
    parser.add_argument("--weights", type=Path, help="default: those that ship")
    parser.add_argument("--model", type=Path, help="of train.py, to compare int8 with float32")
    args = parser.parse_args()
    net = VisemeNet(args.weights.read_bytes() if args.weights else None)
    lexicon = Lexicon()
    ways: dict[str, Predictor] = {
        "network": lambda clip: net.curve(clip.samples, RATE).params,
        "phonemes": lambda clip: net.curve_of_phonemes(lexicon.phonemes(clip), clip.steps),
        "both": lambda clip: net.curve(clip.samples, RATE, lexicon.phonemes(clip)).params,
    }
    if args.model:
        from edgevid.train.viseme_net.quantize import load

        ways |= bare_networks(*load(args.model))
    for group, speakers in (("seen", TRAIN), ("unseen", HELD_OUT), ("unseen, other origin", OTHER)):
        for speaker in speakers:
            clips = read_clips(args.tracks, [speaker])
            for way, predict in ways.items():
                if clips and ("network" in way or clips[0].words):
                    print(f"{group} {speaker} {way}: {score(clips, net.basis, predict, lexicon)}", flush=True)
    lexicon.close()
    net.close()


if __name__ == "__main__":
    main()
