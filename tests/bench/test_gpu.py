"""The GPU bench: refuses without a device; its cases pass where kernels are played."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.bench.gpu import markdown, real_devices, rows_of
from edgevid.bench.gpu_cases import Sizes, cases
from edgevid.bench.report import report
from edgevid.ops.cuda_ops import VARIABLE, CudaDevice
from edgevid.ops.gpu_ops import GpuOps
from tests.cuda.host_library import build_host_library

SMALL = Sizes(tokens=70, rows=2, num_kv_heads=2, group=2, head_dim=16)


def test_without_a_device_it_says_so_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgevid.bench.gpu", "--out", str(tmp_path / "out")]
    environment = {"PATH": "/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("error: no GPU to run kernels on: triton: ")
    assert "cuda: no CUDA library" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_every_kernel_passes_and_is_timed_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(build_host_library(tmp_path)))
    rows = rows_of("cuda", CudaDevice(), SMALL, budget_s=0.01)
    errors, times = rows[::2], rows[1::2]
    assert len(errors) == len(times) == 25
    assert [row.measure for row in errors if not row.passed] == []
    assert all(isinstance(row.value, float) and row.value > 0 for row in times)
    envelope = report("gpu", rows, threads=1)
    assert json.loads(json.dumps(envelope)) == envelope
    assert len(markdown(envelope).splitlines()) == len(rows) + 6
    _, missing = real_devices()
    assert "cuda: host shim is no device" in missing


def test_a_wrong_kernel_fails() -> None:
    class Wrong(CudaDevice):
        def __init__(self) -> None:
            self.name, self.record = "wrong", [lambda: None]

        def synchronize(self) -> None:
            pass

        def hash_codes(self, keys: Any, centre: Any, planes: Any) -> Any:
            return np.zeros(len(keys), np.uint32)

    (case,) = [c for c in cases(SMALL) if c.what.startswith("hash_codes")]
    assert case.error(GpuOps(Wrong())) > case.bound
