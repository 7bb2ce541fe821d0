"""Train the tiny VLM: ``python -m edgevid.train.tiny_vlm.train --out DIR`` (resumes from DIR/checkpoint.pt).

Streams grow from 12 to 790 seconds (about 120 to 8,000 rows) as the model learns, and every stream is
followed by a run of questions, so that the signal does not thin out. Beside the answers' words, three lessons
teach what is on the way to them (network.py): what each cell and each frame holds, and which row holds an
answer. Arithmetic is bfloat16; the blocks' matrices learn by Muon, the rest by AdamW.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edgevid.train.tiny_vlm.network import CellGlance, Glance, TinyVLM, pointing
from edgevid.train.tiny_vlm.questions import FAMILIES, ask
from edgevid.train.tiny_vlm.text import START, build_tokenizer
from edgevid.train.tiny_vlm.vision import ROWS, SECONDS, pixels
from edgevid.train.tiny_vlm.world import Ints, draw_stream, render

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_IGNORE = -100
_AVERAGE = 0.995  # of the weights' running mean, which is what is exported
_HELD = ("model", "average", "glance", "cells", "muon", "adam")


@dataclass(frozen=True, slots=True)
class Stage:
    """One length of the curriculum; ends after ``steps``, or once ``enough`` of the tokens are right.

    ``rate`` is a share of the peak learning rate.
    """

    seconds: int
    batch: int
    questions: int
    steps: int
    enough: float = 1.1
    rate: float = 1.0


CURRICULUM = (
    Stage(seconds=12, batch=8, questions=20, steps=3000, enough=0.8),
    Stage(seconds=24, batch=8, questions=24, steps=4000, enough=0.9),
    Stage(seconds=64, batch=4, questions=40, steps=5000, enough=0.9),
    Stage(seconds=200, batch=2, questions=80, steps=400, enough=0.97, rate=0.7),
    Stage(seconds=790, batch=1, questions=120, steps=400, rate=0.4),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """int64 but for ``pixels``; ``n`` is the longest text, ``F`` the seconds.

    Attributes:
        pixels: [batch, F, CELLS, PIXELS].
        seconds: [batch, F].
        text, targets: [batch, n]; targets are _IGNORE but where a word of an answer comes next.
        families: [batch, n], indices of FAMILIES.
        pointers: [batch, n], the row that holds the answer where its first word comes next, else _IGNORE.
        facts, things: of the streams, see world.py.
    """

    pixels: Tensor
    seconds: Tensor
    text: Tensor
    targets: Tensor
    families: Tensor
    pointers: Tensor
    facts: Tensor
    things: Tensor


def make_batch(rng: np.random.Generator, tokenizer: Tokenizer, stage: Stage) -> Batch:
    """Random streams with their questions; targets are _IGNORE but for the answers."""
    seen, seconds, texts, targets, families, pointers, facts, things = ([] for _ in range(8))
    for _ in range(stage.batch):
        start_s = int(rng.integers(SECONDS - stage.seconds + 1))
        stream = draw_stream(rng, stage.seconds, start_s=start_s)
        seen.append(pixels(render(stream, rng)))
        facts.append(stream.facts())
        things.append(stream.things())
        seconds.append(np.arange(start_s, start_s + stage.seconds))
        text: list[int] = []
        target: list[int] = []
        family: list[int] = []
        pointer: list[int] = []
        asked = 0
        while asked < stage.questions:
            question = ask(rng, stream)
            if question is None:
                continue
            prompt, answer = (tokenizer.encode(part).ids for part in (question.prompt, question.answer))
            text += prompt + answer
            target += [_IGNORE] * (len(prompt) - 1) + answer + [_IGNORE]
            family += [FAMILIES.index(question.family)] * (len(prompt) + len(answer))
            row = 1 + (question.second - start_s) * ROWS + question.row
            pointer += [_IGNORE] * (len(prompt) - 1) + [row] + [_IGNORE] * len(answer)
            asked += 1
        texts.append(text)
        targets.append(target)
        families.append(family)
        pointers.append(pointer)
    longest = max(map(len, texts))
    pad = [np.pad(t, (0, longest - len(t))) for t in texts]
    pad_targets = [np.pad(t, (0, longest - len(t)), constant_values=_IGNORE) for t in targets]
    pad_families = [np.pad(f, (0, longest - len(f))) for f in families]
    pad_pointers = [np.pad(p, (0, longest - len(p)), constant_values=_IGNORE) for p in pointers]
    arrays = (seen, seconds, pad, pad_targets, pad_families, pad_pointers, facts, things)
    return Batch(*(torch.from_numpy(np.stack(a)) for a in arrays))


class Trainer:
    """Holds what a checkpoint holds."""

    def __init__(self, out: Path, *, seed: int, rate: float) -> None:
        torch.manual_seed(seed)
        self.out, self.seed, self.rate = out, seed, rate
        self.tokenizer = build_tokenizer()
        self.start_id = self.tokenizer.token_to_id(START)
        self.model = TinyVLM()
        self.glance = Glance(self.model.shape)
        self.cells = CellGlance(self.model.shape)
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(_AVERAGE))
        matrices = [p for p in self.model.blocks.parameters() if p.ndim == 2]
        ids = {id(p) for p in matrices}
        others = [p for part in (self.model, self.glance, self.cells) for p in part.parameters()]
        others = [p for p in others if id(p) not in ids]
        self.muon = torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        self.adam = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.stage = self.step = self.total = 0
        if (out / "checkpoint.pt").exists():
            saved = torch.load(out / "checkpoint.pt", weights_only=True)
            for name in _HELD:
                getattr(self, name).load_state_dict(saved[name])
            self.stage, self.step, self.total = saved["stage"], saved["step"], saved["total"]

    def save(self) -> None:
        part = self.out / "checkpoint.part"
        state = {name: getattr(self, name).state_dict() for name in _HELD}
        torch.save({**state, "stage": self.stage, "step": self.step, "total": self.total}, part)
        part.replace(self.out / "checkpoint.pt")

    def run(self, *, until_s: float) -> None:
        """Train until the curriculum ends or the time is up; progress goes to stdout."""
        began = time.monotonic()
        while self.stage < len(CURRICULUM):
            stage = CURRICULUM[self.stage]
            while self.step < stage.steps:
                loss, right, scored = 0.0, np.zeros(len(FAMILIES)), np.zeros(len(FAMILIES))
                for _ in range(25):
                    new = self._one(stage)
                    loss, right, scored = loss + new[0] / 25, right + new[1], scored + new[2]
                    self.step += 1
                    self.total += 1
                took, share = time.monotonic() - began, right.sum() / scored.sum()
                each = "  ".join(f"{f} {r:.3f}" for f, r in zip(FAMILIES, right / scored, strict=True))
                print(f"{took:6.0f} s  {stage.seconds:4d} s streams  step {self.step:5d}", end="  ")
                print(f"loss {loss:.3f}  tokens right {share:.3f}: {each}", flush=True)
                self.save()
                if took > until_s:
                    return
                if share >= stage.enough:
                    break
            self.stage, self.step = self.stage + 1, 0
            self.save()

    def _one(self, stage: Stage) -> tuple[float, Ints, Ints]:
        """One step; the loss and, by family, the words that were right and all."""
        rng = np.random.default_rng([self.seed, self.stage, self.step])
        batch = make_batch(rng, self.tokenizer, stage)
        for optimizer in (self.muon, self.adam):
            for group in optimizer.param_groups:
                group["lr"] = self.rate * self._schedule(stage)
        start = torch.full((stage.batch, 1), self.start_id)
        with torch.autocast("cpu", torch.bfloat16):
            logits, half_way, cells, scores = self.model(start, batch.pixels, batch.seconds, batch.text)
        loss = F.cross_entropy(logits.float().flatten(0, 1), batch.targets.flatten(), ignore_index=_IGNORE)
        self.muon.zero_grad()
        self.adam.zero_grad()
        lessons = self.glance(half_way.float(), batch.facts) + self.cells(cells.float(), batch.things)
        pointed = pointing(scores.float(), batch.pointers)
        (loss + lessons + pointed).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.muon.step()
        self.adam.step()
        self.average.update_parameters(self.model)
        answers = batch.targets != _IGNORE
        hit = (logits.argmax(-1) == batch.targets) & answers
        count = len(FAMILIES)
        right = torch.bincount(batch.families[hit], minlength=count).numpy()
        return float(loss.detach()), right, torch.bincount(batch.families[answers], minlength=count).numpy()

    def _schedule(self, stage: Stage) -> float:
        """Warm up once; in the last stage fall to a tenth along a cosine."""
        warm = min(1.0, (self.total + 1) / 100)
        if self.stage < len(CURRICULUM) - 1:
            return warm * stage.rate
        return warm * stage.rate * (0.1 + 0.45 * (1 + math.cos(math.pi * self.step / stage.steps)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--minutes", type=float, default=150, help="stop after this long")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(options.out, seed=options.seed, rate=options.rate)
    parameters = sum(p.numel() for p in trainer.model.parameters())
    print(f"{parameters:,} parameters, families {', '.join(FAMILIES)}")
    trainer.run(until_s=options.minutes * 60)


if __name__ == "__main__":
    main()
