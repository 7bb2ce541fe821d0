"""``edgevid bench attention``: the decoder's attention, dense and retrieved, against torch at 8K, 32K, 128K.

The past is a real video, 7,700 tokens, read by SmolLM2-135M; beyond the trained context it is repeated,
every copy as far from the step as the video is (``NativeSequence.repeated``), so that the share retrieved
stays what quality was measured at. A step runs through the whole decoder, which tells what its attention
took, choosing included. torch computes ``scaled_dot_product_attention`` of the same shapes with query heads
folded into rows, in float32 and in bfloat16; the better counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from edgevid.bench.machine import Machine, matmul_rate, read_bandwidth
from edgevid.bench.report import Row, configuration
from edgevid.bench.streaming_gguf import reshaped
from edgevid.bench.streaming_speed import (
    ENOUGH,
    Timed,
    quality_share,
    roofline,
    sealed_from,
    time_steps,
    time_torch,
)
from edgevid.bench.streaming_traces import ROWS, Floats, frame_rows
from edgevid.core.errors import MissingPartError
from edgevid.core.kv_config import KV_DTYPES, KVConfig, KvDtype, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel
from edgevid.models.store import ModelStore

MODEL = "smollm2-135m-instruct"
DEPTHS = {"8K": 1, "32K": 4, "128K": 16}  # how often the video is repeated
GOALS = {  # decode over torch; frame step over our dense
    "8K": (4.0, 1.7),
    "32K": (10.0, 2.3),
    "128K": (18.0, 2.5),
}
_SEEN, _QUICK_SEEN = 7700, 2000  # rows of video
_REPETITIONS, _QUICK_REPETITIONS = 20, 5
_ROOM = 2048  # tokens of a context beyond the past


def rows(data: Path | None, *, quick: bool = False, threads: int = 0) -> Iterator[Row]:
    """Rows of the bench; ``quick`` measures one depth, 2,000 tokens, which it calls 2K.

    Raises:
        MissingPartError: the model pack or the clips are not there.
    """
    if data is None:
        raise MissingPartError("the clips are not here", fix="set EDGEVID_TEST_DATA")
    path = ModelStore().where(MODEL)["model.gguf"]
    seen, repetitions = (_QUICK_SEEN, _QUICK_REPETITIONS) if quick else (_SEEN, _REPETITIONS)
    eyes = NativeLanguageModel(path, kv=KVConfig(), threads=threads)
    stream = frame_rows(eyes, data, frames=seen // ROWS + repetitions)
    machine = Machine(read_bandwidth(eyes.threads), matmul_rate())
    yield configuration(RetrievalConfig())
    yield Row("memory read", round(machine.bytes_per_s / 1e9, 1), "GB/s", None, None, "best of 5")
    yield Row("matrix product", round(machine.flops_per_s / 1e9, 1), "GFLOP/s", None, None, "numpy, float32")
    past, steps = stream[:seen], stream[seen:]
    wanted: dict[str, float] = {}  # shares retrieved at the first depth, where quality was measured
    for name, copies in {"2K": 1}.items() if quick else DEPTHS.items():
        for dtype in KV_DTYPES:
            yield from rows_at(
                f"{name}{'' if dtype == 'f16' else ' in int8'}",
                path,
                past,
                steps,
                machine,
                RetrievalConfig(),
                copies=copies,
                dtype=dtype,
                goals=(None, None) if quick or dtype != "f16" else GOALS[name],
                repetitions=repetitions,
                threads=threads,
                wanted=wanted,
            )


def rows_at(
    name: str,
    path: Path,
    past: Floats,
    steps: Floats,
    machine: Machine,
    config: RetrievalConfig,
    *,
    copies: int,
    dtype: KvDtype,
    goals: tuple[float | None, float | None],
    repetitions: int,
    threads: int,
    wanted: dict[str, float],
) -> Iterator[Row]:
    """Rows of one depth: ``past`` [n, hidden] in ``copies``, then ``steps`` [m, hidden], each taken back.

    Args:
        goals: of decode over torch, and of a frame step over dense.
        wanted: shares that must be reached, by step; a step's first share is entered.
    """
    with TemporaryDirectory() as folder:
        tokens = len(past) * copies
        if copies > 1:
            path = reshaped(path, Path(folder) / "long.gguf", context=tokens + _ROOM)
        pages = len(past) + 2 * tokens + 4 * _ROOM  # as they came, and sealed
        model = NativeLanguageModel(path, kv=KVConfig(dtype=dtype), kv_tokens=pages, threads=threads)
        with closing(model.new_sequence()) as once:
            once.append_rows(past, logits="none")
            dense = once.repeated(copies)
        with closing(dense), closing(sealed_from(dense, steps[:1], config)) as ours:
            for what, count, torch_goal, dense_goal in (
                ("decode", 1, goals[0], None),
                ("10-row frame step", ROWS, None, goals[1]),
            ):
                taken = steps[: count * repetitions]
                if what not in wanted:
                    wanted[what] = quality_share(ours, taken, count)
                yield from _compared(
                    f"{what}, {name}",
                    model,
                    time_steps(dense, taken, count=count, repetitions=repetitions),
                    time_steps(ours, taken, count=count, repetitions=repetitions),
                    wanted[what],
                    time_torch(model, tokens=tokens, rows=count, repetitions=min(repetitions, 10)),
                    machine,
                    count=count,
                    element_bytes=2 if dtype == "f16" else 1,
                    goals=(torch_goal, dense_goal),
                    method=f"median of {repetitions}, {tokens} tokens, {model.threads} threads",
                )


def _compared(
    measure: str,
    model: NativeLanguageModel,
    whole: Timed,
    ours: Timed,
    wanted: float,
    torch: dict[str, float],
    machine: Machine,
    *,
    count: int,
    element_bytes: int,
    goals: tuple[float | None, float | None],
    method: str,
) -> Iterator[Row]:
    enough = ours.retrieved >= ENOUGH * wanted
    how = f"{wanted:.3f} when the steps of the video follow one another; {method}"
    yield Row(f"{measure}, retrieved", round(ours.retrieved, 3), "of sealed", round(wanted, 3), enough, how)
    for what, timed in (("dense", whole), ("with retrieval", ours)):
        told = f"of {model.config.layers} layers; choosing {timed.prediction:.2f} ms of it; {method}"
        yield Row(f"{measure}, {what}", round(timed.attention, 2), "ms", None, None, told)
        told = f"{measure}, {what}, share of roofline"
        yield roofline(told, model, timed, machine, rows=count, element_bytes=element_bytes)
    ratio = whole.attention / ours.attention
    yield _against(f"{measure}, over our dense", ratio, goals[1], enough, method)
    if not torch:
        missing = "torch is not installed: pip install torch"
        yield Row(f"{measure}, over torch", None, "x", goals[0], None, missing)
        return
    best = min(torch.values())
    how = ", ".join(f"torch {dtype} {ms:.2f} ms" for dtype, ms in torch.items())
    how += ", median of 10 at most, after ours; of more than 2 GB a few layers stand for all"
    yield _against(f"{measure}, over torch", best / ours.attention, goals[0], enough, f"{how}; {method}")
    ratio = best / whole.attention
    yield Row(f"{measure}, our dense over torch", round(ratio, 2), "x", None, None, f"{how}; {method}")


def _against(measure: str, ratio: float, goal: float | None, enough: bool, method: str) -> Row:
    passed = None if goal is None else ratio >= goal and enough
    return Row(measure, round(ratio, 2), "x", goal, passed, method)
