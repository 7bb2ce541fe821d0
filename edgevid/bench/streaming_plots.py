"""Pictures of what ``edgevid bench streaming`` and ``attention`` found, from their rows, by matplotlib."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgevid.bench.report import Row
from edgevid.core.errors import MissingPartError

_PARETO = re.compile(r"E1 (\w+), (\d+)% of (tokens|bytes), output error( with estimates)?")
_RIVALS = re.compile(r"rivals: ([^;]+);")
_DRIFT = re.compile(r"E2 (.+), to (\d+)")
_AGE = re.compile(r"E3 (\w+), age (\d+)% to (\d+)%")
_COST = re.compile(r"(decode|10-row frame step), (\d+)K, (dense|with retrieval)")
_FLAT = re.compile(r"flat cost, p95 up to ([\d.]+) h")
_TORCH = re.compile(r"(decode|10-row frame step), (\d+)K, over torch")
_TORCH_MS = re.compile(r"torch \w+ ([\d.]+) ms")

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """Lines by name over named axes; its file is ``name.png``."""

    name: str
    x: str
    y: str
    log: str = ""
    lines: dict[str, Points] = field(default_factory=dict)

    def add(self, line: str, x: float, y: float) -> None:
        """One more point of ``line``."""
        self.lines.setdefault(line, []).append((x, y))


def figures(rows: Iterable[Row]) -> list[Figure]:
    """What ``rows`` tell: E1's Pareto fronts, E2's drift, E3 by age, cost against length; none of the
    others."""
    found: dict[str, Figure] = {}
    for row in rows:
        if isinstance(row.value, (int, float)):
            for add in (_pareto, _drift, _age, _cost, _flat):
                add(row, float(row.value), found)
    return list(found.values())


def library() -> Any:
    """What :func:`draw` draws with.

    Raises:
        MissingPartError: matplotlib is not installed.
    """
    try:
        return importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise MissingPartError("plots need matplotlib", fix="pip install 'edgevid[plots]'") from error


def draw(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Write a PNG per figure into ``folder``, which is made.

    Raises:
        MissingPartError: see :func:`library`.
    """
    canvas = library()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in figures:
        picture = canvas.Figure(figsize=(6, 4), dpi=120, layout="constrained")
        axes = picture.add_subplot()
        for name, points in figure.lines.items():
            axes.plot(*zip(*sorted(points)), marker="o", label=name)
        axes.set(title=figure.name, xlabel=figure.x, ylabel=figure.y)
        if "x" in figure.log:
            axes.set_xscale("log", base=2)
        if "y" in figure.log:
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
        axes.legend()
        written.append(folder / f"{figure.name}.png")
        picture.savefig(written[-1])
    return written


def _pareto(row: Row, value: float, found: dict[str, Figure]) -> None:
    if match := _PARETO.fullmatch(row.measure):
        stage, percent, unit, estimated = match.groups()
        name = f"pareto-{stage}-{unit}"
        figure = found.setdefault(name, Figure(name, f"share of the past's {unit}, %", "output error", "y"))
        figure.add("estimated" if estimated else "ReSV", float(percent), value)
        if estimated:
            return
        if rivals := _RIVALS.search(row.method):
            for rival in rivals.group(1).split(", "):
                method, error = rival.rsplit(" ", 1)
                figure.add(method, float(percent), float(error))


def _drift(row: Row, value: float, found: dict[str, Figure]) -> None:
    if match := _DRIFT.fullmatch(row.measure):
        figure = Figure("nll-drift", "up to this position", "NLL minus dense, nats", "x")
        found.setdefault(figure.name, figure).add(match.group(1), float(match.group(2)), value)


def _age(row: Row, value: float, found: dict[str, Figure]) -> None:
    if match := _AGE.fullmatch(row.measure):
        way, low, high = match.groups()
        figure = Figure("needles-by-age", "age, % of the stream", "answers right")
        found.setdefault(figure.name, figure).add(way, (float(low) + float(high)) / 2, value)


def _cost(row: Row, value: float, found: dict[str, Figure]) -> None:
    own, torch = _COST.fullmatch(row.measure), _TORCH.fullmatch(row.measure)
    if (match := own or torch) is None:
        return
    step, thousands = match.group(1), float(match.group(2))
    name = f"cost-{step.replace(' ', '-')}"
    figure = found.setdefault(name, Figure(name, "thousands of tokens", "ms a layer", "xy"))
    if own:
        figure.add(own.group(3), thousands, value)
    elif times := [float(ms) for ms in _TORCH_MS.findall(row.method)]:
        figure.add("torch", thousands, min(times))


def _flat(row: Row, value: float, found: dict[str, Figure]) -> None:
    if match := _FLAT.fullmatch(row.measure):
        figure = Figure("cost-of-hours", "hours of stream", "p95 of a frame, ms")
        found.setdefault(figure.name, figure).add("under caps", float(match.group(1)), value)
