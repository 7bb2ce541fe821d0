"""/v1/chat/completions and /v1/models, as OpenAI's clients expect them.

Model ``edgevid`` answers from a video's timeline or from one picture; its evidence is in the extension field
``edgevid``. The model given by ``--llm`` replies in its own words.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgevid.app.server.chat_request import ChatRequest, parse_chat
from edgevid.app.server.decoder_chat import DecoderChat, Finished
from edgevid.app.server.errors import HttpError, bad_request, error_body, status_of
from edgevid.app.server.fields import json_body
from edgevid.app.server.requests import answered, observation_json, service_of, streaming, unless_gone
from edgevid.app.server.service import Service
from edgevid.app.server.sse import message
from edgevid.core.errors import EdgevidError

WATCHED = "edgevid"

Piece = str | Finished | dict[str, Any]
"""Of a reply: text as it comes, for the answerer then the extension, last ``Finished``."""


async def models(request: Request) -> Response:
    """The models that can be named."""
    decoder = service_of(request).decoder
    names = [WATCHED] + ([decoder.name] if decoder is not None else [])
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "edgevid"} for name in names]
    return JSONResponse({"object": "list", "data": listed})


async def completions(request: Request) -> Response:
    """One reply, whole or as it is written."""
    service = service_of(request)
    chat = parse_chat(await json_body(request, service.limits), service.limits)
    reply = _reply(service, chat)
    if chat.stream:
        return await streaming(request, _chunks(reply, chat))
    done = await unless_gone(request, _whole(reply, chat))
    return done if isinstance(done, Response) else JSONResponse(done)


def _reply(service: Service, chat: ChatRequest) -> AsyncGenerator[Piece]:
    if chat.model == WATCHED:
        return _watched(service, chat)
    if service.decoder is None or chat.model != service.decoder.name:
        known = [WATCHED] + ([service.decoder.name] if service.decoder else [])
        raise HttpError(
            404,
            "model_not_found",
            f"no model '{chat.model}'",
            param="model",
            fix=f"one of: {', '.join(known)}",
        )
    if chat.picture is not None or chat.video is not None:
        raise bad_request(
            f"model '{chat.model}' reads text only", param="messages", fix=f"model '{WATCHED}' sees"
        )
    return _spoken(service, service.decoder, chat)


async def _spoken(service: Service, decoder: DecoderChat, chat: ChatRequest) -> AsyncGenerator[Piece]:
    began, first = time.perf_counter(), True
    with service.metrics.asking("decoder"):
        pieces = decoder.reply(chat.messages, chat.sampling)
        try:
            async for piece in pieces:
                if first:
                    service.metrics.first_token(time.perf_counter() - began)
                    first = False
                if isinstance(piece, Finished):
                    service.metrics.replied(prompt=piece.prompt_tokens, completion=piece.completion_tokens)
                yield piece
        finally:
            await pieces.aclose()  # stop writing as soon as nobody reads


async def _watched(service: Service, chat: ChatRequest) -> AsyncGenerator[Piece]:
    question = chat.messages[-1].text.strip()
    if chat.messages[-1].role != "user" or not 1 <= len(question) <= service.limits.question_chars:
        most = service.limits.question_chars
        raise bad_request(f"the last message must be a question of 1 to {most} characters", param="messages")
    if chat.picture is not None:
        with service.metrics.asking("picture"):
            answer, seen = await service.run("picture", partial(service.pictures.ask, chat.picture, question))
        extension = {**answered(answer, 0), "video_id": None, "seen": [observation_json(o) for o in seen]}
    else:
        video_id = await _video_id(service, chat.video)
        answer = await service.ask(video_id, question)
        extension = answered(answer, video_id)
    yield answer.text
    yield extension
    yield Finished("stop", 0, 0)  # no language model ran, so there are no tokens


async def _video_id(service: Service, named: str | None) -> int:
    if named is None:
        videos = await service.run("look", service.memory.videos)
        if not videos:
            raise HttpError(404, "no_video", "no video has been watched yet", fix="POST /v1/sessions")
        return int(videos[-1].id)
    if re.fullmatch(r"[0-9]{1,19}", named):
        return service.video(int(named)).id
    video_id = service.sessions.get(named).video_id
    if video_id is None:
        raise HttpError(409, "nothing_seen", "nothing has been seen yet", fix="ask again in a moment")
    return video_id


async def _whole(reply: AsyncGenerator[Piece], chat: ChatRequest) -> dict[str, Any]:
    text, extension, finished = "", None, Finished("stop", 0, 0)
    async for piece in reply:
        match piece:
            case str():
                text += piece
            case Finished():
                finished = piece
            case _:
                extension = piece
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": None,
        "finish_reason": finished.reason,
    }
    body = {**_head("chat.completion", chat), "choices": [choice], "usage": _usage(finished)}
    return body | ({} if extension is None else {"edgevid": extension})


async def _chunks(reply: AsyncGenerator[Piece], chat: ChatRequest) -> AsyncGenerator[str]:
    """Server-sent ``chat.completion.chunk`` objects, then ``[DONE]``."""
    head = _head("chat.completion.chunk", chat)

    def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return message(json.dumps({**head, "choices": [choice], **more}, ensure_ascii=False))

    began = False
    extension: dict[str, Any] = {}
    try:
        async for piece in reply:
            if not began:  # after the first piece: what fails before has its own status
                began = True
                yield chunk({"role": "assistant", "content": ""})
            match piece:
                case str():
                    yield chunk({"content": piece})
                case Finished():
                    yield chunk({}, piece.reason, **extension)
                    if chat.include_usage:
                        yield message(json.dumps({**head, "choices": [], "usage": _usage(piece)}))
                case _:
                    extension = {"edgevid": piece}
    except EdgevidError as error:
        if not began:
            raise
        yield message(json.dumps(error_body(error, status_of(error))))
        return
    yield message("[DONE]")


def _head(kind: str, chat: ChatRequest) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": chat.model,
        "system_fingerprint": None,
    }


def _usage(finished: Finished) -> dict[str, int]:
    prompt, completion = finished.prompt_tokens, finished.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
