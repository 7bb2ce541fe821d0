"""Files clients may read: which there are, their bytes for playing, single frames of them."""

from __future__ import annotations

from functools import partial
from mimetypes import guess_type
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from edgevid.app.server.errors import HttpError
from edgevid.app.server.preview import encode_jpeg
from edgevid.app.server.requests import seconds_in_query, service_of, video_of
from edgevid.core.errors import EdgevidError
from edgevid.media.source import open_source

_FRAME_SIDE = 960


async def sources(request: Request) -> Response:
    """Media files under the roots, and whether live addresses may be named."""
    service = service_of(request)
    found = await service.run("look", partial(service.sources.listed, service.limits.files))
    return JSONResponse(
        {
            "sources": found,
            "sample": service.store.status("sample-video").installed,
            "live": service.settings.allow_live,
        }
    )


async def media(request: Request) -> Response:
    """The file a video came from, in ranges (RFC 9110, 14)."""
    path = _path(request)
    return FileResponse(path, media_type=guess_type(path.name)[0] or "application/octet-stream")


async def frame(request: Request) -> Response:
    """The picture at ``?t_s=``, for files a browser cannot play."""
    service, path = service_of(request), _path(request)
    t_s = seconds_in_query(request, "t_s") or 0.0
    jpeg = await service.run("look", partial(_frame_at, path, t_s))
    if jpeg is None:
        raise HttpError(404, "no_frame", f"no picture at {t_s:g} s")
    return Response(jpeg, media_type="image/jpeg")


def _path(request: Request) -> Path:
    video = video_of(request)
    path = service_of(request).sources.playable(video.uri)
    if path is None:
        raise HttpError(404, "no_media", "the file of this video is not one this server may read")
    return path


def _frame_at(path: Path, t_s: float) -> bytes | None:
    try:
        with open_source(path) as source:
            found = next(source.frames(fps=1.0, start_s=t_s, max_side=_FRAME_SIDE), None)
            return encode_jpeg(found.image) if found is not None else None
    except EdgevidError as error:
        error.message = error.message.replace(str(path), path.name)
        raise
