"""The host shim is a faithful enough device; the sources compile for real ones where nvcc is installed."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.cuda.host_library import SOURCES, build_host_library

CSRC = SOURCES.parent
KERNEL = """
#include "cuda/device.h"
using namespace ev::cuda;
namespace {
__global__ void sums(int* out) {
  const int in_block = reduce_block(static_cast<int>(threadIdx.x), Sum());
  const int in_warp = reduce_warp(static_cast<int>(threadIdx.x), Sum());
  out[blockIdx.x * blockDim.x + threadIdx.x] = in_block * 10000 + in_warp;
}
__global__ void diverge(int*) {
  if (threadIdx.x < 5) __syncthreads(); else __syncwarp();
}
}
extern "C" int run(int which, int* out) { return launch(which ? diverge : sums, dim3(3), 96, nullptr, out); }
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with two small kernels."""
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if compiler is None:
        pytest.skip("no C++ compiler: apt-get install g++")
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.cu").write_text(KERNEL)
    flags = ["-std=c++17", "-O1", "-fPIC", "-shared", f"-I{CSRC}", "-xc++"]
    sources = [str(folder / "toy.cu"), str(SOURCES / "shim" / "device.cc")]
    subprocess.run([compiler, *flags, *sources, "-o", str(folder / "toy.so")], check=True)
    return folder / "toy.so"


def test_threads_reduce_over_warps_and_blocks(toy: Path) -> None:
    out = np.zeros(3 * 96, np.int32)
    assert ctypes.CDLL(str(toy)).run(0, out.ctypes.data_as(ctypes.c_void_p)) == 0
    threads = np.arange(96)
    of_warp = threads.reshape(3, 32).sum(axis=1).repeat(32)
    assert np.array_equal(out.reshape(3, 96), np.tile(threads.sum() * 10000 + of_warp, (3, 1)))


def test_a_barrier_that_some_never_reach_is_found(toy: Path) -> None:
    code = f"import ctypes; ctypes.CDLL({str(toy)!r}).run(1, None)"
    done = subprocess.run(["python3", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "thread 0 waits at a barrier that others never reach" in done.stderr


def test_float16_is_that_of_numpy(tmp_path: Path) -> None:
    library = ctypes.CDLL(str(build_host_library(tmp_path)))
    to_float, to_half = library._Z12__half2float6__half, library._Z15__float2half_rnf
    to_half_up = library._Z15__float2half_ruf
    to_float.restype, to_float.argtypes = ctypes.c_float, [ctypes.c_uint16]
    for to in (to_half, to_half_up):
        to.restype, to.argtypes = ctypes.c_uint16, [ctypes.c_float]
    halves = np.arange(1 << 16, dtype=np.uint16)
    values = halves.view(np.float16).astype(np.float32)
    assert np.array_equal([to_float(int(h)) for h in halves], values, equal_nan=True)
    between = np.nextafter(values[:31744], np.float32(np.inf))
    middles = (values[:31743] + values[1:31744]) / 2
    random = np.random.default_rng(0).integers(0, 1 << 32, 20000, dtype=np.uint32).view(np.float32)
    for sample in (values, between, middles, -middles, random):
        with np.errstate(over="ignore", invalid="ignore"):
            want = sample.astype(np.float16)
        got = np.array([to_half(float(x)) for x in sample], np.uint16).view(np.float16)
        assert np.array_equal(got, want, equal_nan=True)
        up = np.array([to_half_up(float(x)) for x in sample], np.uint16).view(np.float16)
        with np.errstate(over="ignore"):
            above = np.where(want.astype(np.float32) < sample, np.nextafter(want, np.float16(np.inf)), want)
        assert np.array_equal(up, above, equal_nan=True)


def nvcc() -> str:
    found = shutil.which(os.environ.get("CUDACXX", "nvcc"))
    if found is None:
        pytest.skip("nvcc is not installed: CUDA toolkit 12.8 or newer")
    return found


def test_a_kernel_compiles_for_a_device(tmp_path: Path) -> None:
    out = tmp_path / "kv_append.o"
    flags = ["-std=c++17", "-arch=sm_87", f"-I{CSRC}", "-c", "-Werror", "all-warnings"]
    subprocess.run([nvcc(), *flags, str(SOURCES / "kv_append.cu"), "-o", str(out)], check=True)
    assert out.stat().st_size > 0


@pytest.mark.soak
def test_the_library_compiles_for_every_device(tmp_path: Path) -> None:
    configure = ["cmake", "-S", str(SOURCES), "-B", str(tmp_path), "-DCMAKE_CUDA_ARCHITECTURES=87;90;110"]
    subprocess.run([*configure, f"-DCMAKE_CUDA_COMPILER={nvcc()}"], check=True)
    subprocess.run(["cmake", "--build", str(tmp_path)], check=True)
    library = (tmp_path / "libedgevid_cuda.so").read_bytes()
    assert all(name in library for name in (b"ev_cuda_paged_attention", b"ev_cuda_select_mass"))
