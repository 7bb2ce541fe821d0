"""Everything about the GPU kernels on a device: ``python -m edgevid.bench.gpu --out report``.

Runs the Triton kernels, and the CUDA kernels when ``$EDGEVID_CUDA_LIBRARY`` names their library, at a model's
size: each against its numpy reference, then timed; with a source tree also every test of ``tests/kernels``.
Writes ``report.json`` (the envelope of every bench), ``report.md``. Without a device: one line, exit code 4.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgevid.bench.gpu_cases import Case, Sizes, cases
from edgevid.bench.report import Row, report
from edgevid.core.errors import EdgevidError, MissingPartError
from edgevid.ops.cuda_ops import CudaDevice
from edgevid.ops.gpu_ops import Device, GpuOps
from edgevid.ops.triton_ops import TritonDevice

BUDGET_S = 0.5
"""Of launches per timing; the median of five such."""


def real_devices() -> tuple[dict[str, Device], list[str]]:
    """The kernels that have hardware here, and why the others have none."""
    found: dict[str, Device] = {}
    missing = []
    for name, make in (("triton", TritonDevice), ("cuda", CudaDevice)):
        try:
            device: Device = make()
        except MissingPartError as error:
            missing.append(f"{name}: {error}")
            continue
        if device.played:
            missing.append(f"{name}: {device.name} is no device")
        else:
            found[name] = device
    return found, missing


def rows_of(backend: str, device: Device, sizes: Sizes, *, budget_s: float = BUDGET_S) -> list[Row]:
    """Two rows per kernel: its error, and its time per launch."""
    rows = []
    for case in cases(sizes):
        device.record = []
        error = case.error(GpuOps(device))
        again, device.record = device.record[-1], None
        method = f"{backend} on {device.name}, largest difference from the numpy reference"
        value = error if math.isfinite(error) else "no number"
        rows.append(Row(f"{case.what}: error", value, "", case.bound, error <= case.bound, method))
        rows.append(_timing(backend, device, case, again, budget_s))
    return rows


def _timing(backend: str, device: Device, case: Case, again: Callable[[], object], budget_s: float) -> Row:
    launches = max(1, int(budget_s / 5 / max(_seconds(again, device, 1), 1e-6)))
    each = sorted(_seconds(again, device, launches) for _ in range(5))[2]
    method = f"{backend} on {device.name}, median of 5 x {launches} launches from Python, data on the device"
    if case.bytes_moved:
        method += f", {case.bytes_moved / each / 1e9:.1f} GB/s"
    return Row(f"{case.what}: time", round(each * 1e6, 2), "us", None, None, method)


def _seconds(again: Callable[[], object], device: Device, launches: int) -> float:
    device.synchronize()
    began = time.perf_counter()
    for _ in range(launches):
        again()
    device.synchronize()
    return (time.perf_counter() - began) / launches


def tests_row(tree: Path) -> Row:
    """The kernels' own tests on this device, long forms too, when there is a source tree."""
    if not (tree / "tests" / "kernels").is_dir():
        return Row("tests/kernels", None, "failures", 0, None, f"no source tree in {tree}")
    command = [sys.executable, "-m", "pytest", "tests/kernels", "-q", "-m", "", "--no-header"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
    failed = sum(line.startswith(("FAILED", "ERROR")) for line in lines) or done.returncode
    return Row("tests/kernels", failed, "failures", 0, done.returncode == 0, lines[-1])


def markdown(envelope: dict[str, Any]) -> str:
    """The report as a table."""
    head = ["| measure | value | goal | pass | method |", "|---|---|---|---|---|"]
    lines = [
        f"| {r['measure']} | {r['value']} {r['unit']} | {r['goal']} | {r['pass']} | {r['method']} |"
        for r in envelope["rows"]
    ]
    return f"# GPU kernels\n\n{envelope['machine']}\n\n" + "\n".join([*head, *lines]) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m edgevid.bench.gpu", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=Path("gpu-report"), help="folder (default %(default)s)")
    parser.add_argument(
        "--tokens", type=int, default=Sizes().tokens, help="in the cache (default %(default)s)"
    )
    args = parser.parse_args(argv)
    try:
        devices, missing = real_devices()
        if not devices:
            raise MissingPartError("no GPU to run kernels on: " + "; ".join(missing))
        sizes = Sizes(tokens=args.tokens)
        rows = [row for name, device in devices.items() for row in rows_of(name, device, sizes)]
        rows += [Row(name.split(":")[0], None, "", None, None, name) for name in missing]
        rows.append(tests_row(Path.cwd()))
    except EdgevidError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    envelope = report("gpu", rows, threads=1)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "report.json").write_text(json.dumps(envelope, indent=1) + "\n")
    (args.out / "report.md").write_text(markdown(envelope))
    print(markdown(envelope))
    return 1 if any(row.passed is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
