"""A dub as a file: pictures, the dub, on request the original sound and the subtitles as further tracks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

import numpy as np

from edgevid.core.errors import UsageError
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.subtitles import Caption
from edgevid.media.encode import VideoWriter

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.stream import Stream
    from av.subtitles.stream import SubtitleStream

TAG = "AI-dubbed"
"""In the file's comment, whoever looks at it with whatever program."""

_ISO_639_2 = {
    "auto": "und",
    "en": "eng",
    "es": "spa",
    "ca": "cat",
    "eo": "epo",
    "fr": "fra",
    "de": "deu",
    "pt": "por",
}
_TEXT_CODECS = {
    ".mp4": "mov_text",
    ".m4v": "mov_text",
    ".mov": "mov_text",
    ".mkv": "subrip",
    ".webm": "webvtt",
}
# Encoders of text want the header of the format FFmpeg keeps subtitles in, though none of it is used here.
_HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
_MS = Fraction(1, 1000)


def dub_tags(language: str, *, lips: bool) -> dict[str, str]:
    """What every output of a dub says of itself, in its comment and, live, in the name of the session.

    Args:
        lips: the pictures are changed too.
    """
    made = "speech translated and synthesised" + (", lip movements generated" if lips else "")
    title = f"{TAG} ({language})"
    return {"title": title, "comment": f"{title}: {made}, by edgevid"}


class DubWriter(VideoWriter):
    """``VideoWriter`` with the tracks of a dub, tagged as one.

    Args:
        language, original_language: ISO 639-1 codes of the tracks.
        original: keep the original sound as the second track.
        subtitles: have a track for ``write_caption``.
        lips: the pictures are changed too, which the tag says.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        fps: float,
        sample_rate: int,
        language: str,
        original_language: str,
        original: bool,
        subtitles: bool,
        lips: bool,
    ) -> None:
        if subtitles and path.suffix.lower() not in _TEXT_CODECS:
            raise UsageError(f"{path}: holds no subtitles", fix="use .mp4 or .mkv")
        metadata = {"comment": dub_tags(language, lips=lips)["comment"]}
        super().__init__(
            path, width=width, height=height, fps=fps, sample_rate=sample_rate, metadata=metadata
        )
        self._suffix = path.suffix.lower()
        self._languages = language, original_language
        self._wants_original, self._wants_subtitles = original, subtitles
        self._original_samples = 0

    def _add_audio(self) -> AudioStream:
        dub = super()._add_audio()
        _name(dub, self._languages[0], f"{TAG} ({self._languages[0]})")
        if self._wants_original:
            self._original = super()._add_audio()
            _name(self._original, self._languages[1], "original")
        if self._wants_subtitles:
            text = self._container.add_stream(_TEXT_CODECS[self._suffix])
            self._text = cast("SubtitleStream", text)
            self._text.codec_context.subtitle_header = _HEADER
            self._text.time_base = _MS
            _name(self._text, self._languages[0], "subtitles")
        return dub

    def write_original(self, samples: Floats) -> None:
        """Add float32 [n] mono samples of the original; gapless from time 0 as ``write_audio``."""
        from av.audio.frame import AudioFrame

        clipped = np.clip(samples, -1.0, 1.0).astype(np.float32).reshape(1, -1)
        frame = AudioFrame.from_ndarray(clipped, format="flt", layout="mono")
        frame.sample_rate, frame.pts = cast(int, self._sample_rate), self._original_samples
        frame.time_base = Fraction(1, frame.sample_rate)
        self._original_samples += samples.size
        self._mux(self._original, frame)

    def write_caption(self, caption: Caption) -> None:
        """Add the next subtitle."""
        from av.packet import Packet

        text = caption.text.encode()
        # mov_text: a length of two bytes before the text (ISO/IEC 14496-17); the others are bare text.
        packet = Packet(
            len(text).to_bytes(2, "big") + text if self._suffix in (".mp4", ".m4v", ".mov") else text
        )
        packet.stream, packet.time_base = self._text, _MS
        packet.pts = packet.dts = caption.start_ns // 1_000_000
        packet.duration = max(1, (caption.end_ns - caption.start_ns) // 1_000_000)
        self._container.mux(packet)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._wants_original:
                self._mux(self._original, None)
        except BaseException as failure:
            super().__exit__(type(failure), failure, failure.__traceback__)
            raise
        super().__exit__(kind, error, trace)


def _name(stream: Stream, language: str, title: str) -> None:
    stream.metadata["language"] = _ISO_639_2.get(language, language)
    stream.metadata["title"] = stream.metadata["handler_name"] = title
