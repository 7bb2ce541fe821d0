"""How the recipe does on people it did not hear: ``python -m edgevid.train.viseme_net.leave_one_out TRACKS``.

Everybody in ``TRAIN`` and ``HELD_OUT`` is left out in turn, a network is trained on the others as the one
that ships was, and scored on the one left out, bare and in float32.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from edgevid.lipsync.mouth_shape import LipBasis
from edgevid.train.viseme_net.clips import HELD_OUT, TRAIN, Clip, Lexicon, person_of, read_clips
from edgevid.train.viseme_net.evaluate import Score, bare_networks, score
from edgevid.train.viseme_net.train import BATCH, STEPS, TEXTS, train


def score_without(person: str, clips: list[Clip], *, steps: int, texts: int) -> dict[str, Score]:
    """By speaker, as one person may have two names, of a network that never heard ``person``."""
    others = [clip for clip in clips if person_of(clip.speaker) != person]
    net, around = train(others, texts=texts, steps=steps, batch=BATCH)
    predict = bare_networks(net, around)["bare float32 network"]
    basis = LipBasis(around["basis_mean"], around["basis_directions"])
    theirs = defaultdict(list)
    for clip in clips:
        if person_of(clip.speaker) == person:
            theirs[clip.speaker].append(clip)
    lexicon = Lexicon()
    scores = {speaker: score(found, basis, predict, lexicon) for speaker, found in theirs.items()}
    lexicon.close()
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tracks", type=Path)
    parser.add_argument("--people", nargs="+", help="to leave out; default: everybody")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--texts", type=int, default=TEXTS, help="made-up texts in each language")
    args = parser.parse_args()
    clips = read_clips(args.tracks, [*TRAIN, *HELD_OUT])
    means = []
    for person in args.people or sorted({person_of(clip.speaker) for clip in clips}):
        scores = score_without(person, clips, steps=args.steps, texts=args.texts)
        for speaker, found in scores.items():
            print(f"{person} as {speaker}: {found}", flush=True)
        weights = [s.clips for s in scores.values()]
        figures = [(s.opening, s.width, s.spread) for s in scores.values()]
        means.append(np.average(figures, axis=0, weights=weights))
    print("mean over people, opening, width, spread:", np.mean(means, axis=0).round(2))


if __name__ == "__main__":
    main()
