"""/v1/sessions: start, follow, ask and stop what is being watched."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgevid.app.server import sse
from edgevid.app.server.errors import HttpError, bad_request
from edgevid.app.server.fields import Fields, json_body
from edgevid.app.server.preview import encode_jpeg, with_boxes
from edgevid.app.server.requests import MOST_S, answered, kinds_of, question_of, service_of, streaming
from edgevid.app.server.service import Service
from edgevid.app.server.session import Plan, ServedSession, Shown
from edgevid.core.nouns import KINDS

_FIELDS = ("source", "fps", "channels", "start_s", "end_s", "live", "label")


async def listed(request: Request) -> Response:
    """All sessions, newest first."""
    sessions = service_of(request).sessions.listed()
    return JSONResponse({"sessions": [session.to_json() for session in sessions]})


async def start(request: Request) -> Response:
    """Watch a source; 201 as soon as it is open."""
    service = service_of(request)
    fields = await json_body(request, service.limits)
    session = await service.sessions.start(await _plan(fields, service))
    location = f"/v1/sessions/{session.id}"
    return JSONResponse(session.to_json(), 201, headers={"location": location})


async def one(request: Request) -> Response:
    """One session."""
    return JSONResponse(_session(request).to_json())


async def stats(request: Request) -> Response:
    """Counts, rates and per-stage latencies."""
    session = _session(request)
    line = await service_of(request).run("look", session.stats)
    return JSONResponse({"session": session.id, "state": session.state, "stats": line})


async def events(request: Request) -> Response:
    """Event stream; ``Last-Event-ID`` (or ``?after=``) resumes it."""
    session = _session(request)
    text = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise bad_request("Last-Event-ID must be the id of an event", param="after")
    return await streaming(request, sse.follow(session.journal, int(text)))


async def ask(request: Request) -> Response:
    """Answer a question from what this session has seen so far."""
    session = _session(request)
    question = await question_of(request)
    if session.video_id is None:
        raise HttpError(409, "nothing_seen", "nothing has been seen yet", fix="ask again in a moment")
    answer = await service_of(request).ask(session.video_id, question)
    return JSONResponse(answered(answer, session.video_id))


async def stop(request: Request) -> Response:
    """Stop and forget a session; its rows stay in memory."""
    service_of(request).sessions.drop(request.path_params["session_id"])
    return Response(status_code=204)


async def frame(request: Request) -> Response:
    """The newest frame, 204 before the first; ``?overlay=1`` draws boxes around what is seen."""
    session, service = _session(request), service_of(request)
    overlay = request.query_params.get("overlay", "0")
    if overlay not in ("0", "1"):
        raise bad_request("overlay must be 0 or 1", param="overlay")
    shown = session.shown
    if shown is None:
        return Response(status_code=204)
    tag = f'"{session.id}-{shown.frame.pts_ns}-{overlay}"'
    headers = {"etag": tag, "x-edgevid-time": f"{shown.frame.pts_ns / 1e9:.3f}"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    jpeg = await service.run("look", partial(_jpeg, shown, overlay == "1"))
    return Response(jpeg, media_type="image/jpeg", headers=headers)


def _jpeg(shown: Shown, overlay: bool) -> bytes:
    image = shown.frame.image
    return encode_jpeg(with_boxes(image, shown.seen) if overlay else image)


async def _plan(fields: Fields, service: Service) -> Plan:
    fields.only(_FIELDS)
    channels = fields.words("channels", most=len(KINDS), chars=16)
    start_s = fields.number("start_s", 0.0, low=0, high=MOST_S)
    end_s = fields.number("end_s", MOST_S, low=0, high=MOST_S) if "end_s" in fields else None
    if end_s is not None and end_s <= start_s:
        raise bad_request("end_s must be after start_s", param="end_s")
    live = fields.flag("live")
    source = await service.allowed(fields.text("source"))
    return Plan(
        source=source,
        fps=fields.number("fps", service.settings.fps, low=0.01, high=60),
        channels=kinds_of(channels, param="channels") if channels else None,
        start_s=start_s,
        end_s=end_s,
        live=live or source.live,
        label=fields.text("label", most=100) if "label" in fields else None,
    )


def _session(request: Request) -> ServedSession:
    return service_of(request).sessions.get(request.path_params["session_id"])
