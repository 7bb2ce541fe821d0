"""Cuts in made clips and in real ones, eight looks a second as the stream makes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.nouns import NS_PER_S, Frame
from edgevid.media.source import open_source
from edgevid.perception.cuts import CutsChannel
from edgevid.perception.scaling import resize

Picture = npt.NDArray[np.uint8]
LOOKS_PER_S = 8
CLIPS = (
    "bikes.mp4", "bigbuckbunny.mp4", "carphone.mp4", "chaplin.mp4", "cockatoo.mp4",
    "intel_bottle-detection.mp4", "intel_car-detection.mp4", "intel_one-by-one-person-detection.mp4",
    "asl/eat.mkv", "intel_gif/classroom.gif", "intel_gif/head-pose-face-detection-female.gif",
)  # fmt: skip


def scene(seed: int, *, width: int = 320) -> Picture:
    """A picture of blurred blocks of colour, [180, width, 3]."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 10 * width // 320, 3), dtype=np.uint8)
    return resize(blocks, 180, width)


def noisy(pictures: Iterable[npt.NDArray[np.generic]]) -> list[Picture]:
    rng = np.random.default_rng(99)
    return [
        np.clip(p.astype(np.float32) + rng.normal(0, 4, p.shape), 0, 255).astype(np.uint8) for p in pictures
    ]


def cuts_in(pictures: Sequence[Picture]) -> list[int]:
    """Numbers of the pictures that begin a new scene."""
    channel, found = CutsChannel(), []
    for i, picture in enumerate(pictures):
        frame = Frame(picture, i * NS_PER_S // LOOKS_PER_S, i)
        found += channel.observe(frame, period_ns=NS_PER_S // LOOKS_PER_S)
    assert all(o.kind == o.label == "cut" and o.span.start_ns == o.span.end_ns for o in found)
    assert all(0 < o.score <= 1 for o in found)
    return [o.span.start_ns * LOOKS_PER_S // NS_PER_S for o in found]


def test_hard_cuts_between_made_scenes() -> None:
    clip = noisy([scene(s) for s in range(40) for _ in range(8)])
    found, wanted = set(cuts_in(clip)), set(range(8, 320, 8))
    assert found <= wanted and len(found) >= 36


@pytest.mark.parametrize("looks", [8, 16, 24])
def test_a_fade_is_no_cut(looks: int) -> None:
    old, new = scene(1).astype(np.float32), scene(2).astype(np.float32)
    fade = [old] * 8 + [old + (new - old) * i / looks for i in range(looks)] + [new] * 8
    assert cuts_in(noisy(fade)) == []


def test_a_fade_through_black_is_no_cut() -> None:
    down = [scene(1) * (1 - i / 8) for i in range(9)]
    up = [scene(2) * (i / 8) for i in range(9)]
    assert cuts_in(noisy(down + up)) == []


def test_a_flash_is_no_cut() -> None:
    white = np.full_like(scene(1), 250)
    assert cuts_in(noisy([scene(1)] * 8 + [white] + [scene(1)] * 8)) == []


@pytest.mark.parametrize("step", [8, 20, 40])
def test_a_pan_is_no_cut(step: int) -> None:
    wide = scene(3, width=1600)
    assert cuts_in(noisy(wide[:, x : x + 320] for x in range(0, 1280, step))) == []


def test_what_crosses_the_picture_is_no_cut() -> None:
    clip = []
    for x in range(-100, 320, 25):
        picture = scene(4).copy()
        picture[40:160, max(0, x) : max(0, x + 100)] = (20, 30, 200)
        clip.append(picture)
    assert cuts_in(noisy(clip)) == []


def test_noise_and_blank_pictures_have_no_cuts() -> None:
    assert cuts_in(noisy([np.full((90, 160, 3), 16, np.uint8)] * 16)) == []
    assert cuts_in([np.zeros((90, 160, 3), np.uint8)] * 16) == []
    noise = np.random.default_rng(0).integers(0, 256, (16, 90, 160, 3), dtype=np.uint8)
    assert cuts_in(list(noise)) == []


def test_a_cut_is_found_across_sizes_and_tiny_pictures() -> None:
    assert cuts_in([scene(1)] * 4 + [scene(2)[::2, ::2]] * 4) == [4]
    assert cuts_in([np.zeros((1, 1, 3), np.uint8)] * 8) == []


def test_a_picture_sampled_again_is_not_looked_at() -> None:
    """A source at 2 frames/s looked at 8 times a second: the cut is still one change, not lost in zeros."""
    channel, found = CutsChannel(), []
    for look in range(64):
        index = look // 4
        frame = Frame(scene(1 if index < 8 else 2), look * NS_PER_S // 8, index, wall_ns=look)
        found += channel.observe(frame, period_ns=1)
    (cut,) = found
    assert (cut.span.start_s, cut.wall_ns) == (4.0, 32)


def looks(path: Path, *, end_s: float) -> list[Picture]:
    with open_source(path) as source:
        return [f.image.copy() for f in source.frames(fps=LOOKS_PER_S, max_side=320, end_s=end_s)]


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("bikes.mp4", [1.25, 3.125, 5.5, 7.5, 9.75]),
        ("nasa_13013.mp4", [8.125]),
        ("big_buck_bunny_0_30.webm", [11.875, 15.75, 23.0]),
        ("cockatoo.mp4", []),
        ("chaplin.mp4", []),
        ("intel_car-detection.mp4", []),
    ],
)
def test_cuts_of_real_clips(test_data: Path, name: str, times: list[float]) -> None:
    channel, found = CutsChannel(), []
    with open_source(test_data / "video" / name) as source:
        for frame in source.frames(fps=LOOKS_PER_S, max_side=320):
            found += channel.observe(frame, period_ns=1)
    assert [o.span.start_s for o in found] == pytest.approx(times, abs=0.01)


def test_joined_real_clips(test_data: Path) -> None:
    """One second of a clip joined to one second of another, in every order. Figures:
    docs/model_cards/cuts.md."""
    shots = [looks(test_data / "video" / name, end_s=1.0) for name in CLIPS]
    hits = false = 0
    for first, second in permutations(shots, 2):
        found = cuts_in(first + second)
        hits += len(first) in found
        false += len(set(found) - {len(first)})
    joins = len(shots) * (len(shots) - 1)
    assert hits / joins >= 0.95 and hits / (hits + false) >= 0.98
