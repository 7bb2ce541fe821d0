"""Chat messages -> token ids, for the two template families that small models use.

A GGUF file carries its template as a Jinja program. Running a program from a file is not wanted here, so the
family is recognised by its marks and written out: ChatML (Qwen2, SmolLM2) or Llama 3; anything else becomes
plain lines. Marks are tokenised as control tokens and what people wrote never is, so a message cannot forge a
turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from edgevid.models.llm import LanguageModel

Role = Literal["system", "user", "assistant"]
Family = Literal["chatml", "llama3", "plain"]


class Message(NamedTuple):
    """One turn of a chat."""

    role: Role
    text: str


def template_family(template: str | None) -> Family:
    """Which family a file's Jinja template belongs to."""
    if template and "<|im_start|>" in template:
        return "chatml"
    if template and "<|start_header_id|>" in template:
        return "llama3"
    return "plain"


def chat_tokens(
    model: LanguageModel, messages: Sequence[Message], *, reply: bool = True, bos: bool = True
) -> list[int]:
    """Ids of ``messages``; with ``reply`` they end where the assistant begins to speak.

    bos: begin the text as the model's file asks; off for messages that continue a sequence.
    """
    ids = model.tokenize("", bos=True) if bos else []
    for text, marks in _segments(template_family(model.config.chat_template), messages, reply=reply):
        ids += model.tokenize(text, special=marks)
    return ids


def _segments(family: Family, messages: Sequence[Message], *, reply: bool) -> Iterator[tuple[str, bool]]:
    """Runs of text, each with whether it is the template's own."""
    before, after = {
        "chatml": ("<|im_start|>{role}\n", "<|im_end|>\n"),
        "llama3": ("<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>"),
        "plain": ("{role}: ", "\n"),
    }[family]
    for message in messages:
        yield before.format(role=message.role), True
        yield message.text.strip(), False
        yield after, True
    if reply:
        yield before.format(role="assistant").rstrip(" "), True
