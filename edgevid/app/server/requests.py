"""What handlers have in common: the service, checked parameters, JSON of nouns, waiting for a client."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from edgevid.app.server import sse
from edgevid.app.server.errors import bad_request, busy, not_found
from edgevid.app.server.fields import json_body
from edgevid.app.server.service import Service
from edgevid.core.nouns import KINDS, Answer, Kind, Observation
from edgevid.memory.memory import VideoRow
from edgevid.stream.events import answer_json

T = TypeVar("T")
_MOST_ID = 2**63 - 1
MOST_S = 366 * 86400.0
"""The latest time in a video that a client may name."""


def service_of(request: Request) -> Service:
    """The service behind the application."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def video_of(request: Request) -> VideoRow:
    """The video in the path; HttpError 404 when there is none."""
    text = request.path_params["video_id"]
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > _MOST_ID:
        raise not_found("video")
    return service_of(request).video(int(text))


def seconds_in_query(request: Request, name: str) -> float | None:
    """A time in the query: not negative, at most a year; HttpError 400 otherwise."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST_S:
        raise bad_request(f"{name} must be a number of seconds from 0", param=name)
    return value


def kinds_of(names: list[str], *, param: str) -> tuple[Kind, ...]:
    """Kinds by name, in house order; HttpError 400 for an unknown one."""
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise bad_request(f"{param}: choose from {', '.join(KINDS)}", param=param)
    return tuple(kind for kind in KINDS if kind in names)


async def question_of(request: Request) -> str:
    """``{"question": ...}`` in the body."""
    fields = await json_body(request, service_of(request).limits)
    fields.only(("question",))
    return fields.text("question", most=service_of(request).limits.question_chars)


def answered(answer: Answer, video_id: int) -> dict[str, Any]:
    """An answer as JSON."""
    return {**answer_json(answer), "video_id": video_id}


def observation_json(o: Observation) -> dict[str, Any]:
    """What a row of the timeline says."""
    return {
        "kind": o.kind,
        "label": o.label,
        "start_s": round(o.span.start_s, 3),
        "end_s": round(o.span.end_s, 3),
        "score": round(o.score, 4),
        "count": o.count,
        "boxes": [[round(v, 4) for v in (b.x0, b.y0, b.x1, b.y1)] for b in o.boxes],
    }


@contextmanager
def one_stream(service: Service) -> Iterator[None]:
    """Count a stream that stays open."""
    service.streams += 1
    service.metrics.streams.set(service.streams)
    try:
        yield
    finally:
        service.streams -= 1
        service.metrics.streams.set(service.streams)


class _Stream(StreamingResponse):
    """An event stream that counts as open from its first message to its end, however it ends."""

    def __init__(self, service: Service, messages: AsyncGenerator[str], first: str) -> None:
        super().__init__(_chained(first, messages), media_type=sse.MEDIA_TYPE, headers=sse.HEADERS)
        self._service = service
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with one_stream(self._service):
                await super().__call__(scope, receive, send)
        finally:
            await self._messages.aclose()


async def streaming(request: Request, messages: AsyncGenerator[str]) -> Response:
    """``messages`` as an event stream.

    The first one is awaited here, so that what fails at once is answered with its own status.
    """
    service = service_of(request)
    if service.streams >= service.limits.streams:
        raise busy("too many streams are open")
    first = await unless_gone(request, anext(messages))
    return first if isinstance(first, Response) else _Stream(service, messages, first)


async def _chained(first: str, rest: AsyncGenerator[str]) -> AsyncIterator[str]:
    yield first
    async for text in rest:
        yield text


async def unless_gone(request: Request, work: Awaitable[T]) -> T | Response:
    """The result of ``work``, which is cancelled when the client leaves; nobody reads the answer then."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        return Response(status_code=499)
    finally:
        for task in (working, leaving):
            task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
