"""Train the tiny VLM: ``python -m edgevid.train.tiny_vlm.train --out DIR`` (resumes from DIR/checkpoint.pt).

Streams grow from 8 to 790 seconds (about 80 to 8,000 rows) as the model learns; at each length a batch
holds about as many rows, and every stream is followed by a run of questions, so that the signal does not thin
out. Only answers are scored.
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

from edgevid.train.tiny_vlm.network import CellGlance, Glance, TinyVLM
from edgevid.train.tiny_vlm.questions import FAMILIES, ask
from edgevid.train.tiny_vlm.text import START, build_tokenizer
from edgevid.train.tiny_vlm.vision import MAX_SECOND, pixels
from edgevid.train.tiny_vlm.world import draw_stream, render

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_IGNORE = -100


@dataclass(frozen=True, slots=True)
class Stage:
    """One length of the curriculum; ends after ``steps``, or once ``enough`` of the tokens are right."""

    seconds: int
    batch: int
    questions: int
    steps: int
    enough: float = 1.1


CURRICULUM = (
    Stage(seconds=8, batch=16, questions=16, steps=3000, enough=0.9),
    Stage(seconds=24, batch=8, questions=24, steps=4000, enough=0.93),
    Stage(seconds=64, batch=6, questions=40, steps=5000, enough=0.95),
    Stage(seconds=200, batch=2, questions=80, steps=2500, enough=0.97),
    Stage(seconds=790, batch=1, questions=100, steps=400),
)


@dataclass(frozen=True, slots=True)
class Batch:
    pixels: Tensor
    seconds: Tensor
    text: Tensor
    targets: Tensor
    facts: Tensor
    things: Tensor


def make_batch(rng: np.random.Generator, tokenizer: Tokenizer, stage: Stage) -> Batch:
    """Random streams with their questions; targets are _IGNORE but for the answers."""
    seen, seconds, texts, targets, facts, things = [], [], [], [], [], []
    for _ in range(stage.batch):
        start_s = int(rng.integers(MAX_SECOND - stage.seconds + 1))
        stream = draw_stream(rng, stage.seconds, start_s=start_s)
        seen.append(pixels(render(stream, rng)))
        facts.append(stream.facts())
        things.append(stream.things())
        seconds.append(np.arange(start_s, start_s + stage.seconds))
        text: list[int] = []
        target: list[int] = []
        asked = 0
        while asked < stage.questions:
            question = ask(rng, stream)
            if question is None:
                continue
            prompt, answer = (tokenizer.encode(part).ids for part in (question.prompt, question.answer))
            text += prompt + answer
            target += [_IGNORE] * (len(prompt) - 1) + answer + [_IGNORE]
            asked += 1
        texts.append(text)
        targets.append(target)
    longest = max(map(len, texts))
    pad = [np.pad(t, (0, longest - len(t))) for t in texts]
    pad_targets = [np.pad(t, (0, longest - len(t)), constant_values=_IGNORE) for t in targets]
    return Batch(*(torch.from_numpy(np.stack(a)) for a in (seen, seconds, pad, pad_targets, facts, things)))


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
        self.optimizer = torch.optim.AdamW(
            [p for module in (self.model, self.glance, self.cells) for p in module.parameters()],
            lr=rate,
            betas=(0.9, 0.98),
            weight_decay=0.01,
        )
        self.stage = self.step = self.total = 0
        if (out / "checkpoint.pt").exists():
            saved = torch.load(out / "checkpoint.pt", weights_only=True)
            self.model.load_state_dict(saved["model"])
            self.glance.load_state_dict(saved["glance"])
            self.cells.load_state_dict(saved["cells"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.stage, self.step, self.total = saved["stage"], saved["step"], saved["total"]

    def save(self) -> None:
        part = self.out / "checkpoint.part"
        held = {name: getattr(self, name) for name in ("model", "glance", "cells", "optimizer")}
        state = {name: each.state_dict() for name, each in held.items()}
        torch.save({**state, "stage": self.stage, "step": self.step, "total": self.total}, part)
        part.replace(self.out / "checkpoint.pt")

    def run(self, *, until_s: float) -> None:
        """Train until the curriculum ends or the time is up; progress goes to stdout."""
        began = time.monotonic()
        while self.stage < len(CURRICULUM):
            stage = CURRICULUM[self.stage]
            right = scored = 0
            loss_sum = 0.0
            while self.step < stage.steps:
                loss, hit, count = self._one(stage)
                loss_sum, right, scored = loss_sum + loss, right + hit, scored + count
                self.step += 1
                self.total += 1
                if self.step % 25 == 0:
                    took = time.monotonic() - began
                    share = right / scored
                    print(f"{took:6.0f} s  {stage.seconds:4d} s streams  step {self.step:5d}", end="  ")
                    print(f"loss {loss_sum / 25:.3f}  tokens right {share:.3f}", flush=True)
                    right = scored = 0
                    loss_sum = 0.0
                    self.save()
                    if took > until_s:
                        return
                    if share >= stage.enough:
                        break
            self.stage, self.step = self.stage + 1, 0
            self.save()

    def _one(self, stage: Stage) -> tuple[float, int, int]:
        rng = np.random.default_rng([self.seed, self.stage, self.step])
        batch = make_batch(rng, self.tokenizer, stage)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * self._schedule(stage)
        logits, half_way, cells = self.model(
            torch.full((stage.batch, 1), self.start_id), batch.pixels, batch.seconds, batch.text
        )
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=_IGNORE)
        self.optimizer.zero_grad(set_to_none=True)
        (loss + self.glance(half_way, batch.facts) + self.cells(cells, batch.things)).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        answers = batch.targets != _IGNORE
        hit = int(((logits.argmax(-1) == batch.targets) & answers).sum())
        return float(loss.detach()), hit, int(answers.sum())

    def _schedule(self, stage: Stage) -> float:
        """Warm up once; in the last stage fall to a tenth along a cosine."""
        warm = min(1.0, (self.total + 1) / 200)
        if self.stage < len(CURRICULUM) - 1:
            return warm
        return warm * (0.1 + 0.45 * (1 + math.cos(math.pi * self.step / stage.steps)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
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
