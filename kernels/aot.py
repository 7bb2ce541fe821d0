"""Compiles ahead of time, without a driver: ``python -m edgevid.kernels.aot --out DIR --targets 87,90,110``.

For every target one folder ``sm_CC`` with, per kernel of every op, ``NAME.cubin``, ``NAME.ptx``, ``NAME.h``
(the cubin as a C array, and how to launch it), and ``manifest.json``: arguments in order, constants, grid,
threads and bytes of shared memory. A target is compiled in a process of its own, since Triton aborts the
process for one it does not know, and its folder appears whole or not at all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from edgevid.core.errors import EdgevidError, MissingPartError, UsageError
from edgevid.kernels.build import Build, Shape

OPS = (
    "paged_attention",
    "kv_append",
    "kv_seal",
    "hash_codes",
    "cluster_assign",
    "cluster_scores",
    "select_mass",
    "cluster_estimate",
    "cluster_moments",
    "conv1d_int8",
)
TARGETS = (87, 90, 110)
"""Orin, H100 and H200, Thor."""
SCRATCH = ("global_scratch", "profile_scratch")
"""Pointers Triton appends to every kernel's arguments; null, since no kernel here asks for scratch."""


def builds(shape: Shape, only: Iterable[str] = ()) -> list[Build]:
    """All kernels of all ops, or those named."""
    found = [build for op in OPS for build in import_module(f"edgevid.kernels.{op}").builds(shape)]
    wanted = set(only)
    if unknown := wanted - {build.name for build in found}:
        raise UsageError(
            f"there is no kernel {', '.join(sorted(unknown))}", fix="; ".join(build.name for build in found)
        )
    return [build for build in found if not wanted or build.name in wanted]


def compile_build(build: Build, target: int) -> dict[str, Any]:
    """``{"cubin", "ptx", "entry"}`` of one kernel, and what a launch must know."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = build.kernel.arg_names
    signature = {name: build.types.get(name, "constexpr") for name in names}
    pointers = [name for name in names if signature[name].startswith("*")]
    source = ASTSource(
        fn=build.kernel,
        signature=signature,
        constexprs=build.constants,
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in pointers},
    )
    options = {"num_warps": build.warps, "enable_fp_fusion": True}
    made = triton.compile(source, target=GPUTarget("cuda", target, 32), options=options)
    if made.metadata.global_scratch_size or made.metadata.profile_scratch_size:
        raise EdgevidError(f"{build.name} wants scratch memory, which no launch gives it")
    return {
        "cubin": made.asm["cubin"],
        "ptx": made.asm["ptx"],
        "entry": made.metadata.name,
        "threads": build.warps * 32,
        "shared_bytes": made.metadata.shared,
    }


def write_target(out: Path, target: int, shape: Shape, only: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Compile everything for one target into ``out/sm_CC``; returns the manifest's entries."""
    out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".sm_{target}_", dir=out))
    try:
        chosen = builds(shape, only)
        entries = []
        for number, build in enumerate(chosen, 1):
            began = time.monotonic()
            entries.append(_write(staging, build, target))
            print(
                f"sm_{target} {number}/{len(chosen)} {build.name}: {entries[-1]['cubin_bytes']} bytes, "
                f"{time.monotonic() - began:.1f} s",
                file=sys.stderr,
                flush=True,
            )
        manifest = {"target": f"sm_{target}", "shape": asdict(shape), "kernels": entries}
        (staging / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        staging.chmod(0o755)
        final = out / f"sm_{target}"
        shutil.rmtree(final, ignore_errors=True)
        staging.replace(final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return entries


def _write(folder: Path, build: Build, target: int) -> dict[str, Any]:
    made = compile_build(build, target)
    cubin = made.pop("cubin")
    (folder / f"{build.name}.cubin").write_bytes(cubin)
    (folder / f"{build.name}.ptx").write_text(made.pop("ptx"))
    arguments = [
        {"name": name, "type": build.types[name]} for name in build.kernel.arg_names if name in build.types
    ]
    entry = {
        "name": build.name,
        **made,
        "arguments": [*arguments, *({"name": name, "type": "*i8"} for name in SCRATCH)],
        "constants": build.constants,
        "grid": build.grid,
        "cubin_bytes": len(cubin),
        "cubin_sha256": hashlib.sha256(cubin).hexdigest(),
    }
    (folder / f"{build.name}.h").write_text(_header(entry, cubin, target))
    return entry


def _header(entry: dict[str, Any], cubin: bytes, target: int) -> str:
    symbol = f"ev_{entry['name']}_sm{target}"
    arguments = ", ".join(f"{a['type']} {a['name']}" for a in entry["arguments"])
    constants = ", ".join(f"{name}={value}" for name, value in entry["constants"].items())
    lines = [", ".join(f"0x{byte:02x}" for byte in cubin[at : at + 16]) for at in range(0, len(cubin), 16)]
    return (
        f"// {entry['name']} for sm_{target}, compiled by Triton; load with cuModuleLoadData.\n"
        f"//   arguments  {arguments}\n"
        f"//   constants  {constants}\n"
        f"//   grid       {', '.join(entry['grid'])}\n"
        f"// Pointers are 16-byte aligned; {' and '.join(SCRATCH)} are null.\n"
        f"#pragma once\n\n"
        f'#define {symbol.upper()}_ENTRY "{entry["entry"]}"\n'
        f"#define {symbol.upper()}_THREADS {entry['threads']}\n"
        f"#define {symbol.upper()}_SHARED_BYTES {entry['shared_bytes']}\n\n"
        f"static const unsigned char {symbol}[{len(cubin)}] = {{\n  " + ",\n  ".join(lines) + "\n};\n"
    )


def run_targets(out: Path, targets: Sequence[int], arguments: Sequence[str]) -> None:
    """Compile each target in a process of its own.

    Raises:
        EdgevidError: one failed; the others are done.
    """
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    failed = []
    for target in targets:
        command = [sys.executable, "-m", __spec__.name if __spec__ else __name__]
        command += ["--out", str(out), "--targets", str(target), "--here", *arguments]
        if (status := subprocess.run(command, env=environment, check=False).returncode) != 0:
            failed.append(f"sm_{target} (status {status})")
            for staging in out.glob(f".sm_{target}_*"):  # of a process that was aborted
                shutil.rmtree(staging, ignore_errors=True)
    if failed:
        raise EdgevidError(f"not compiled: {', '.join(failed)}", fix=f"known to work: {TARGETS}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit codes as everywhere."""
    parser = argparse.ArgumentParser(prog="python -m edgevid.kernels.aot", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for sm_CC/")
    parser.add_argument(
        "--targets",
        type=_numbers,
        default=TARGETS,
        metavar="CC,CC",
        help="compute capabilities (default 87,90,110)",
    )
    parser.add_argument("--only", default="", help="names of kernels, with commas (default all)")
    parser.add_argument("--here", action="store_true", help="compile in this process (one target)")
    for name, value in asdict(Shape()).items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, default=value, help="(default %(default)s)"
        )
    args = parser.parse_args(argv)
    shape = Shape(**{name: getattr(args, name) for name in asdict(Shape())})
    only = [name for name in args.only.split(",") if name]
    try:
        if args.here:
            for target in args.targets:
                write_target(args.out, target, shape, only)
        else:
            same = [f"--{name.replace('_', '-')}={value}" for name, value in asdict(shape).items()]
            run_targets(args.out, args.targets, [f"--only={args.only}", *same])
    except ImportError as error:
        return _fail(MissingPartError(f"{error.name} is not installed", fix="pip install 'edgevid[gpu]'"))
    except EdgevidError as error:
        return _fail(error)
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _fail(error: EdgevidError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
