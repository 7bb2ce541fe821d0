"""The body of POST /v1/chat/completions, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from edgevid.app.server.decoder_chat import Sampling
from edgevid.app.server.errors import HttpError, bad_request
from edgevid.app.server.fields import Fields
from edgevid.app.server.pictures import Picture, parse_picture
from edgevid.app.server.settings import HttpLimits
from edgevid.models.chat import Message, Role

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_DEFAULT_TOKENS = 256
_INERT: dict[str, tuple[Any, ...]] = {  # fields that are not supported, and the values that ask for nothing
    "n": (1,),
    "tools": ([],),
    "functions": ([],),
    "logprobs": (False,),
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat.

    Attributes:
        picture: the newest one in the messages.
        video: id of a video or session that the client named; None = the newest video.
    """

    model: str
    messages: tuple[Message, ...]
    picture: Picture | None
    video: str | None
    stream: bool
    include_usage: bool
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class _Turn:
    message: Message
    picture: Picture | None = None
    video: str | None = None


def parse_chat(fields: Fields, limits: HttpLimits) -> ChatRequest:
    """Check a body.

    Raises:
        HttpError: 400 naming the field; 413 for a picture that is too large.
    """
    _refuse_unsupported(fields)
    turns = [_turn(item, limits) for item in fields.items("messages", most=limits.messages)]
    video = fields.inner("metadata").raw("video_id") or fields.raw("video_id")
    if video is None:
        video = next((turn.video for turn in reversed(turns) if turn.video), None)
    return ChatRequest(
        model=fields.text("model", most=256),
        messages=tuple(turn.message for turn in turns),
        picture=next((turn.picture for turn in reversed(turns) if turn.picture), None),
        video=None if video is None else _video_id(video, "metadata.video_id"),
        stream=fields.flag("stream"),
        include_usage=fields.inner("stream_options").flag("include_usage"),
        sampling=_sampling(fields, limits),
    )


def _sampling(fields: Fields, limits: HttpLimits) -> Sampling:
    name = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
    top_p = fields.number("top_p", 1.0, low=0, high=1)
    return Sampling(
        max_tokens=fields.whole(name, _DEFAULT_TOKENS, low=1, high=limits.max_tokens),
        temperature=fields.number("temperature", 0.0, low=0, high=2),
        top_p=max(top_p, 1e-6),  # 0 means the likeliest token alone
        seed=fields.whole("seed", 0, low=-(2**63), high=2**63 - 1) % 2**32,
        stop=tuple(fields.words("stop", most=4, chars=200)),
    )


def _refuse_unsupported(fields: Fields) -> None:
    for name, inert in _INERT.items():
        if name in fields and fields.raw(name) not in inert:
            raise HttpError(400, "unsupported", f"'{name}' is not supported", param=name)


def _turn(item: Fields, limits: HttpLimits) -> _Turn:
    role = item.text("role", most=32)
    if role not in _ROLES:
        raise bad_request(f"role must be one of {', '.join(_ROLES)}", param=item.name("role"))
    content = item.raw("content")
    if isinstance(content, list):
        turn = _Turn(Message(_ROLES[role], ""))
        for part in item.items("content", most=32):
            turn = _with_part(turn, part, limits)
        return turn
    if content is not None and not isinstance(content, str):
        raise bad_request("content must be a text or a list of parts", param=item.name("content"))
    return _Turn(Message(_ROLES[role], content or ""))


def _with_part(turn: _Turn, part: Fields, limits: HttpLimits) -> _Turn:
    match part.text("type", most=32):
        case "text":
            words = part.raw("text")
            if not isinstance(words, str):
                raise bad_request("text must be a text", param=part.name("text"))
            joined = f"{turn.message.text}\n{words}" if turn.message.text else words
            return replace(turn, message=Message(turn.message.role, joined))
        case "image_url":
            if turn.picture is not None:
                raise bad_request("one picture per message", param=part.name("image_url"))
            address = part.inner("image_url")
            uri = address.text("url", most=limits.body_bytes)
            return replace(turn, picture=parse_picture(uri, limits, param=address.name("url")))
        case "video":
            return replace(turn, video=_video_id(part.inner("video").raw("id"), part.name("video.id")))
        case _:
            raise bad_request("type must be text, image_url or video", param=part.name("type"))


def _video_id(value: Any, param: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return str(value)
    if isinstance(value, str) and 1 <= len(value) <= 64:
        return value
    raise bad_request("a video is named by its id or its session's", param=param)
