"""Train VisemeNet: ``python -m edgevid.train.viseme_net.train TRACKS OUT``; under half an hour on two cores.

Reads the clips of ``tracks.py``, fits lip basis and viseme targets on the speakers in ``clips.TRAIN``, speaks
made-up words, and learns from both. OUT (model.pt) holds weights, normalisation, basis, targets and rows
to calibrate on.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgevid.lipsync.nouns import Floats
from edgevid.train.viseme_net.clips import TRAIN, Clip, Lexicon, read_clips, speakers_of
from edgevid.train.viseme_net.material import (
    Example,
    basis_of,
    fit_targets,
    real_curve,
    synthetic,
    varied,
)
from edgevid.train.viseme_net.network import ROWS_BEFORE, VisemeNet
from edgevid.train.viseme_net.synthesis import speak_all

STEPS, BATCH, TEXTS = 2500, 32, 30
"""With which the weights that ship were trained."""
_STEPS_SEEN = 120  # of a crop: 2.4 s
_WEIGHTS = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.5, 0.5])  # of the parameters in the loss
_RATE, _DECAY = 2e-3, 1e-2


class Crops:
    """Random crops of examples as normalised batches."""

    def __init__(
        self, examples: Sequence[Example], norms: dict[str, Floats], rng: np.random.Generator
    ) -> None:
        self._examples = [e for e in examples if len(e.curve) >= _STEPS_SEEN]
        self._norms = norms
        self._rng = rng

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """[count, 64, rows] and [count, 6, steps]."""
        rows, curves = [], []
        for i in self._rng.integers(len(self._examples), size=count):
            example = self._examples[i]
            first = int(self._rng.integers(len(example.curve) - _STEPS_SEEN + 1))
            seen = ROWS_BEFORE + 6 + 2 * (_STEPS_SEEN - 1)
            rows.append(example.rows[2 * first : 2 * first + seen])
            curves.append(example.curve[first : first + _STEPS_SEEN])
        x = (np.stack(rows) - self._norms["mel_mean"]) / self._norms["mel_std"]
        self._mask_bands(x)
        y = (np.stack(curves) - self._norms["param_mean"]) / self._norms["param_std"]
        return torch.from_numpy(x).transpose(1, 2), torch.from_numpy(y).transpose(1, 2)

    def _mask_bands(self, x: Floats) -> None:
        """Half of the batch [count, rows, 64] lose up to a fifth of their bands (SpecAugment, Park 2019)."""
        for one in x[::2]:
            width = int(self._rng.integers(13))
            first = int(self._rng.integers(x.shape[2] - width + 1))
            one[:, first : first + width] = 0


def norms_of(examples: Sequence[Example]) -> dict[str, Floats]:
    """Means and spreads of bands and parameters."""
    rows = np.concatenate([e.rows[ROWS_BEFORE:] for e in examples])
    curves = np.concatenate([e.curve for e in examples])
    return {
        "mel_mean": rows.mean(axis=0),
        "mel_std": rows.std(axis=0) + np.float32(0.1),
        "param_mean": curves.mean(axis=0),
        "param_std": curves.std(axis=0) + np.float32(1e-3),
    }


def loss_of(got: Tensor, wanted: Tensor) -> Tensor:
    """Weighted squared error of the curve, and half as much of its speed."""
    apart = got - wanted
    moving = apart.diff(dim=2)
    weights = _WEIGHTS[:, None]
    return (weights * apart.square()).mean() + 2 * (weights * moving.square()).mean()


def learn(real: Crops, made: Crops, *, steps: int, batch: int) -> VisemeNet:
    """Half of each batch is real, half synthetic; the weights returned are a running mean of the last."""
    torch.manual_seed(0)
    net = VisemeNet()
    mean = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
    started, total = time.monotonic(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
        (xr, yr), (xm, ym) = real.draw(batch // 2), made.draw(batch // 2)
        out = net(torch.cat([xr, xm]))
        loss = loss_of(out[: batch // 2], yr) + 0.5 * loss_of(out[batch // 2 :], ym)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean.update_parameters(net)
        total += float(loss.detach())
        if step % 200 == 199:
            print(f"step {step + 1}: loss {total / 200:.4f}, {time.monotonic() - started:.0f} s", flush=True)
            total = 0.0
    trained = mean.module
    assert isinstance(trained, VisemeNet)
    trained.eval()
    return trained


def train(
    clips: Sequence[Clip], *, texts: int, steps: int, batch: int
) -> tuple[VisemeNet, dict[str, Floats]]:
    """A network of ``clips`` and of ``texts`` made-up texts in each language; normalisation, basis, targets
    and rows to calibrate on."""
    rng = np.random.default_rng(0)
    speakers = speakers_of(clips)
    basis = basis_of(clips, speakers)
    lexicon = Lexicon()
    curves = [real_curve(clip, basis, speakers[clip.speaker], lexicon) for clip in clips]
    targets = fit_targets(clips, curves, lexicon)
    lexicon.close()
    real = [e for c, curve in zip(clips, curves, strict=True) for e in varied(c.samples, curve, 8, rng)]
    made = [e for s in speak_all(texts, seed=1) for e in varied(*synthetic(s, targets), 2, rng)]
    norms = norms_of(real + made)
    print(f"{len(real)} real and {len(made)} synthetic examples", flush=True)
    net = learn(Crops(real, norms, rng), Crops(made, norms, rng), steps=steps, batch=batch)
    calibration = np.concatenate([e.rows for e in (*real[::17], *made[::17])])
    tables = {"basis_mean": basis.mean, "basis_directions": basis.directions, "targets": targets}
    return net, {**tables, **norms, "calibration": calibration}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tracks", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--texts", type=int, default=TEXTS, help="made-up texts in each language")
    parser.add_argument("--speakers", nargs="+", default=list(TRAIN))
    args = parser.parse_args()
    clips = read_clips(args.tracks, args.speakers)
    net, around = train(clips, texts=args.texts, steps=args.steps, batch=args.batch)
    tensors = {k: torch.from_numpy(v) for k, v in around.items()}
    torch.save({"net": net.state_dict(), "around": tensors}, args.out)


if __name__ == "__main__":
    main()
