"""/v1/videos: everything in memory, watched now or earlier, by this process or another."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgevid.app.server.errors import bad_request
from edgevid.app.server.requests import (
    answered,
    kinds_of,
    observation_json,
    question_of,
    seconds_in_query,
    service_of,
    video_of,
)
from edgevid.app.server.service import Service
from edgevid.core.nouns import KINDS, NS_PER_S
from edgevid.media.uri import redact
from edgevid.memory.memory import VideoRow

_MOST_ROWS = 5000


async def listed(request: Request) -> Response:
    """All videos, newest first."""
    service = service_of(request)
    videos = await service.run("look", service.memory.videos)
    return JSONResponse({"videos": [_json(service, video) for video in reversed(videos)]})


async def one(request: Request) -> Response:
    """One video."""
    return JSONResponse(_json(service_of(request), video_of(request)))


async def rows(request: Request) -> Response:
    """Rows of the timeline: ``?kinds=object,speech&start_s=&end_s=&limit=``."""
    service, video, query = service_of(request), video_of(request), request.query_params
    names = [name for name in query.get("kinds", ",".join(KINDS)).split(",") if name]
    kinds = kinds_of(names, param="kinds")
    limit = query.get("limit", "1000")
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 6 and 1 <= int(limit) <= _MOST_ROWS):
        raise bad_request(f"limit must be from 1 to {_MOST_ROWS}", param="limit")
    start_s, end_s = seconds_in_query(request, "start_s"), seconds_in_query(request, "end_s")
    read = partial(
        service.memory.rows,
        video.id,
        kinds=kinds,
        start_ns=None if start_s is None else int(start_s * NS_PER_S),
        end_ns=None if end_s is None else int(end_s * NS_PER_S),
    )
    found = await service.run("look", read)
    shown = [{"row": row.id, **observation_json(row.observation)} for row in found[: int(limit)]]
    return JSONResponse({"video_id": video.id, "rows": shown, "more": len(found) > len(shown)})


async def ask(request: Request) -> Response:
    """Answer a question about the video, with evidence."""
    video = video_of(request)
    answer = await service_of(request).ask(video.id, await question_of(request))
    return JSONResponse(answered(answer, video.id))


def _json(service: Service, video: VideoRow) -> dict[str, Any]:
    session = next((s.id for s in service.sessions.listed() if s.video_id == video.id), None)
    playable = service.sources.playable(video.uri) is not None
    return {
        "id": video.id,
        "name": video.label or (redact(video.uri) if "://" in video.uri else Path(video.uri).name),
        "session": session,
        "duration_s": None if video.duration_ns is None else round(video.duration_ns / NS_PER_S, 3),
        "width": video.width,
        "height": video.height,
        "has_audio": video.has_audio,
        "channels": list(video.channels),
        "media": f"/v1/videos/{video.id}/media" if playable else None,
    }
