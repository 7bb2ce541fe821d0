"""Faces followed from picture to picture, each with its mesh.

The detector runs where nothing is followed and once in a while for who came in; in between each mesh tells
where to look next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception import face_detector, face_mesh
from edgevid.perception.face_detector import FaceDetector, FoundFace, overlap
from edgevid.perception.face_mesh import FaceMesh, Mesh, Region, region_of_detection, region_of_mesh
from edgevid.perception.one_euro import OneEuro

_NS = 1_000_000_000
_LONGEST_STEP_NS = _NS // 2  # after a longer gap the places of before say nothing
# Of positions in units of the face's box: what moves slowly, as a still face's mesh trembles, passes below
# about 2 Hz, what moves as fast as lips do up to 8 Hz and more. Chosen by eye.
_CUTOFF_HZ, _BETA, _SPEED_CUTOFF_HZ = 1.2, 24.0, 6.0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one picture: ``box`` x0, y0, x1, y1 around its points, ``score`` 0 to 1, ``landmarks``
    float32 [468, 2] in FaceMesh's order, all in pixels; yaw and pitch as in ``Mesh``. ``track_id`` stays as
    long as the face is followed without a gap. ``mesh`` has the landmarks unsmoothed: they tremble, and do
    not lag behind lips that move."""

    track_id: int
    box: tuple[float, float, float, float]
    score: float
    landmarks: Floats
    yaw_deg: float
    pitch_deg: float
    mesh: Floats


class _Track:
    """One followed face: where to look, and the smoothing of its points."""

    def __init__(self, track_id: int, region: Region) -> None:
        self.track_id = track_id
        self.region = region
        self.box: Floats = np.zeros(4, np.float32)
        self._shape = OneEuro(cutoff_hz=_CUTOFF_HZ, beta=_BETA, speed_cutoff_hz=_SPEED_CUTOFF_HZ)

    def face(self, mesh: Mesh, seconds: float) -> Face:
        self.region = region_of_mesh(mesh.points)
        unit = np.float32(self.region.side)
        points = self._shape(mesh.points / unit, seconds) * unit if seconds else mesh.points
        low, high = points.min(axis=0), points.max(axis=0)
        self.box = np.concatenate([low, high])
        x0, y0, x1, y1 = (float(v) for v in self.box)
        box, turn = (x0, y0, x1, y1), (mesh.yaw_deg, mesh.pitch_deg)
        return Face(self.track_id, box, mesh.presence, points, *turn, mesh.points)


class FaceTracker:
    """Follows up to ``max_faces`` faces through one video.

    Args:
        every: pictures between two runs of the detector while faces are followed.
        floor: presence below which a face counts as gone.
    """

    def __init__(
        self,
        detector: Callable[[npt.NDArray[np.uint8]], list[FoundFace]],
        mesh: Callable[[npt.NDArray[np.uint8], Region], Mesh],
        *,
        max_faces: int = 3,
        every: int = 25,
        floor: float = 0.5,
    ) -> None:
        self._detector = detector
        self._mesh = mesh
        self._max_faces = max_faces
        self._every = every
        self._floor = floor
        self._tracks: list[_Track] = []
        self._since_detection = 0
        self._next_id = 0
        self._pts_ns: int | None = None

    def reset(self) -> None:
        """Forget all faces: another video, or a cut."""
        self._tracks, self._pts_ns = [], None

    def update(self, image: npt.NDArray[np.uint8], pts_ns: int) -> list[Face]:
        """The faces of uint8 RGB [h, w, 3], longest followed first."""
        step = 0 if self._pts_ns is None else pts_ns - self._pts_ns
        if not 0 < step <= _LONGEST_STEP_NS:
            self.reset()
        self._pts_ns = pts_ns
        faces = self._follow(image, self._tracks, step / _NS)
        self._since_detection += 1
        if not faces or self._since_detection >= self._every:
            self._since_detection = 0
            faces += self._follow(image, self._new_tracks(image), 0.0)
        return faces

    def _follow(self, image: npt.NDArray[np.uint8], tracks: list[_Track], seconds: float) -> list[Face]:
        """Faces of ``tracks`` still there; the others, and those that slid onto another, are dropped."""
        faces: list[Face] = []
        for track in tracks:
            mesh = self._mesh(image, track.region)
            kept = [other for other in self._tracks if other is not track]
            self._tracks = kept
            if mesh.presence < self._floor or not np.isfinite(mesh.points).all():
                continue
            face = track.face(mesh, seconds)
            if any(
                overlap(np.asarray(face.box, np.float32), np.asarray(f.box, np.float32)) > 0.4 for f in faces
            ):
                continue
            faces.append(face)
            self._tracks = [*kept, track]
        return faces

    def _new_tracks(self, image: npt.NDArray[np.uint8]) -> list[_Track]:
        known = [track.box for track in self._tracks]
        found = [f for f in self._detector(image) if all(overlap(f.box, box) < 0.2 for box in known)]
        tracks = []
        for face in found[: self._max_faces - len(known)]:
            tracks.append(_Track(self._next_id, region_of_detection(face)))
            self._next_id += 1
        return tracks


def face_tracker(store: ModelStore, *, threads: int = 1, max_faces: int = 3) -> FaceTracker:
    """The tracker on the installed packs; MissingPartError when one is not."""
    detector = store.where(face_detector.PACK)["model.onnx"]
    mesh = store.where(face_mesh.PACK)["model.onnx"]
    return FaceTracker(
        FaceDetector(onnx_session(detector, threads=threads, name=face_detector.PACK)),
        FaceMesh(onnx_session(mesh, threads=threads, name=face_mesh.PACK)),
        max_faces=max_faces,
    )
