"""Health, metrics and the description of the API."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgevid import __version__
from edgevid.app.server.metrics import CONTENT_TYPE
from edgevid.app.server.requests import service_of


async def health(request: Request) -> Response:
    """The event loop turns."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Questions can be answered now."""
    await service_of(request).ready()
    return JSONResponse({"status": "ready"})


async def metrics(request: Request) -> Response:
    """For Prometheus."""
    service = service_of(request)
    return Response(await service.run("look", service.metrics.text), headers={"content-type": CONTENT_TYPE})


async def openapi(request: Request) -> Response:
    """OpenAPI 3.1."""
    return Response(_document(), media_type="application/json")


@cache
def _document() -> bytes:
    document = json.loads(files("edgevid.app.server").joinpath("openapi.json").read_text())
    document["info"]["version"] = __version__
    return json.dumps(document).encode()
