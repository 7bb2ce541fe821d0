"""Where peers come: an HTTP server that answers offers, and the connections it made, in one thread.

A peer posts its offer (``application/sdp``) and gets the answer, all candidates in it, as WHIP (RFC 9725) and
WHEP have it; DELETE of the ``Location`` hangs up. ``/`` is a page that does so in a browser. Names are never
looked up and no outside server is asked for addresses: peers meet on this machine or network.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.core.errors import MissingPartError, UsageError
from edgevid.media.webrtc.address import host_and_port, trusted

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from uvicorn import Server

_MAX_OFFER = 64 * 1024
_MAX_REQUESTS = 16
_OFFER_S, _CONNECT_S = 10.0, 15.0
_JOIN_S = 3.0
_SDP = "application/sdp"


class Endpoint:
    """Listens from its making on and answers from ``start`` on; ``close`` may be called from any thread.

    Args:
        address: ``webrtc://HOST:PORT``.
        verb: ``whip``, peers send; ``whep``, they receive.
        most: peers at a time.
        meet: called in the endpoint's thread for each peer, whose offer is known, before it is answered.
        left: called there when one has gone.
        title: of the session, in its description and on the page.

    Attributes:
        loop: where everything runs; ``port``: the one listened on.

    Raises:
        MissingPartError: the extra is not installed.
        UsageError: the address cannot be listened on.
    """

    def __init__(
        self,
        address: str,
        verb: str,
        *,
        most: int,
        meet: Callable[[RTCPeerConnection], None],
        left: Callable[[RTCPeerConnection], None],
        title: str = "edgevid",
    ) -> None:
        try:
            import aiortc  # noqa: F401
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingPartError(
                f"{address}: WebRTC needs {error.name}", fix="pip install 'edgevid[webrtc]'"
            ) from error
        self._host, port = host_and_port(address)
        self._verb, self._most, self._meet, self._left, self._title = verb, most, meet, left, title
        self._peers: dict[str, RTCPeerConnection] = {}
        self._socket = _listening(address, self._host, port)
        self.port: int = self._socket.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        self._server: Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._over = False
        self._thread = threading.Thread(target=self._run, name=f"webrtc {address}", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        with self._lock:
            if self._thread.ident is None and not self._over:
                self._thread.start()

    def close(self) -> None:
        """Hang up on everybody and end the thread. May be called again."""
        with self._lock:
            self._over = True
            started = self._thread.ident is not None
            if self._server is not None:
                self._server.should_exit = True
        if not started:
            self._socket.close()
            if not self.loop.is_closed():
                self.loop.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` beside; in the endpoint's thread only. It is cancelled at the end, if not before."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    async def _serve(self) -> None:
        import uvicorn

        config = uvicorn.Config(
            self._application(),
            lifespan="off",
            log_config=None,
            access_log=False,
            limit_concurrency=_MAX_REQUESTS,
            timeout_keep_alive=2,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        with self._lock:
            self._server = server
            server.should_exit = self._over
        try:
            await server.serve(sockets=[self._socket])
        finally:
            self._socket.close()
            await asyncio.gather(*(self._hang_up(name) for name in list(self._peers)))
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _application(self) -> Starlette:
        from starlette.applications import Starlette
        from starlette.routing import Route

        return Starlette(
            routes=[
                Route("/", self._page),
                Route(f"/{self._verb}", self._offered, methods=["POST"]),
                Route(f"/{self._verb}/{{name}}", self._gone, methods=["DELETE"]),
            ]
        )

    async def _page(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse

        text = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace("{verb}", self._verb).replace("{title}", escape(self._title)))

    async def _offered(self, request: Request) -> Response:
        from starlette.requests import ClientDisconnect
        from starlette.responses import PlainTextResponse

        if not trusted(request.headers.get("host", ""), self._host):
            return PlainTextResponse("this name does not belong to this server\n", 403)
        if request.headers.get("content-type", "").partition(";")[0].strip() != _SDP:
            return PlainTextResponse(f"send an offer as {_SDP}\n", 415)
        offer = b""
        try:
            async with asyncio.timeout(_OFFER_S):
                async for piece in request.stream():
                    offer += piece
                    if len(offer) > _MAX_OFFER:
                        return PlainTextResponse("the offer is too long\n", 413)
        except TimeoutError:
            return PlainTextResponse("the offer took too long\n", 408)
        except ClientDisconnect:
            return PlainTextResponse("the offer is cut off\n", 400)
        if len(self._peers) >= self._most:
            return PlainTextResponse(f"{self._most} are connected, which is all there is room for\n", 503)
        name = secrets.token_urlsafe(9)
        try:
            answer = await self._answer(name, offer.decode())
        except Exception as error:  # whatever a parser makes of bytes from outside
            await self._hang_up(name)
            said = str(error).partition("\n")[0] or type(error).__name__
            return PlainTextResponse(f"no connection comes of this offer: {said}\n", 400)
        headers = {"Location": f"/{self._verb}/{name}"}
        return PlainTextResponse(answer, 201, headers=headers, media_type=_SDP)

    async def _gone(self, request: Request) -> Response:
        from starlette.responses import PlainTextResponse

        name = request.path_params["name"]
        if name not in self._peers:
            return PlainTextResponse("nobody of this name is connected\n", 404)
        await self._hang_up(name)
        return PlainTextResponse("")

    async def _answer(self, name: str, offer: str) -> str:
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

        peer = self._peers[name] = RTCPeerConnection(RTCConfiguration(iceServers=[]))

        async def changed() -> None:
            if peer.connectionState in ("failed", "closed"):
                await self._hang_up(name)

        peer.on("connectionstatechange", changed)
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self._meet(peer)
        await peer.setLocalDescription(await peer.createAnswer())
        self.spawn(self._expect(name, peer))
        return str(peer.localDescription.sdp).replace("\ns=-\r\n", f"\ns={self._title}\r\n", 1)

    async def _expect(self, name: str, peer: RTCPeerConnection) -> None:
        """Who does not come after the answer is forgotten."""
        await asyncio.sleep(_CONNECT_S)
        if peer.connectionState != "connected":
            await self._hang_up(name)

    async def _hang_up(self, name: str) -> None:
        peer = self._peers.pop(name, None)
        if peer is None:
            return
        self._left(peer)
        with suppress(Exception):  # aiortc trips over what a broken offer left half made
            await peer.close()


def _listening(address: str, host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{address}: cannot be listened on: {said}", fix="name another port") from None
