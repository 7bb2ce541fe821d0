"""What the judges look at, made from a real clip; figures are the bench's business."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.bench.lipsync_judged import LEAST_FRAMES, dub_all, own_sound
from edgevid.lipsync.mouth_shape import fit_speaker, measure
from edgevid.lipsync.visemes import VisemeNet
from edgevid.models.store import ModelStore
from edgevid.perception import face_detector, face_mesh
from edgevid.perception.audio_intake import RATE
from edgevid.train.viseme_net.tracks import LipReader


@pytest.mark.packs
def test_our_lips_are_seen_when_they_were_asked_for(test_data: Path, store: ModelStore) -> None:
    for pack in ("moonshine-tiny-en", "silero-vad", face_detector.PACK, face_mesh.PACK):
        store.where(pack)
    paths = sorted((test_data / "talking" / "grid" / "s1").glob("*.mpg"))[:1]
    reader = LipReader(store)
    (clip,) = own_sound(paths, reader)
    (again,) = dub_all(paths, reader, target="en")
    assert clip.speaker == again.speaker == "s1"
    assert len(clip.seconds) > len(again.seconds) >= LEAST_FRAMES  # a dub is drawn only while one speaks
    curve = VisemeNet().curve(clip.samples, RATE).params[:, 0]
    opening = measure(clip.lips, fit_speaker(clip.lips))[:, 0]
    steps = np.arange(len(curve)) * 0.02

    def agreement(late_s: float) -> float:
        return float(np.corrcoef(np.interp(clip.seconds - late_s, steps, curve), opening)[0, 1])

    found = max(range(-200, 201, 10), key=lambda ms: agreement(ms / 1000))
    assert abs(found) <= 20
    assert agreement(0) > 0.8
