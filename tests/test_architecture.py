"""The import levels of docs/ARCHITECTURE.md, kept by reading every import statement."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "edgevid"
_ROOMS_BY_LEVEL = (
    ("core", "_native", "kernels"),
    ("ops",),
    ("media", "models"),
    ("runtime", "perception", "memory"),
    ("stream", "lipsync", "search", "agent"),
    ("train", "integrations", "bench"),
    ("app",),
)
LEVELS = {room: level for level, rooms in enumerate(_ROOMS_BY_LEVEL) for room in rooms}
SEALED = {"stream", "lipsync", "search", "agent"}  # workloads never import each other
PEERS = {("perception", "memory"), ("memory", "perception"), ("runtime", "memory"), ("media", "models")}


def imports_of(path: Path) -> list[tuple[str, int]]:
    """Rooms of edgevid that the module imports, at any depth, with line numbers."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "edgevid" and len(parts) > 1 and parts[1] in LEVELS:
                found.append((parts[1], node.lineno))
    return found


def test_no_room_imports_upwards_or_another_workload() -> None:
    broken = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        if room not in LEVELS:
            continue
        for target, line in imports_of(path):
            upwards = LEVELS[target] > LEVELS[room]
            sideways = target != room and ((room in SEALED and target in SEALED) or (room, target) in PEERS)
            if upwards or sideways:
                broken.append(f"{path.relative_to(PACKAGE.parent)}:{line} imports {target}")
    assert broken == []


def test_every_folder_has_a_level() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= set(LEVELS)


@pytest.mark.parametrize("heavy", ["av", "onnxruntime", "click", "rich", "numpy"])
def test_importing_edgevid_loads_nothing_heavy(heavy: str) -> None:
    code = f"import edgevid, sys; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_file_is_longer_than_600_lines() -> None:
    root = PACKAGE.parent
    sources = [
        p
        for pattern in ("*.py", "*.cc", "*.h", "*.cu")
        for d in ("edgevid", "csrc", "tests", "bench")
        for p in (root / d).rglob(pattern)
    ]
    assert sources
    long = {str(p.relative_to(root)): n for p in sources if (n := len(p.read_text().splitlines())) > 600}
    assert long == {}
