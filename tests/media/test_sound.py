from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout

from edgevid.core.nouns import AudioChunk
from edgevid.media.sampler import FOREVER_NS
from edgevid.media.sound import SoundConverter, SoundRepairs

Tone = Callable[..., npt.NDArray[np.float32]]


def _frames(
    samples: npt.NDArray[np.float32], *, rate: int, layout: str = "mono", form: str = "fltp", size: int = 1024
) -> list[tuple[int, AudioFrame]]:
    """(time in ns, frame) pairs that carry ``samples`` on every channel."""
    channels = AudioLayout(layout).nb_channels
    out = []
    for begin in range(0, samples.size, size):
        part = np.stack([samples[begin : begin + size]] * channels)
        if form == "s16":
            frame = AudioFrame.from_ndarray(
                np.rint(part.T.reshape(1, -1) * 32767).astype(np.int16), format="s16", layout=layout
            )
        else:
            frame = AudioFrame.from_ndarray(part, format=form, layout=layout)
        frame.sample_rate = rate
        out.append((begin * 1_000_000_000 // rate, frame))
    return out


def _convert(
    frames: list[tuple[int, AudioFrame]],
    *,
    start_ns: int = 0,
    end_ns: int = FOREVER_NS,
    chunk_s: float = 0.25,
) -> tuple[list[AudioChunk], SoundRepairs]:
    repairs = SoundRepairs()
    converter = SoundConverter(
        sample_rate=16000, chunk_s=chunk_s, start_ns=start_ns, end_ns=end_ns, repairs=repairs
    )
    chunks = [chunk for time_ns, frame in frames for chunk in converter.push(frame, time_ns)]
    return [*chunks, *converter.flush()], repairs


def _joined(chunks: list[AudioChunk]) -> npt.NDArray[np.float32]:
    for before, after in itertools.pairwise(chunks):
        assert abs(before.pts_ns + before.samples.size * 62_500 - after.pts_ns) <= 1
    return np.concatenate([chunk.samples for chunk in chunks])


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
@pytest.mark.parametrize("form", ["fltp", "s16"])
def test_a_tone_keeps_its_place_and_height(rate: int, layout: str, form: str, tone: Tone) -> None:
    chunks, repairs = _convert(_frames(tone(2.0, rate=rate), rate=rate, layout=layout, form=form))
    got = _joined(chunks)
    assert got.dtype == np.float32
    assert abs(got.size - 32000) <= 1
    want = tone(2.0)[: got.size]
    inner = slice(200, -200)
    assert np.abs(got[inner] - want[inner]).max() < 2e-4
    assert repairs == SoundRepairs()


def test_mixing_down_loud_channels_does_not_clip() -> None:
    loud = np.ones(16000, dtype=np.float32) * 0.99
    chunks, _ = _convert(_frames(loud, rate=16000, layout="5.1"))
    assert np.abs(_joined(chunks) - 0.99).max() < 1e-3


def test_a_gap_is_filled_with_silence_and_counted(tone: Tone) -> None:
    frames = _frames(tone(1.0), rate=16000)
    late = [(t + 500_000_000, f) for t, f in frames[8:]]
    chunks, repairs = _convert([*frames[:8], *late])
    got = _joined(chunks)
    assert repairs.gaps == 1
    assert repairs.gap_s == pytest.approx(0.5, abs=1e-3)
    assert got.size == 24000
    assert not got[8 * 1024 : 8 * 1024 + 8000].any()
    assert np.array_equal(got[8 * 1024 + 8000 :], tone(1.0)[8 * 1024 :])


def test_an_overlap_is_dropped_and_counted(tone: Tone) -> None:
    frames = _frames(tone(1.0), rate=16000)
    early = [(t - 3 * 64_000_000, f) for t, f in _frames(tone(1.0), rate=16000)[8:]]
    chunks, repairs = _convert([*frames[:8], *early])
    assert repairs.overlaps == 1
    assert _joined(chunks).size == 16000 - 3 * 1024


def test_small_jitter_is_left_alone(tone: Tone) -> None:
    frames = [(t + (7_000_000 if i % 2 else 0), f) for i, (t, f) in enumerate(_frames(tone(1.0), rate=16000))]
    chunks, repairs = _convert(frames)
    assert repairs == SoundRepairs()
    assert np.array_equal(_joined(chunks), tone(1.0))


def test_only_the_stretch_asked_for_comes_out(tone: Tone) -> None:
    chunks, _ = _convert(_frames(tone(2.0), rate=16000), start_ns=500_000_000, end_ns=1_250_000_000)
    assert chunks[0].pts_ns == 500_000_000
    assert np.array_equal(_joined(chunks), tone(2.0)[8000:20000])


def test_sound_that_begins_late_has_a_late_first_chunk(tone: Tone) -> None:
    chunks, repairs = _convert([(t + 300_000_000, f) for t, f in _frames(tone(0.5), rate=16000)])
    assert chunks[0].pts_ns == 300_000_000
    assert repairs.gaps == 0


def test_chunks_have_the_length_asked_for(tone: Tone) -> None:
    chunks, _ = _convert(_frames(tone(1.1), rate=16000), chunk_s=0.5)
    assert [chunk.samples.size for chunk in chunks] == [8000, 8000, 1600]


def test_a_change_of_format_in_mid_stream_goes_unheard(tone: Tone) -> None:
    first = _frames(tone(0.512), rate=16000)
    second = _frames(tone(1.0, rate=48000)[24576:], rate=48000, layout="stereo")
    chunks, repairs = _convert([*first, *((t + 512_000_000, f) for t, f in second)])
    got = _joined(chunks)
    assert repairs == SoundRepairs()
    assert np.abs(got[:8000] - tone(1.0)[:8000]).max() < 1e-6
    assert np.abs(got[8500:15500] - tone(1.0)[8500:15500]).max() < 2e-3


def test_wild_values_are_tamed() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 7.0, -7.0, 0.25] * 512, dtype=np.float32)
    chunks, _ = _convert(_frames(wild, rate=16000))
    got = _joined(chunks)
    assert np.isfinite(got).all()
    assert np.abs(got).max() <= 1.0
