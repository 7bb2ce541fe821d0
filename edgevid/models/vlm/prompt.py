"""How each family is spoken to: one user turn that stays open while frames arrive, closed by the question.

::

    opening(system)  frame_marks(t) rows  frame_marks(t) rows ...  question(text) -> the model answers

Marks are tokenised as control tokens and what people wrote never is, so a question cannot forge a turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgevid.core.errors import BadModelError
from edgevid.core.nouns import NS_PER_S
from edgevid.models.llm import LanguageModel

Family = Literal["idefics3", "llava"]
Style = Literal["utterances", "chatml", "llama3", "vicuna"]

_AROUND, _GLOBAL = "<fake_token_around_image>", "<global-img>"


@dataclass(frozen=True, slots=True)
class _Turns:
    """Text of one style; {} is where the system's words or the question go."""

    system: str
    user: str
    end: str


_TURNS: dict[Style, _Turns] = {
    "utterances": _Turns(
        "System: {}<end_of_utterance>\n",
        "User: You are provided the following series of frames from a video.\n",
        "\n\n{}<end_of_utterance>\nAssistant:",
    ),
    "chatml": _Turns(
        "<|im_start|>system\n{}<|im_end|>\n", "<|im_start|>user\n", "\n{}<|im_end|>\n<|im_start|>assistant\n"
    ),
    "llama3": _Turns(
        "<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>\n\n",
        "\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "vicuna": _Turns("{}", "USER:", "\n{} ASSISTANT:"),
}


class Conversation:
    """Token ids of a conversation with one model about one stream.

    Raises:
        BadModelError: the tokenizer lacks a mark that the family's prompt needs.
    """

    def __init__(self, model: LanguageModel, family: Family) -> None:
        self._model = model
        self._family = family
        template = model.config.chat_template or ""
        self._style = _style(template, family)
        self._start = template.split("{", 1)[0].strip() if self._style == "utterances" else ""
        marks = [_AROUND, _GLOBAL, "<end_of_utterance>"] if family == "idefics3" else []
        for mark in marks:
            if len(model.tokenize(mark, special=True)) != 1:
                raise BadModelError(f"the tokenizer has no token {mark}, which {family} models are fed with")

    def opening(self, system: str) -> list[int]:
        """A system turn, and the user's turn begun; frames and notes follow."""
        turns = _TURNS[self._style]
        ids = self._model.tokenize("", bos=True) or self._model.tokenize(self._start, special=True)
        ids += self._around(turns.system, system)
        return ids + self._model.tokenize(turns.user, special=True)

    def frame_marks(self, pts_ns: int) -> tuple[list[int], list[int]]:
        """What stands before and after the rows of the frame shown at ``pts_ns``."""
        seconds = pts_ns // NS_PER_S
        time = f"\nFrame from {seconds // 60:02d}:{seconds % 60:02d}:"
        if self._family == "idefics3":
            before = self._model.tokenize(f"{time}{_AROUND}{_GLOBAL}", special=True)
            return before, self._model.tokenize(_AROUND, special=True)
        return self._model.tokenize(time), []

    def question(self, text: str) -> list[int]:
        """The user's turn ended with ``text``, and the assistant's begun."""
        return self._around(_TURNS[self._style].end, text)

    def _around(self, frame: str, text: str) -> list[int]:
        """``frame`` with ``text`` in its gap; only the frame's marks count as marks."""
        before, after = frame.split("{}")
        if self._style == "vicuna":  # without marks, so in one piece: each piece would begin with a space
            return self._model.tokenize(before + text.strip() + after)
        space = " " if before.endswith(" ") else ""  # byte-level BPE joins it to the word that follows
        ids = self._model.tokenize(before.removesuffix(" "), special=True)
        ids += self._model.tokenize(space + text.strip())
        return ids + self._model.tokenize(after, special=True)


def _style(template: str, family: Family) -> Style:
    if "<end_of_utterance>" in template or (not template and family == "idefics3"):
        return "utterances"
    if "<|im_start|>" in template:
        return "chatml"
    if "<|start_header_id|>" in template:
        return "llama3"
    return "vicuna"
