"""Figures are read from rows of the benches themselves; drawing is matplotlib's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgevid.bench.report import Row
from edgevid.bench.streaming import BUDGETS, _pareto_rows
from edgevid.bench.streaming_plots import draw, figures
from edgevid.bench.streaming_rivals import METHODS, Loss
from edgevid.core.errors import MissingPartError


def some_rows() -> list[Row]:
    losses = {(m, b): [Loss(0.1 * (i + 1) / b, 0.2)] for i, m in enumerate(METHODS) for b in BUDGETS}
    found = list(_pareto_rows(losses, "frame", "tokens", 7700))
    for high, drift in ((2048, 0.001), (4096, 0.002), (8192, -0.003)):
        found.append(Row(f"E2 held-out text, to {high}", drift, "nats", None, None, ""))
    for low in (0, 25, 50, 75):
        found.append(Row(f"E3 ReSV, age {low}% to {low + 25}%", 1 - low / 100, "right", None, None, ""))
    for depth in ("8K", "32K"):
        found.append(Row(f"decode, {depth}, dense", 1.5, "ms", None, None, ""))
        method = "torch float32 3.000 ms, torch bfloat16 2.500 ms; 8192 tokens"
        found.append(Row(f"decode, {depth}, over torch", 5.0, "x", None, None, method))
    found.append(Row("E3 ReSV, age 0% to 25%", None, "right", None, None, "not measured"))
    return found


def test_figures_hold_what_the_rows_say() -> None:
    found = {figure.name: figure.lines for figure in figures(some_rows())}
    assert list(found) == ["pareto-frame-tokens", "nll-drift", "needles-by-age", "cost-decode"]
    pareto = found["pareto-frame-tokens"]
    assert set(pareto) == set(METHODS)
    first = METHODS.index("ReSV") + 1
    assert pareto["ReSV"] == [(100 * b, pytest.approx(0.1 * first / b, abs=1e-4)) for b in BUDGETS]
    assert found["nll-drift"]["held-out text"][-1] == (8192.0, -0.003)
    assert found["needles-by-age"]["ReSV"][0] == (12.5, 1.0)
    assert len(found["needles-by-age"]["ReSV"]) == 4
    assert found["cost-decode"] == {"dense": [(8.0, 1.5), (32.0, 1.5)], "torch": [(8.0, 2.5), (32.0, 2.5)]}


def test_every_figure_becomes_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'edgevid[dev]'")
    written = draw(figures(some_rows()), tmp_path / "plots")
    assert [path.name for path in written][:2] == ["pareto-frame-tokens.png", "nll-drift.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_without_matplotlib_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPartError, match="matplotlib"):
        draw(figures(some_rows()), tmp_path / "plots")
    assert not (tmp_path / "plots").exists()
