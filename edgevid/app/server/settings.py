"""What the user set, and the bounds of everything a client can make the server hold or do."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from edgevid.core.limits import MediaLimits


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds per connection, per request and in all.

    Attributes:
        connections: open at once; further ones get 503 and are closed.
        head_bytes, head_s: request line and headers, and how long they may take from the first moment on.
        body_bytes, body_s: JSON body, and how long it may take.
        stalled_s: a reader that takes nothing for this long is cut off.
        sessions: watching at once.
        finished: sessions that have ended and are still listed; the oldest leave first.
        streams: event streams and streamed replies open at once.
        events: newest events of a session that a late reader can still get.
        question_chars, messages: of one question or chat.
        max_tokens: of one reply.
        picture_bytes: one encoded picture in a chat.
        files: media files listed per root.
        shutdown_s: from SIGTERM to the end of the process, whatever still runs.
    """

    connections: int = 256
    head_bytes: int = 16 << 10
    head_s: float = 10.0
    body_bytes: int = 12 << 20
    body_s: float = 30.0
    stalled_s: float = 30.0
    sessions: int = 4
    finished: int = 64
    streams: int = 64
    events: int = 1024
    question_chars: int = 2000
    messages: int = 256
    max_tokens: int = 2048
    picture_bytes: int = 8 << 20
    files: int = 500
    shutdown_s: float = 2.5


PICTURE_LIMITS = MediaLimits(max_pixels=4096 * 4096, max_bytes=8 << 20)
"""What the media room may spend on a picture from a chat."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of ``edgevid serve``.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        token: what clients must show; None only on a loopback address.
        allowed_hosts: names besides this machine's own that a request's Host may carry.
        roots: folders whose files clients may watch and play.
        allow_live: clients may name ``rtsp://`` addresses and ``/dev/videoN``.
        memory: file that keeps the timelines; None = RAM.
        llm: "demo", a GGUF file, or None.
        sources: watched from the start.
        fps: default rate of looking.
        threads: cores that all sessions share; 0 = all.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()
    allow_live: bool = False
    memory: Path | None = None
    llm: str | None = None
    sources: tuple[str, ...] = ()
    fps: float = 2.0
    threads: int = 0
    limits: HttpLimits = field(default_factory=HttpLimits)

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address, without brackets) can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
