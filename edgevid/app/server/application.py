"""The ASGI application: every path the server knows."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from edgevid.app.server import chat_api, errors, files_api, page_api, sessions_api, status_api, videos_api
from edgevid.app.server.guard import Guard
from edgevid.app.server.metrics import Counting
from edgevid.app.server.service import Service
from edgevid.core.errors import EdgevidError

ROUTES = (
    Route("/", page_api.page),
    Route("/page.css", page_api.style),
    Route("/page.js", page_api.script),
    Route("/icon.svg", page_api.icon),
    Route("/healthz", status_api.health),
    Route("/readyz", status_api.ready),
    Route("/metrics", status_api.metrics),
    Route("/openapi.json", status_api.openapi),
    Route("/v1/login", page_api.login, methods=["POST"]),
    Route("/v1/models", chat_api.models),
    Route("/v1/chat/completions", chat_api.completions, methods=["POST"]),
    Route("/v1/sources", files_api.sources),
    Route("/v1/sessions", sessions_api.listed, methods=["GET"]),
    Route("/v1/sessions", sessions_api.start, methods=["POST"]),
    Route("/v1/sessions/{session_id}", sessions_api.one, methods=["GET"]),
    Route("/v1/sessions/{session_id}", sessions_api.stop, methods=["DELETE"]),
    Route("/v1/sessions/{session_id}/stats", sessions_api.stats),
    Route("/v1/sessions/{session_id}/events", sessions_api.events),
    Route("/v1/sessions/{session_id}/ask", sessions_api.ask, methods=["POST"]),
    Route("/v1/sessions/{session_id}/frame.jpg", sessions_api.frame),
    Route("/v1/videos", videos_api.listed),
    Route("/v1/videos/{video_id}", videos_api.one),
    Route("/v1/videos/{video_id}/rows", videos_api.rows),
    Route("/v1/videos/{video_id}/ask", videos_api.ask, methods=["POST"]),
    Route("/v1/videos/{video_id}/media", files_api.media),
    Route("/v1/videos/{video_id}/frame.jpg", files_api.frame),
)


def create_app(service: Service) -> Starlette:
    """The application over ``service``."""
    app = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(Counting, metrics=service.metrics),
            Middleware(Guard, settings=service.settings),
        ],
        exception_handlers={
            errors.HttpError: errors.on_http_error,
            EdgevidError: errors.on_edgevid_error,
            HTTPException: errors.on_routing_error,
            Exception: errors.on_crash,
        },
    )
    app.state.service = service
    return app
