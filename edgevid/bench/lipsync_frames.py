"""How drawn mouths look, measured on the pictures of real dubs by the face mesh, not on what was intended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.bench.lipsync_strip import write_strip
from edgevid.bench.lipsync_watch import Film, watch
from edgevid.bench.report import Row
from edgevid.core.errors import EdgevidError, MissingPartError
from edgevid.lipsync import parts as parts_
from edgevid.lipsync import seam
from edgevid.lipsync.compositor import MouthCompositor
from edgevid.lipsync.mouth_shape import LIPS, measure
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.visemes import VisemeNet
from edgevid.models.store import ModelStore

CLIPS = ("vretalk_1.mp4", "vretalk_4.mp4", "latentsync_demo3_video.mp4")
BILABIALS = frozenset("pbm")
SHUT, OPEN = 0.03, 0.08  # opening in widths of the mouth
_SILENT_NS = 80_000_000
_STILL = 0.01  # change of the opening between two frames below which a mouth stands still
_STEADY = 1e-6  # deviation below which openings are all alike
_NEXT_NS = 70_000_000  # frames further apart than this are no neighbours
_MOST_DELAY_MS = 300
_CHANGED = 2  # levels a pixel differs by where something was drawn
_CORNERS = LIPS.index(61), LIPS.index(291)
_MIDDLE = LIPS.index(13), LIPS.index(14)


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of films; None where there was nothing to measure.

    Attributes:
        gain, correlation: of the opening drawn on the one asked for.
        delay_ms: at which the two agree best; + = drawn late.
        range_ratio: 90th percentile of the openings drawn to that of the speaker's own.
        corner_deg: how much lower, as an angle at the middle of the mouth, the corners hang than the
            speaker's own at a like opening; median.
        flicker, own_flicker: mean change of a pixel, in levels, between neighbouring frames of a still
            mouth, drawn and the speaker's own.
        jumps: per second, neighbours that differ more than all but 1 % of the speaker's own do.
        closed: share of p, b, m with a shut mouth within one frame, of ``bilabials``, by the mesh.
        touching: the same by colour: nothing shows between the lips.
        open_in_silence: share of ``silent`` frames.
    """

    gain: float | None
    correlation: float | None
    delay_ms: float | None
    range_ratio: float | None
    corner_deg: float | None
    flicker: float | None
    own_flicker: float | None
    jumps: float | None
    closed: float | None
    touching: float | None
    bilabials: int
    open_in_silence: float | None
    silent: int


def rows(data: Path | None, *, strips: Path | None = None) -> Iterator[Row]:
    """Dubs ``CLIPS`` below ``data`` and measures them; what cannot run here says why.

    Args:
        strips: folder, which is made, for a picture of each film's original and dubbed mouths.
    """
    if data is None:
        yield Row("drawn opening", None, "x", None, None, "needs the clips: set EDGEVID_TEST_DATA")
        return
    try:
        films = dub(data)
    except EdgevidError as error:
        yield Row("drawn opening", None, "x", None, None, str(error))
        return
    yield from report(films)
    if strips is not None:
        yield from write_strips(films, strips)


def write_strips(films: Sequence[Film], folder: Path) -> Iterator[Row]:
    """A picture of each film's original and dubbed mouths in ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for film in films:
        path = folder / f"{Path(film.name).stem}.png"
        write_strip(path, film)
        yield Row(f"strip of {film.name}", str(path), "", None, None, "own mouth above, dubbed below")


def dub(data: Path) -> list[Film]:
    """``CLIPS`` in ``data``/talking dubbed to Spanish, each by a compositor that knows nothing yet.

    Raises:
        EdgevidError: as ``parts.load`` and ``DubSession``.
    """
    parts, store, basis = parts_.load(target="es"), ModelStore(), VisemeNet().basis
    try:
        if parts.missing:
            raise MissingPartError(parts.missing[0].message, fix=parts.missing[0].fix)
        films = []
        for clip in CLIPS:
            parts.compositor = MouthCompositor(basis)
            films.append(watch(data / "talking" / clip, parts, store))
        return films
    finally:
        parts.close()


def report(films: Sequence[Film]) -> Iterator[Row]:
    """Rows of what ``films`` have in common, each with the figure of every film in its method."""
    parts = [measured(film) for film in films]
    names = [film.name for film in films]
    frames = sum(len(film.looks) for film in films)
    on = f"face mesh on {frames} drawn frames of {len(films)} clips dubbed to Spanish"

    def mean(field: str, weight: str = "") -> tuple[float | None, str]:
        found = [getattr(part, field) for part in parts]
        named = zip(names, found, strict=True)
        of = [getattr(part, weight) if weight else 1 for part in parts]
        kept = [(value, share) for value, share in zip(found, of, strict=True) if value is not None and share]
        each = ", ".join(f"{name} {'-' if value is None else round(value, 3)}" for name, value in named)
        total = sum(share for _, share in kept)
        return (sum(v * share for v, share in kept) / total if total else None), each

    for name, field, unit, what in (
        ("drawn opening / asked", "gain", "x", "slope of least squares"),
        ("drawn opening against asked", "correlation", "r", "Pearson, frame by frame"),
        ("drawn opening behind asked", "delay_ms", "ms", "slide by 1 ms at which both agree best, + = late"),
        ("range of openings, dubbed / own", "range_ratio", "x", "ratio of the 90th percentiles"),
        ("corners lower than own", "corner_deg", "deg", "at a like opening, median; + = hang"),
        ("flicker of a still mouth", "flicker", "levels", "mean change of a drawn pixel to the next frame"),
        ("flicker of the speaker's own", "own_flicker", "levels", "same pixels, own still mouth"),
        ("jumps of the mouth", "jumps", "1/s", "change above the 99th percentile of the speaker's own"),
    ):
        value, each = mean(field)
        rounded = None if value is None else round(value, 3)
        yield Row(name, rounded, unit, None, None, f"{on}, {what}: {each}")
    for name, field, what in (
        ("bilabials closed in the picture, by mesh", "closed", f"opening <= {SHUT} mouth widths"),
        ("bilabials closed in the picture, by colour", "touching", "nothing less red than lips between them"),
    ):
        shut, each = mean(field, "bilabials")
        yield Row(
            name,
            None if shut is None else round(100 * shut, 1),
            "%",
            90.0,
            None if shut is None else shut >= 0.9,
            f"{on}, {what} within a frame of p, b, m ({sum(p.bilabials for p in parts)}): {each}",
        )
    wide, each = mean("open_in_silence", "silent")
    yield Row(
        "mouth open in silence in the picture",
        None if wide is None else round(100 * wide, 2),
        "%",
        2.0,
        None if wide is None else wide < 0.02,
        f"{on}, opening > {OPEN} mouth widths 80 ms and more from any sound"
        f" ({sum(p.silent for p in parts)} frames): {each}",
    )


def measured(film: Film) -> Measured:
    """The figures of one film."""
    if len(film.looks) < 2:
        return Measured(None, None, None, None, None, None, None, None, None, None, 0, None, 0)
    asked = np.array([look.asked for look in film.looks])
    own_lips = np.stack([look.own_lips for look in film.looks])
    drawn_lips = np.stack([look.drawn_lips for look in film.looks])
    own, drawn = (measure(lips, film.speaker)[:, 0] for lips in (own_lips, drawn_lips))
    red = np.array([look.redness for look in film.looks])
    moves = asked.std() > _STEADY and drawn.std() > _STEADY
    closed, touching = _in_bilabials(film, drawn <= SHUT), _in_bilabials(film, red >= seam.SHUT)
    open_in_silence = _silent(film, drawn) > OPEN
    return Measured(
        gain=float(np.polyfit(asked, drawn, 1)[0]) if moves else None,
        correlation=float(np.corrcoef(asked, drawn)[0, 1]) if moves else None,
        delay_ms=_delay_ms(film, asked, drawn) if moves else None,
        range_ratio=float(np.quantile(drawn, 0.9)) / max(float(np.quantile(own, 0.9)), 1e-6),
        corner_deg=_corners(own_lips, own, drawn_lips, drawn),
        **_flicker(film, own, asked),
        closed=float(np.mean(closed)) if closed else None,
        touching=float(np.mean(touching)) if touching else None,
        bilabials=len(closed),
        open_in_silence=float(open_in_silence.mean()) if len(open_in_silence) else None,
        silent=len(open_in_silence),
    )


def _delay_ms(film: Film, asked: npt.NDArray[np.float64], drawn: Floats) -> float:
    """How late the mouth moves against the curve it was given: the whole way from the curve to pixels."""
    ms = np.array([look.pts_ns for look in film.looks]) / 1e6
    slides = range(-_MOST_DELAY_MS, _MOST_DELAY_MS + 1)
    agree = [np.corrcoef(np.interp(ms - slide, ms, asked), drawn)[0, 1] for slide in slides]
    return float(slides[int(np.argmax(agree))])


def _in_bilabials(film: Film, shut: npt.NDArray[np.bool_]) -> list[bool]:
    """Per p, b, m: whether the mouth is ``shut`` [frames] in it or within one frame of it."""
    times = np.array([look.pts_ns for look in film.looks])
    frame_ns = int(np.median(np.diff(times)))
    closed = []
    for phoneme in film.phonemes:
        near = shut[(times >= phoneme.start_ns - frame_ns) & (times <= phoneme.end_ns + frame_ns)]
        if phoneme.symbol[:1] in BILABIALS and near.size:
            closed.append(bool(near.any()))
    return closed


def _silent(film: Film, drawn: Floats) -> Floats:
    """Openings of the frames away from any sound."""
    times = np.array([look.pts_ns for look in film.looks])
    quiet = np.ones(len(times), np.bool_)
    for phoneme in film.phonemes:
        if phoneme.symbol:
            quiet &= (times < phoneme.start_ns - _SILENT_NS) | (times > phoneme.end_ns + _SILENT_NS)
    return drawn[quiet]


def _corners(own_lips: Floats, own: Floats, drawn_lips: Floats, drawn: Floats) -> float:
    slope, base = (
        np.polyfit(own, _droop(own_lips), 1) if own.std() > _STEADY else (0.0, _droop(own_lips).mean())
    )
    return float(np.median(_droop(drawn_lips) - (base + slope * drawn)))


def _droop(lips: Floats) -> Floats:
    """Degrees by which the corners lie below the middle of the inner lips, [frames] of [frames, 40, 2]."""
    corners = lips[:, _CORNERS, 1].mean(axis=1) - lips[:, _MIDDLE, 1].mean(axis=1)
    half = np.abs(lips[:, _CORNERS[1], 0] - lips[:, _CORNERS[0], 0]) / 2
    return np.asarray(np.degrees(np.arctan2(corners, half)))


def _flicker(film: Film, own: Floats, asked: npt.NDArray[np.float64]) -> dict[str, float | None]:
    changes: list[tuple[float, float]] = []  # own, drawn
    still: list[tuple[bool, bool]] = []
    for i, (a, b) in enumerate(zip(film.looks, film.looks[1:], strict=False)):
        where = _where(a.own, a.drawn) & _where(b.own, b.drawn)
        if b.pts_ns - a.pts_ns > _NEXT_NS or where.sum() < where.size // 20:
            continue
        changes.append((_change(a.own, b.own, where), _change(a.drawn, b.drawn, where)))
        still.append((abs(own[i + 1] - own[i]) < _STILL, abs(asked[i + 1] - asked[i]) < _STILL))
    if not changes:
        return {"flicker": None, "own_flicker": None, "jumps": None}
    (own_change, drawn_change), (own_still, drawn_still) = np.array(changes).T, np.array(still).T
    jumps = drawn_change > np.quantile(own_change, 0.99)
    seconds = (film.looks[-1].pts_ns - film.looks[0].pts_ns) / 1e9 * len(changes) / (len(film.looks) - 1)
    return {
        "flicker": float(drawn_change[drawn_still].mean()) if drawn_still.any() else None,
        "own_flicker": float(own_change[own_still].mean()) if own_still.any() else None,
        "jumps": float(jumps.sum() / seconds),
    }


def _where(own: npt.NDArray[np.uint8], drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """The box in which anything was drawn: single pixels may be alike by chance."""
    changed = (np.abs(own.astype(np.int16) - drawn) > _CHANGED).any(axis=2)
    rows, columns = np.nonzero(changed)
    inside = np.zeros(changed.shape, np.bool_)
    if len(rows):
        inside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    return inside


def _change(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_]) -> float:
    return float(np.abs(a.astype(np.int16) - b)[where].mean())
