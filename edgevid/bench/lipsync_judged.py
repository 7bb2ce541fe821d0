"""What the judges of a dub look at: clips dubbed, and clips with our lips on their own sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync import parts as parts_
from edgevid.lipsync.compositor import MouthCompositor
from edgevid.lipsync.flow import DubbedFrame
from edgevid.lipsync.mouth_features import at_model_rate
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.parts import Parts
from edgevid.lipsync.session import DubSession
from edgevid.lipsync.visemes import VisemeNet, at
from edgevid.media.source import open_source
from edgevid.perception.audio_intake import RATE
from edgevid.train.viseme_net.clips import Clip
from edgevid.train.viseme_net.tracks import LipReader, read_sound, speaker_of

LEAST_FRAMES = 40
"""A clip with fewer drawn ones says nothing."""

Image = npt.NDArray[np.uint8]
Tap = Callable[[Image], None]


@contextmanager
def fresh_parts(target: str) -> Iterator[tuple[Parts, Callable[[], None]]]:
    """All parts of a dub, and what makes their compositor and tracker forget the clip before.

    Raises:
        EdgevidError: as ``parts.load``, or what is missing for lips.
    """
    parts, basis = parts_.load(target=target), VisemeNet().basis

    def renew() -> None:
        parts.compositor = MouthCompositor(basis)
        assert parts.tracker is not None
        parts.tracker.reset()

    try:
        if parts.missing:
            raise parts.missing[0]
        yield parts, renew
    finally:
        parts.close()


def dub_all(paths: Sequence[Path], reader: LipReader, *, target: str = "es") -> list[Clip]:
    """Each clip dubbed by a compositor that knows nothing yet; those with enough drawn frames."""
    with fresh_parts(target) as (parts, renew):
        dubs = []
        for path in paths:
            renew()
            dubs.append(dub(path, parts, reader, target=target))
    return [clip for clip in dubs if len(clip.seconds) >= LEAST_FRAMES]


def dub(path: Path, parts: Parts, reader: LipReader, *, target: str, see: Tap = lambda image: None) -> Clip:
    """The drawn frames' lips beside the dub's own sound, both as they were given away; ``see`` gets every
    picture, drawn or not."""
    shown: list[tuple[int, bool]] = []
    sounds: list[Floats] = []
    with DubSession(path, target=target, parts=parts) as session:

        def pictures() -> Iterator[Image]:
            for message in session:
                item = message.payload
                if isinstance(item, DubbedFrame):
                    shown.append((item.pts_ns, item.drawn))
                    see(item.frame.image)
                    yield item.frame.image
                else:
                    sounds.append(item.samples)

        found = reader.read(pictures())
        rate = session.rate
    kept = [(lips, ns) for lips, (ns, drawn) in zip(found, shown, strict=True) if drawn and lips is not None]
    return _clip(path, kept, at_model_rate(np.concatenate(sounds), rate))


def own_sound(paths: Sequence[Path], reader: LipReader) -> list[Clip]:
    """Each clip with its own sound, and the lips that VisemeNet hears in it drawn on all its pictures: the
    network and the drawing, without the voice, language and clock of a dub."""
    with fresh_parts("en") as (parts, renew):
        clips = []
        for path in paths:
            renew()
            clips.append(_drawn(path, parts, reader))
    return [clip for clip in clips if len(clip.seconds) >= LEAST_FRAMES]


def _drawn(path: Path, parts: Parts, reader: LipReader) -> Clip:
    tracker, compositor = parts.tracker, parts.compositor
    assert tracker is not None and compositor is not None
    samples, start_s = read_sound(path)
    curve = VisemeNet().curve(samples, RATE)
    with open_source(path) as source:
        frames = list(source.frames())
    for frame in frames:
        for face in tracker.update(frame.image, frame.pts_ns)[:1]:
            compositor.learn(frame.image, face)
    tracker.reset()
    times: list[int] = []

    def pictures() -> Iterator[Image]:
        for frame in frames:
            for face in tracker.update(frame.image, frame.pts_ns)[:1]:
                wanted = at(curve, frame.pts_ns - round(start_s * NS_PER_S))
                image, untouched = compositor.draw(frame.image, face, wanted)
                if not untouched:
                    times.append(frame.pts_ns - round(start_s * NS_PER_S))
                    yield image

    found = reader.read(pictures())
    kept = [(lips, ns) for lips, ns in zip(found, times, strict=True) if lips is not None]
    return _clip(path, kept, samples)


def _clip(path: Path, kept: Sequence[tuple[Floats, int]], samples: Floats) -> Clip:
    """Lips and the times in ns they were shown at, beside ``samples`` at 16 kHz."""
    return Clip(
        path.stem,
        speaker_of(path),
        np.stack([lips for lips, _ in kept]) if kept else np.zeros((0, 40, 2), np.float32),
        np.array([ns / NS_PER_S for _, ns in kept], np.float32),
        samples,
        (),
    )
