"""The listening socket: uvicorn with limits on connections and time, and an end that comes soon."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from edgevid.app.server.application import create_app
from edgevid.app.server.service import Service
from edgevid.app.server.settings import HttpLimits
from edgevid.core.errors import EdgevidError

_log = logging.getLogger("edgevid.serve")
_SEND_BUFFER = 128 << 10  # bytes the kernel holds for one reader; small, so that a slow one is noticed
_KEEP_ALIVE_S = 15
_DRAIN_S = 1  # replies that are being written may end, after event streams have been closed


def connection_class(limits: HttpLimits) -> type[H11Protocol]:
    """One HTTP/1.1 connection under ``limits``."""

    class Connection(H11Protocol):
        _head_timer: asyncio.TimerHandle | None = None
        _stall_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.write(
                    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                )
                transport.close()
                return
            with contextlib.suppress(OSError):
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER
                )
            self._time_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._time_head()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._time_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel(self._head_timer)
            self._cancel(self._stall_timer)
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stall_timer = self.loop.call_later(limits.stalled_s, self.transport.abort)

        def resume_writing(self) -> None:
            self._cancel(self._stall_timer)
            super().resume_writing()

        def _time_head(self) -> None:
            """A timer runs from the moment a request may begin until its headers are complete."""
            waiting = self.cycle is None or self.cycle.response_complete
            if waiting and self._head_timer is None:
                self._head_timer = self.loop.call_later(limits.head_s, self.transport.close)
            elif not waiting and self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        @staticmethod
        def _cancel(timer: asyncio.TimerHandle | None) -> None:
            if timer is not None:
                timer.cancel()

    return Connection


class Listener(uvicorn.Server):
    """Serves until SIGINT or SIGTERM, then closes event streams and drains the rest.

    Args:
        on_ready: called with the port once connections are accepted.
    """

    def __init__(self, service: Service, *, on_ready: Callable[[int], None]) -> None:
        limits = service.limits
        super().__init__(
            uvicorn.Config(
                create_app(service),
                host=service.settings.host,
                port=service.settings.port,
                http=connection_class(limits),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=limits.connections,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_DRAIN_S,
                h11_max_incomplete_event_size=limits.head_bytes,
            )
        )
        self._service = service
        self._on_ready = on_ready
        self.interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._service.watch_own()
        await super().startup(sockets=[self._bind()])
        self._on_ready(self.servers[0].sockets[0].getsockname()[1])

    def _bind(self) -> socket.socket:
        host, port = self.config.host, self.config.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Named as TCP, for asyncio sends small answers at once only on sockets it knows to be that.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
        except OSError as error:
            listening.close()
            raise EdgevidError(
                f"cannot listen on {host}:{port}: {error.strerror}", fix="--port 0 takes a free one"
            ) from error
        return listening

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.interrupted = sig == signal.SIGINT
        last_resort = threading.Timer(self._service.limits.shutdown_s, _leave, [sig])
        last_resort.daemon = True
        last_resort.start()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.stop()  # not in the signal handler, which may have interrupted who holds a lock
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn, but an asked-for end is an end, not death by that signal."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in old.items():
                signal.signal(sig, handler)


def serve(service: Service, *, on_ready: Callable[[int], None]) -> int:
    """Serve until told to stop; the exit code: 0, or 130 after Ctrl-C.

    Threads that hang in a driver or a network do not delay the end: ``limits.shutdown_s`` after the signal
    the process leaves. Rows are committed as they are seen, so none are lost.
    """
    listener = Listener(service, on_ready=on_ready)
    try:
        listener.run()
    finally:
        service.close(service.limits.shutdown_s)
    return 130 if listener.interrupted else 0


def _leave(sig: int) -> None:
    _log.warning("some work did not end in time")
    sys.stderr.flush()
    os._exit(130 if sig == signal.SIGINT else 0)
