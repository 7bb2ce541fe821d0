"""Which frames get a mouth, which one, and why others do not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.nouns import Frame
from edgevid.lipsync.flow import DubbedFrame, DubbedSound, Seen, Talk
from edgevid.lipsync.hearing import Generation
from edgevid.lipsync.nouns import Clause, Floats, MouthCurve, SpokenClause
from edgevid.lipsync.painting import Painter
from edgevid.perception.faces import Face

_S = 1_000_000_000
_IMAGE = np.zeros((8, 8, 3), np.uint8)


class _Recorder:
    """Keeps what it is asked to draw; refuses turned heads."""

    def __init__(self) -> None:
        self.learnt = 0
        self.drawn: list[Floats] = []

    def learn(self, image: npt.NDArray[np.uint8], face: Face) -> None:
        self.learnt += 1

    def draw(
        self, image: npt.NDArray[np.uint8], face: Face, params: Floats
    ) -> tuple[npt.NDArray[np.uint8], str]:
        if face.yaw_deg > 30:
            return image, "turned away"
        self.drawn.append(params)
        return image + 1, ""


def _face(width: float = 4.0, yaw_deg: float = 0.0) -> Face:
    points = np.zeros((468, 2), np.float32)
    return Face(0, (0.0, 0.0, width, width), 1.0, points, yaw_deg, 0.0, points)


def _talk(start_s: float, end_s: float, *, dub_s: float, at_s: float, generation: int = 0) -> Talk:
    """Its mouth opens steadily: opening = seconds since its start."""
    clause = Clause(0, generation, "said", "en", round(start_s * _S), round(end_s * _S))
    spoken = SpokenClause(
        clause, "dicho", "es", np.zeros(round(dub_s * 1000), np.float32), 1000, (), round(at_s * _S)
    )
    params = np.zeros((round(dub_s * 50), 6), np.float32)
    params[:, 0] = np.arange(len(params)) / 50
    return Talk(spoken, MouthCurve(params, spoken.start_ns))


def _sound(start_s: float, *talks: Talk, speaking: bool = True) -> DubbedSound:
    samples = np.zeros(1000, np.float32)
    return DubbedSound(round(start_s * _S), samples, samples, 1000, talks, speaking)


def _paint(painter: Painter, second: float, *faces: Face) -> DubbedFrame:
    (given,) = painter(Seen(Frame(_IMAGE, round(second * _S), 0), faces))
    assert isinstance(given, DubbedFrame)
    return given


def test_the_mouth_follows_the_dub_and_is_closed_where_only_the_source_speaks() -> None:
    recorder = _Recorder()
    painter = Painter(recorder, generation=Generation())
    list(painter(_sound(1, _talk(1, 2, dub_s=0.5, at_s=1.2))))
    openings = []
    for second in (1.1, 1.2, 1.45, 1.9):
        assert _paint(painter, second, _face()).drawn
        openings.append(float(recorder.drawn[-1][0]))
    assert openings == pytest.approx([0, 0, 0.25, 0], abs=1e-3)
    after = _paint(painter, 2.5, _face())
    assert not after.drawn and not after.reason and after.frame.image is _IMAGE
    assert recorder.learnt == 5 and painter.drawn == 4 and painter.frames == 5


def test_sound_passes_in_its_place() -> None:
    painter = Painter(None, generation=Generation())
    sound = _sound(0)
    assert list(painter(sound)) == [sound]


def test_untouched_frames_have_a_reason() -> None:
    painter = Painter(_Recorder(), generation=Generation())
    list(painter(_sound(0, _talk(0, 1, dub_s=1, at_s=0))))
    assert _paint(painter, 0.1).reason == "no face"
    assert _paint(painter, 0.2, _face(4), _face(3.9)).reason == "several faces"
    assert _paint(painter, 0.3, _face(4, yaw_deg=40)).reason == "turned away"
    assert _paint(painter, 0.4, _face(4), _face(1)).drawn
    assert painter.untouched == {"no face": 1, "several faces": 1, "turned away": 1}
    bare = Painter(None, generation=Generation(), missing="a part is missing")
    list(bare(_sound(0, _talk(0, 1, dub_s=1, at_s=0))))
    assert _paint(bare, 0.1, _face()).reason == "a part is missing"


@pytest.mark.parametrize("side", [8, 90, 400])
def test_the_mark_is_on_every_frame_of_a_marked_dub(side: int) -> None:
    painter = Painter(None, generation=Generation(), mark=True)
    plain = np.full((side, 2 * side, 3), 90, np.uint8)
    (given,) = painter(Seen(Frame(plain, 0, 0), ()))
    assert isinstance(given, DubbedFrame) and not given.drawn
    changed = (given.frame.image != plain).any(axis=2)
    assert (plain == 90).all() and changed.any()
    if side >= 90:
        assert not changed[: side // 2].any() and not changed[:, :side].any()  # the lower right quarter
        assert (given.frame.image == 255).any() and changed.mean() < 0.15


def test_after_barge_in_the_next_frame_is_fresh() -> None:
    generation, recorder = Generation(), _Recorder()
    painter = Painter(recorder, generation=generation)
    list(painter(_sound(0, _talk(0, 0.5, dub_s=3, at_s=0.5), speaking=False)))
    assert _paint(painter, 1.0, _face()).drawn
    generation.bump()
    assert not _paint(painter, 1.04, _face()).drawn
    list(painter(_sound(1, _talk(1.5, 1.6, dub_s=1, at_s=1.6, generation=1), speaking=False)))
    assert _paint(painter, 1.7, _face()).drawn
