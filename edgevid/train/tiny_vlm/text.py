"""The model's words: a byte-level BPE trained on the questions, and a token per second."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from edgevid.train.tiny_vlm.questions import ask, second_name
from edgevid.train.tiny_vlm.vision import SECONDS
from edgevid.train.tiny_vlm.world import draw_stream

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WORDS = 512
"""Rows of learnt vectors, and most words of the BPE, which finds 391. So the token of second t, 391 + t, has
a learnt vector for t < 121 and the code of second t - 121 from there on: a slip, seen after training. The
network learnt the shift along with the rest; whoever trains anew can set this to 391."""
START = "<s>"
"""Opens every stream; the attention sink."""

_SECOND = re.compile(r"<\d{3}>")


def build_tokenizer() -> Tokenizer:
    """The same tokenizer every time: every word of the questions is one token, and so is every second.

    The BPE's ids come first, then those of the seconds.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=[START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rng = np.random.default_rng(0)
    streams = [draw_stream(rng, 200) for _ in range(40)]
    asked = [ask(rng, stream) for stream in streams for _ in range(50)]
    words = [_SECOND.sub("", q.prompt + q.answer) for q in asked if q is not None]
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.add_tokens([AddedToken(second_name(t), normalized=False) for t in range(SECONDS)])
    return tokenizer
