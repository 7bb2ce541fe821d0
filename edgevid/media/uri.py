"""The URI grammar: what a user may name as a source, and which files that means.

================================  =====================================================================
``clip.mp4``, ``file:///a/b.mp4``  one file
``frames/`` (a folder)             a folder of pictures is one image sequence; a folder with any video or
                                   sound file stands for those files, in natural order
``frames/*.png``                   a glob: the same rule over the matching files
``frames/img_%04d.png``            a printf pattern: the existing files with a number there, in number order
``rtsp://``, ``rtsps://``          a network camera or server
``/dev/videoN``                    a camera
``mic:``                           the usual microphone
``pulse:NAME``, ``alsa:NAME``      a sound source by name
``screen:``, ``screen::1``         an X11 display
``-``, ``pipe:``, a FIFO           a stream of any container format from standard input or a named pipe
``webrtc://HOST:PORT``             waits there for a browser or another peer that sends (``edgevid[webrtc]``)
================================  =====================================================================

A path that exists is always taken as that path, whatever characters it holds.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from edgevid.core.errors import BadInputError, UsageError

UriKind = Literal[
    "file", "folder", "glob", "printf", "rtsp", "device", "pulse", "alsa", "screen", "pipe", "webrtc"
]
_LIVE_KINDS: frozenset[UriKind] = frozenset(("rtsp", "device", "pulse", "alsa", "screen", "pipe", "webrtc"))

IMAGE_SUFFIXES = frozenset("png jpg jpeg bmp webp tif tiff ppm pgm pbm pam qoi jp2 dpx exr tga".split())
MEDIA_SUFFIXES = frozenset(
    "mp4 m4v mov qt mkv webm avi flv f4v mpg mpeg mpe vob ts m2ts mts 3gp 3g2 ogv ogg asf wmv mxf nut ivf "
    "gif apng y4m dv rm rmvb wtv h264 264 avc h265 265 hevc obu mjpg mjpeg "
    "wav w64 mp3 m4a aac flac oga opus wma aiff aif au caf mka ac3 amr".split()
)

_PRINTF = re.compile(r"%(0\d+)?d")
_DEVICE = re.compile(r"/dev/video\d+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_USER = re.compile(r"(?<=://)[^/?#]*@")
_SECRET = re.compile(r"(?i)([?&;/][^?&;=/]*(?:user|login|pass|pwd|token|key|secret|auth)[^?&;=/]*=)[^&;#/]*")
_REFUSED_SCHEMES = {
    "http": "download the file first and name the local copy",
    "https": "download the file first and name the local copy",
}


@dataclass(frozen=True, slots=True)
class Uri:
    """A source as the user wrote it.

    Attributes:
        text: the user's own words without passwords, for messages.
        kind: see the table above.
        target: the path, device or display, or the whole address, which may hold a password; "" for the
            usual one.
    """

    text: str
    kind: UriKind
    target: str = field(repr=False)

    @property
    def live(self) -> bool:
        """Whether the source does not wait for its reader."""
        return self.kind in _LIVE_KINDS


def parse_uri(text: str | Path) -> Uri:
    """Classify ``text``; looks at the disk only to see whether the path exists.

    Errors: UsageError for an empty text or a scheme that is not read.
    """
    raw = str(text)
    if not raw.strip() or "\0" in raw:
        raise UsageError("the source is empty", fix="name a video file, a folder or an rtsp:// address")
    if _DEVICE.fullmatch(raw):
        return Uri(raw, "device", raw)
    if raw in ("-", "pipe:"):
        return Uri("standard input", "pipe", "")
    if _exists(raw):
        return Uri(raw, _kind_of_path(Path(raw)), raw)
    scheme = _SCHEME.match(raw)
    if scheme:
        return _parse_address(raw, scheme.group(1).lower())
    if _PRINTF.search(Path(raw).name):
        return Uri(raw, "printf", raw)
    if any(mark in raw for mark in "*?["):
        return Uri(raw, "glob", raw)
    return Uri(raw, "file", raw)


def _exists(raw: str) -> bool:
    try:
        return Path(raw).exists()
    except (OSError, ValueError):
        return False


def _kind_of_path(path: Path) -> UriKind:
    try:
        mode = path.stat().st_mode
    except OSError:
        return "file"
    return "folder" if stat.S_ISDIR(mode) else "pipe" if stat.S_ISFIFO(mode) else "file"


def _parse_address(raw: str, scheme: str) -> Uri:
    rest = raw.partition(":")[2]
    if scheme == "file":
        parts = urlsplit(raw)
        if parts.netloc not in ("", "localhost"):
            raise UsageError(f"{raw}: file:// names another machine", fix="write file:///absolute/path")
        path = unquote(parts.path)
        return Uri(raw, _kind_of_path(Path(path)), path)
    if scheme in ("rtsp", "rtsps"):
        if not re.match(r"//([^/]*@)?[^/@?]+([/?]|$)", rest):
            raise UsageError(f"{redact(raw)}: names no host", fix="write rtsp://HOST:554/PATH")
        return Uri(redact(raw), "rtsp", raw)
    if raw == "mic:":
        return Uri(raw, "pulse", "")
    if scheme in ("pulse", "alsa"):
        return Uri(raw, "pulse" if scheme == "pulse" else "alsa", rest)
    if scheme == "screen":
        return Uri(raw, "screen", rest)
    if scheme == "webrtc":
        return Uri(raw, "webrtc", raw)
    fix = _REFUSED_SCHEMES.get(scheme, "use a file path, file://, rtsp://, /dev/videoN, mic: or screen:")
    raise UsageError(f"{redact(raw)}: addresses of the kind {scheme}: are not read", fix=fix)


def is_live(uri: str | Path) -> bool:
    """Whether ``uri`` names a source that does not wait for its reader. Errors: UsageError."""
    return parse_uri(uri).live


def redact(text: str) -> str:
    """An address without user name, password or tokens: for messages, rows and logs."""
    return _SECRET.sub(r"\1***", _USER.sub("", text))


def printable(name: str) -> str:
    """A file name, which may be any bytes, as text that can be stored and sent."""
    return name.encode("utf-8", "backslashreplace").decode()


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts ``img2`` before ``img10``."""
    parts = re.split(r"(\d+)", path.name)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)


@dataclass(frozen=True, slots=True)
class Listing:
    """The files behind a Uri: either media files (each its own source) or the pictures of one sequence."""

    media: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()


def list_files(uri: Uri) -> Listing:
    """Resolve a local Uri to files.

    Errors: UsageError for live kinds; BadInputError for a missing path, a folder or pattern without
    media.
    """
    if uri.live:
        raise UsageError(f"{uri.text}: a live source has no files", fix="open it with open_source")
    if uri.kind == "file":
        return Listing(media=(Path(uri.target),))
    if uri.kind == "folder":
        found = _children(Path(uri.target), uri)
    elif uri.kind == "printf":
        return Listing(images=_printf_files(uri))
    else:
        found = _glob_files(uri)
    media = tuple(p for p in found if p.suffix[1:].lower() in MEDIA_SUFFIXES)
    if media:
        return Listing(media=media)
    images = tuple(p for p in found if p.suffix[1:].lower() in IMAGE_SUFFIXES)
    if not images:
        what = "folder" if uri.kind == "folder" else "pattern"
        raise BadInputError(
            f"{uri.text}: no video, sound or picture file in this {what}", fix="check the path"
        )
    return Listing(images=images)


def _children(folder: Path, uri: Uri) -> list[Path]:
    try:
        return sorted((p for p in folder.iterdir() if p.is_file() and p.name[0] != "."), key=natural_key)
    except OSError as error:
        raise BadInputError(
            f"{uri.text}: {error.strerror}", fix="check the path and its permissions"
        ) from error


def _glob_files(uri: Uri) -> list[Path]:
    import glob

    return sorted((Path(p) for p in glob.glob(uri.target) if Path(p).is_file()), key=natural_key)  # noqa: PTH207


def _printf_files(uri: Uri) -> tuple[Path, ...]:
    pattern = Path(uri.target)
    number = _PRINTF.search(pattern.name)
    assert number is not None
    width = int(number.group(1) or 0)
    head, tail = re.escape(pattern.name[: number.start()]), re.escape(pattern.name[number.end() :])
    name = re.compile(rf"{head}(\d{{{max(1, width)},}}){tail}")
    if not pattern.parent.is_dir():
        raise BadInputError(f"{uri.text}: no such folder", fix="check the path")
    found = [p for p in _children(pattern.parent, uri) if name.fullmatch(p.name)]
    if not found:
        raise BadInputError(f"{uri.text}: no file matches this pattern", fix="check the path")
    return tuple(found)
