"""Subtitle files and tracks: times, line breaks, escaping; read back by FFmpeg."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from edgevid.core.errors import UsageError
from edgevid.lipsync.dub_writer import DubWriter
from edgevid.lipsync.flow import Line
from edgevid.lipsync.nouns import Clause
from edgevid.lipsync.subtitles import captions, to_text, write_subtitles

_S = 1_000_000_000


def _spoken(start_s: float, seconds: float, text: str) -> Line:
    clause = Clause(0, 0, "", "en", round(start_s * _S), round((start_s + seconds) * _S))
    return Line(clause, text, clause.start_ns, clause.end_ns)


def test_a_short_line_is_shown_a_second_unless_the_next_one_comes() -> None:
    lines = list(captions([_spoken(1, 0.3, "Sí."), _spoken(1.5, 0.2, "No."), _spoken(9, 4, "Adiós.")]))
    assert [(c.start_ns, c.end_ns) for c in lines] == [
        (1 * _S, round(1.5 * _S)),
        (round(1.5 * _S), round(2.5 * _S)),
        (9 * _S, 13 * _S),
    ]


def test_long_text_is_broken_into_lines_of_about_equal_length() -> None:
    text = "Buenos días a todos ustedes, me gustaría enseñarles hoy mi casa y su puerta roja"
    (caption,) = captions([_spoken(0, 3, text)])
    lines = caption.text.split("\n")
    assert " ".join(lines) == text and len(lines) == 2
    assert max(map(len, lines)) - min(map(len, lines)) < 12


def test_files() -> None:
    lines = list(captions([_spoken(3661.5, 2, "a < b & c")]))
    assert to_text(".srt", lines) == "1\n01:01:01,500 --> 01:01:03,500\na < b & c\n"
    assert to_text(".vtt", lines) == "WEBVTT\n\n01:01:01.500 --> 01:01:03.500\na &lt; b &amp; c\n"
    assert to_text(".vtt", []) == "WEBVTT\n\n"
    with pytest.raises(UsageError, match=r"\.vtt"):
        to_text(".txt", lines)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_tracks_are_read_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"dub{suffix}"
    spoken = [_spoken(0.2, 0.5, "Hola señor"), _spoken(0.8, 1, "Adiós")]
    tone = np.sin(np.arange(96_000) / 15).astype(np.float32)
    writer = DubWriter(
        path,
        width=64,
        height=48,
        fps=10,
        sample_rate=48_000,
        language="es",
        original_language="en",
        original=True,
        subtitles=True,
        lips=False,
    )
    with writer:
        for _ in range(20):
            writer.write(np.zeros((48, 64, 3), np.uint8))
        writer.write_audio(0.1 * tone)
        writer.write_original(0.3 * tone)
        for caption in captions(spoken):
            writer.write_caption(caption)
    with av.open(str(path)) as container:
        assert [s.type for s in container.streams] == ["video", "audio", "audio", "subtitle"]
        texts = [
            bytes(packet)[2 if suffix != ".mkv" else 0 :].decode()
            for packet in container.demux(subtitles=0)
            if packet.size > 2
        ]
    assert texts == ["Hola señor", "Adiós"]
    levels = []
    for track in (0, 1):
        with av.open(str(path)) as container:
            frames = [f.to_ndarray() for f in container.decode(audio=track)]
        levels.append(float(np.concatenate(frames, axis=1).std()) * 2**0.5)
    assert levels == pytest.approx([0.1, 0.3], abs=0.02)


def test_writing_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    write_subtitles(path, [_spoken(0, 1, "Hola")])
    assert "Hola" in path.read_text()
    with pytest.raises(UsageError):
        write_subtitles(tmp_path / "a.doc", [])
    assert list(tmp_path.iterdir()) == [path]
