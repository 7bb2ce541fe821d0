"""The ahead-of-time compiler: real cubins without a driver, folders whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgevid.kernels.build import ceil_div, power_of_two

TARGETS = (87, 90, 110)
KERNELS = 28


@pytest.fixture(autouse=True)
def _needs_triton() -> None:
    for module in ("triton", "torch"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'edgevid[gpu]'")


def aot(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgevid.kernels.aot", "--out", str(out), *arguments]
    environment = {**os.environ, "TRITON_CACHE_DIR": str(out.parent / "triton"), "TRITON_INTERPRET": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def check(folder: Path, kernels: int) -> list[dict[str, Any]]:
    """Every kernel of the manifest is there, as it says."""
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["target"] == folder.name
    entries: list[dict[str, Any]] = manifest["kernels"]
    assert len(entries) == kernels
    for entry in entries:
        cubin = (folder / f"{entry['name']}.cubin").read_bytes()
        assert cubin[:4] == b"\x7fELF"
        assert len(cubin) == entry["cubin_bytes"]
        assert hashlib.sha256(cubin).hexdigest() == entry["cubin_sha256"]
        ptx = (folder / f"{entry['name']}.ptx").read_text()
        assert f".target {folder.name}" in ptx
        declared = ptx[ptx.index(".entry") : ptx.index(")", ptx.index(".entry"))]
        assert entry["entry"] in declared
        assert declared.count(".param") == len(entry["arguments"])
        assert entry["shared_bytes"] <= 100 * 1024  # what a block may have on the smallest target
    return entries


def test_one_kernel_for_one_target(tmp_path: Path) -> None:
    done = aot(tmp_path / "out", "--targets", "87", "--only", "kv_append")
    assert done.returncode == 0, done.stderr
    assert "sm_87 1/1 kv_append" in done.stderr
    folder = tmp_path / "out" / "sm_87"
    (entry,) = check(folder, 1)
    assert [a["name"] for a in entry["arguments"]][:3] == ["k", "v", "slots"]
    if compiler := shutil.which("cc"):
        header = folder / "kv_append.h"
        subprocess.run([compiler, "-std=c99", "-fsyntax-only", "-xc", str(header)], check=True)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["sm_87"]


@pytest.mark.soak
def test_every_kernel_for_every_target(tmp_path: Path) -> None:
    done = aot(tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for target in TARGETS:
        check(tmp_path / "out" / f"sm_{target}", KERNELS)


def test_a_target_that_triton_does_not_know_leaves_nothing(tmp_path: Path) -> None:
    done = aot(tmp_path / "out", "--targets", "101", "--only", "kv_append")
    assert done.returncode == 1
    assert "not compiled: sm_101" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_kernel_is_named(tmp_path: Path) -> None:
    done = aot(tmp_path / "out", "--targets", "87", "--only", "nothing")
    assert "there is no kernel nothing (fix: paged_attention_decode; " in done.stderr
    assert done.returncode != 0
    assert aot(tmp_path / "out", "--targets", "x").returncode == 2


def test_arithmetic_of_launches() -> None:
    assert [ceil_div(n, 16) for n in (0, 1, 16, 17)] == [0, 1, 1, 2]
    assert [power_of_two(n) for n in (0, 1, 16, 17, 64, 65)] == [16, 16, 16, 32, 64, 128]
    assert power_of_two(1, least=1) == 1
