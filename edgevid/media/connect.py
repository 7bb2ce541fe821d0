"""How each kind of live source is opened, and what is said when it cannot be.

Every function here may block for as long as the other side likes: FFmpeg is given time limits, but name
look-up and drivers know none. ``live.Receiver`` calls them in threads it can leave behind.
"""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.core.errors import BadInputError, MissingPartError, UsageError
from edgevid.core.limits import MediaLimits
from edgevid.media.container import allowed_formats, decoder_options, open_container
from edgevid.media.feed import Feed, Pacer
from edgevid.media.pipe import PipeReader, open_pipe, start_recorder
from edgevid.media.uri import Uri

if TYPE_CHECKING:
    from av.container import InputContainer

OPEN_S = 8.0
"""The longest a first connection may take until it gives a picture or sound."""
STALL_S = 4.0
"""A connection that says nothing for this long is given up."""

_SCREEN_FPS = 15
_SOUND_RATE = 48000
_PROBE_US = 300_000  # the size comes with the first picture; FFmpeg would wait for more to guess the rate
_RTSP_PROTOCOLS = "rtsp,rtp,tcp,udp,tls,crypto"


def connect(
    uri: Uri, *, limits: MediaLimits, threads: int, closing: threading.Event, start_ns: int = 0
) -> Feed:
    """Open ``uri``; ``kind`` "file" gives the file paced in real time from ``start_ns`` on.

    Args:
        closing: once set, waiting for a pipe ends.

    Errors: BadInputError, LimitError, MissingPartError, UsageError, in one line without passwords.
    """
    if uri.kind == "file":
        return _connect_file(uri, limits, threads, closing, start_ns)
    if uri.kind in ("pipe", "pulse"):
        return _connect_pipe(uri, limits, threads, closing)
    opened = {"rtsp": _open_rtsp, "device": _open_camera, "alsa": _open_alsa, "screen": _open_screen}
    return Feed.of(uri.text, opened[uri.kind](uri, limits), limits=limits, threads=threads)


def _connect_file(
    uri: Uri, limits: MediaLimits, threads: int, closing: threading.Event, start_ns: int
) -> Feed:
    from av.error import FFmpegError

    container = open_container(Path(uri.target), limits=limits)
    feed = Feed.of(uri.text, container, limits=limits, threads=threads)
    if start_ns:
        try:
            container.seek((start_ns + feed.base_ns) // 1000)
        except FFmpegError as error:
            feed.close()
            raise UsageError(
                f"{uri.text}: cannot start in the middle of this file", fix="start at 0 or convert it to mp4"
            ) from error
    feed.pacer = Pacer(closing, start_ns)
    return feed


def _connect_pipe(uri: Uri, limits: MediaLimits, threads: int, closing: threading.Event) -> Feed:
    import av
    from av.error import FFmpegError

    options: dict[str, Any] = {"container_options": {"format_whitelist": allowed_formats()}}
    if uri.kind == "pulse":
        reader = _record(uri, closing)
        options = {
            "format": "s16le",
            "container_options": {
                "sample_rate": str(_SOUND_RATE),
                "ch_layout": "mono",
                "analyzeduration": str(_PROBE_US),
            },
        }
    else:
        reader = PipeReader(open_pipe(uri.target), closing)
    if not reader.begins():
        reader.close()
        raise _explain_silence(uri, reader.complaint)
    try:
        container = av.open(
            reader, options=decoder_options(limits), metadata_errors="replace", buffer_size=4096, **options
        )
    except (FFmpegError, OSError, ValueError) as error:
        reader.close()
        raise BadInputError(
            f"{uri.text}: what comes is not a video or sound that can be read as a stream",
            fix="write MPEG-TS, Matroska, or mp4 with its index in front (faststart)",
        ) from error
    feed = Feed.of(uri.text, container, limits=limits, threads=threads, release=reader.close)
    if uri.kind == "pipe":
        feed.pacer = Pacer(closing, catches_up=False)
    return feed


def _record(uri: Uri, closing: threading.Event) -> PipeReader:
    if not shutil.which("parec"):
        raise MissingPartError(
            f"{uri.text}: recording from the sound server needs the program parec",
            fix="apt-get install pulseaudio-utils, or use alsa:default",
        )
    device = ["--device", uri.target] if uri.target else []
    form = ["--format=s16le", f"--rate={_SOUND_RATE}", "--channels=1", "--latency-msec=50"]
    return start_recorder(["parec", "--raw", *form, *device], closing)


def _explain_silence(uri: Uri, said: str) -> BadInputError:
    """Why a pipe ended before anything came; ``said``: the last words of the recorder."""
    if uri.kind == "pulse":
        return BadInputError(
            f"{uri.text}: no sound from this source{': ' if said else ''}{said}",
            fix="`pactl list short sources` lists what there is; is the sound server running?",
        )
    return BadInputError(f"{uri.text}: nothing came", fix="write a video into it, such as MPEG-TS or mkv")


def _open_rtsp(uri: Uri, limits: MediaLimits) -> InputContainer:
    import av
    from av.error import FFmpegError

    open_s = min(OPEN_S, limits.open_timeout_s)
    try:
        return av.open(
            uri.target,
            format="rtsp",
            options=decoder_options(limits),
            container_options={
                "rtsp_transport": "tcp",
                "timeout": str(round(STALL_S * 1e6)),
                "protocol_whitelist": _RTSP_PROTOCOLS,
                "analyzeduration": str(_PROBE_US),
                "fflags": "nobuffer",
            },
            metadata_errors="replace",
            timeout=(open_s, STALL_S),
        )
    except (FFmpegError, OSError, ValueError) as error:
        # FFmpeg's own text holds the address with its password: it must not be chained.
        raise explain_rtsp(uri, error) from None


def explain_rtsp(uri: Uri, error: Exception) -> BadInputError:
    """Why an RTSP source would not open, or broke."""
    from av import error as avs

    said = getattr(error, "strerror", None) or type(error).__name__
    reasons: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
        (
            (avs.HTTPUnauthorizedError, avs.HTTPForbiddenError),
            "the server wants other credentials (user name and password)",
            "write rtsp://USER:PASSWORD@HOST/PATH, special characters as %40 and so on",
        ),
        ((avs.HTTPNotFoundError,), "the server has no stream of this name", "check the path of the address"),
        ((ConnectionRefusedError,), "nothing listens there", "check host and port; is the camera on?"),
        (
            (TimeoutError, avs.ExitError),
            "gave no answer in time",
            "check host and port; is the camera on and reachable?",
        ),
        ((avs.HTTPError,), f"the server refuses: {said}", "check the address and the server's log"),
        (
            (avs.InvalidDataError,),
            "does not answer as an RTSP server does",
            "check port and path; cameras mostly listen on 554",
        ),
        ((avs.ProtocolNotFoundError,), "this build of FFmpeg cannot do it", "pip install --upgrade av"),
    )
    for kinds, what, fix in reasons:
        if isinstance(error, kinds):
            return BadInputError(f"{uri.text}: {what}", fix=fix)
    return BadInputError(f"{uri.text}: cannot be reached: {said}", fix="check host, port and network")


def _open_camera(uri: Uri, limits: MediaLimits) -> InputContainer:
    path = Path(uri.target)
    if not path.exists():
        raise MissingPartError(
            f"{uri.text}: no such camera", fix="connect it; `ls /dev/video*` lists cameras"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise MissingPartError(
            f"{uri.text}: you may not use this camera", fix="sudo usermod -aG video $USER, then log in again"
        )
    return _open_device(uri, uri.target, "video4linux2", limits, {})


def _open_alsa(uri: Uri, limits: MediaLimits) -> InputContainer:
    return _open_device(uri, uri.target or "default", "alsa", limits, {})


def _open_screen(uri: Uri, limits: MediaLimits) -> InputContainer:
    display = uri.target or os.environ.get("DISPLAY", "")
    if not display:
        raise MissingPartError(
            f"{uri.text}: there is no X display here", fix="set DISPLAY or write screen::0 (X11, not Wayland)"
        )
    return _open_device(uri, display, "x11grab", limits, {"framerate": str(_SCREEN_FPS)})


def _open_device(
    uri: Uri, name: str, driver: str, limits: MediaLimits, options: dict[str, str]
) -> InputContainer:
    import av
    from av.error import FFmpegError
    from av.format import ContainerFormat

    try:
        ContainerFormat(driver, "r")
    except ValueError:
        raise MissingPartError(
            f"{uri.text}: this build of FFmpeg has no {driver} input", fix="pip install --force-reinstall av"
        ) from None
    try:
        return av.open(
            name,
            format=driver,
            options=decoder_options(limits),
            container_options=options,
            timeout=(min(OPEN_S, limits.open_timeout_s), STALL_S),
        )
    except (FFmpegError, OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise MissingPartError(
            f"{uri.text}: {driver} cannot open it: {said}", fix="check that it is there and not in use"
        ) from error
