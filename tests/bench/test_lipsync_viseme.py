"""The bench of VisemeNet gives every figure; how fast is not a test's business."""

from __future__ import annotations

import pytest

from edgevid.bench import lipsync_viseme


def test_every_figure_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("onnx", "onnxruntime", "edgevid._native"):
        pytest.importorskip(module)
    monkeypatch.setattr(lipsync_viseme, "_LIVE_RUNS", 5)
    monkeypatch.setattr(lipsync_viseme, "_WHOLE_RUNS", 2)
    without = lipsync_viseme.ablation()
    assert len({row.measure for row in without}) == 4
    assert all(isinstance(row.value, float) and row.value > 0 for row in without)
    rows = lipsync_viseme.rows()
    assert len(rows) == 2 + 2 * (3 + 2)
    assert all(isinstance(row.value, int | float) and row.value > 0 for row in rows)
    assert sum(row.passed is not None for row in rows) == 4
    assert rows[0].passed
