"""Sound that breaks at its very end: counted as damage, and the end still comes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from av.audio.frame import AudioFrame

from edgevid.core.nouns import AudioChunk, Frame
from edgevid.media.intake import Intake
from edgevid.media.live_stats import LiveStats
from edgevid.media.passage import ReadPlan, ReadStats
from edgevid.media.sound import SoundConverter
from edgevid.media.source import open_source

from .conftest import MakeClip


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg refuses to give the rest of the sound."""

    def flush(self: SoundConverter) -> Iterator[AudioChunk]:
        raise ValueError("no rest")
        yield

    monkeypatch.setattr(SoundConverter, "flush", flush)


@pytest.mark.usefixtures("breaks")
def test_a_file_is_read_to_its_end(make_clip: MakeClip) -> None:
    with open_source(make_clip("c.mkv", sound=np.zeros(16_000, np.float32))) as source:
        items = list(source.read(chunk_s=0.1))
        assert {type(item) for item in items} == {Frame, AudioChunk}
        assert source.stats.damaged == 1


@pytest.mark.usefixtures("breaks")
def test_a_reader_of_a_live_source_gets_the_end() -> None:
    stats = ReadStats(live=LiveStats())
    intake = Intake(stats)
    mailbox = intake.attach(
        ReadPlan(
            video=False,
            audio=True,
            fps=None,
            max_side=None,
            sample_rate=16_000,
            chunk_s=0.1,
            start_ns=0,
            end_ns=1 << 62,
            exact=True,
        )
    )
    assert mailbox is not None
    frame = AudioFrame.from_ndarray(np.zeros((1, 800), np.float32), format="flt", layout="mono")
    frame.sample_rate = 16_000
    intake.sound(frame, 0, 0)
    intake.end()
    assert mailbox.take() is None
    assert stats.damaged == 1
