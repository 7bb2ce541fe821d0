"""The model's words: a byte-level BPE small enough to read, trained on the questions themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgevid.train.tiny_vlm.questions import ask
from edgevid.train.tiny_vlm.world import draw_stream

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCAB_SIZE = 384
START = "<s>"
"""Opens every stream; the attention sink."""


def build_tokenizer() -> Tokenizer:
    """The same tokenizer every time: digits stand alone, every word of the questions is one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rng = np.random.default_rng(0)
    streams = [draw_stream(rng, 200) for _ in range(40)]
    asked = [ask(rng, stream) for stream in streams for _ in range(50)]
    tokenizer.train_from_iterator([q.prompt + q.answer for q in asked if q is not None], trainer)
    return tokenizer
