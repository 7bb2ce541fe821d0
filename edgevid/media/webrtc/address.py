"""``webrtc://HOST:PORT``: where this machine waits for peers."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from edgevid.core.errors import UsageError

_FIX = "write webrtc://127.0.0.1:8889, or webrtc://0.0.0.0:8889 for other machines too"


def host_and_port(text: str) -> tuple[str, int]:
    """The two parts of an address; port 0 takes a free one. Errors: UsageError."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.path not in ("", "/"):
        raise UsageError(f"{text}: is no place to wait for WebRTC peers", fix=_FIX)
    return host, port


def page(text: str) -> str:
    """What to open in a browser on this machine."""
    host, port = host_and_port(text)
    shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"


def trusted(header: str, host: str) -> bool:
    """Whether a request's ``Host`` header names this machine as only its user would.

    A foreign page that lets its own name point here (DNS rebinding) sends that name.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
        if name not in ("localhost", host.lower()):
            ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
