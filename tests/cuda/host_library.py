"""Builds csrc/cuda for the host."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "csrc" / "cuda"


def build_host_library(folder: Path) -> Path:
    """The library's path; skips without CMake or a C++ compiler."""
    if not shutil.which("cmake") or not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("no CMake or C++ compiler: apt-get install cmake g++")
    flags = ["-DEDGEVID_CUDA_HOST=ON", "-DCMAKE_CXX_FLAGS=-Werror"]
    configure = ["cmake", "-S", str(SOURCES), "-B", str(folder), *flags]
    for command in (configure, ["cmake", "--build", str(folder), "-j", "2"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "libedgevid_cuda.so"
