"""Opening a local file through FFmpeg without trusting a byte of it.

Three walls, all up before anything is decoded:
  1. the file itself: a regular file, not empty, within ``max_bytes``; a picture's own header within
     ``max_pixels``;
  2. the demuxer: formats that open further files or addresses (playlists, concat scripts, SDP, ...), capture
     devices and text are switched off. A protocol whitelist alone is not enough: an HLS playlist may still
     name any local file;
  3. the decoder: ``max_pixels`` goes in at open, so an oversized picture is refused, not allocated.
"""

from __future__ import annotations

import functools
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.core.errors import BadInputError, LimitError
from edgevid.core.limits import MediaLimits
from edgevid.media.picture_header import declared_size

if TYPE_CHECKING:
    from av.container import InputContainer

_HEAD_BYTES = 4096

_REFUSED_FORMATS = frozenset(
    # open further files or addresses
    "hls dash concat imf image2pipe sdp rtsp rtp sap lavfi mlv vobsub webm_dash_manifest avisynth "
    "vapoursynth dvdvideo libopenmpt libgme svg_pipe "
    # text, and formats that would accept anything
    "tty ass srt webvtt lrc stl subviewer subviewer1 microdvd mpl2 mpsub jacosub sami realtext pjs vplayer "
    "aqtitle scc mcc sbg tedcaptions ffmetadata txd bin xbin adf idf data rawvideo".split()
)


def check_pixels(name: str, width: int, height: int, limits: MediaLimits) -> None:
    """Raise LimitError if a picture of this size is larger than ``limits`` allows."""
    if width * height > limits.max_pixels:
        raise LimitError(
            f"{name}: a picture of {width}x{height} is over the limit of {limits.max_pixels} pixels",
            fix="scale it down first or raise max_pixels",
        )


def open_container(path: Path, *, limits: MediaLimits) -> InputContainer:
    """Open ``path`` for reading within ``limits``.

    Errors: BadInputError (LimitError for a limit) naming the file, the reason and the fix.
    """
    head = _check_file(path, limits)
    size = declared_size(head)
    if size is not None:
        check_pixels(str(path), *size, limits)
    import av
    from av.error import FFmpegError

    try:
        container = av.open(
            f"file:{path.absolute()}",
            mode="r",
            options=decoder_options(limits),
            container_options={
                "format_whitelist": allowed_formats(),
                "protocol_whitelist": "file",
                "pattern_type": "none",
            },
            metadata_errors="replace",
            timeout=limits.open_timeout_s,
        )
    except (FFmpegError, OSError, ValueError) as error:
        raise _explain(path, head, error) from error
    if not len(container.streams):
        container.close()
        raise _explain(path, head, None)
    return container


def decoder_options(limits: MediaLimits) -> dict[str, str]:
    """Options every decoder must be opened with."""
    return {"max_pixels": str(limits.max_pixels)}


@functools.cache
def allowed_formats() -> str:
    """FFmpeg's ``format_whitelist``: every format that reads only the bytes it is given."""
    import av
    from av.format import ContainerFormat

    names = []
    for name in sorted(av.formats_available):
        try:
            form = ContainerFormat(name, "r")
        except ValueError:
            continue
        if form.is_input and not form.no_file and name not in _REFUSED_FORMATS:
            names.append(name)
    # FFmpeg picks image2 for pictures by suffix; with pattern_type=none it reads the one file it is given.
    return ",".join([*names, "image2"])


def _check_file(path: Path, limits: MediaLimits) -> bytes:
    """The first bytes of a file that may be opened."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInputError(f"{path}: not a regular file", fix="name a video, sound or picture file")
        if status.st_size == 0:
            raise BadInputError(f"{path}: the file is empty", fix="record or copy it again")
        if status.st_size > limits.max_bytes:
            raise LimitError(
                f"{path}: {status.st_size} bytes is over the limit of {limits.max_bytes} bytes",
                fix="cut the file or raise max_bytes",
            )
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except FileNotFoundError as error:
        raise BadInputError(f"{path}: no such file", fix="check the path") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInputError(f"{path}: {reason}", fix="check the path and its permissions") from error


def _explain(path: Path, head: bytes, error: Exception | None) -> BadInputError:
    """What is wrong with a file FFmpeg would not open."""
    from av.error import ExitError

    if head.startswith((b"#EXTM3U", b"ffconcat", b"v=0")) or b"<MPD" in head:
        return BadInputError(
            f"{path}: this is a playlist, not a video; playlists are not followed",
            fix="name the video files themselves",
        )
    if not any(head):
        return BadInputError(f"{path}: the file holds only zeros", fix="record or copy it again")
    if re.search(rb"^.{4}(ftyp|moov|mdat|wide|free)", head, re.DOTALL):
        return BadInputError(
            f"{path}: the index (moov) of this mp4 is missing, damaged or empty: the recording was cut off",
            fix="record or copy it again, or rebuild the index with a repair tool",
        )
    if _is_text(head):
        return BadInputError(f"{path}: this is a text file, not a video", fix="name a video file")
    if isinstance(error, ExitError | TimeoutError):
        return BadInputError(f"{path}: gave no answer in time", fix="check the disk or raise open_timeout_s")
    return BadInputError(
        f"{path}: not a video, sound or picture file that can be read",
        fix="check that it plays in a video player, or convert it to mp4",
    )


def _is_text(head: bytes) -> bool:
    """Whether ``head`` is plain text: valid UTF-8 but for a cut last character, without control codes."""
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < _HEAD_BYTES else "ignore")
    except UnicodeDecodeError:
        return False
    return all(ch.isprintable() or ch in "\t\r\n\f" for ch in text)
