"""Running a network: one interface, whatever library computes it. onnxruntime is the one that ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError, MissingPartError
from edgevid.models.hashing import sha256_of

Array = npt.NDArray[Any]
Device = Literal["cpu", "cuda", "tensorrt"]

_PROVIDERS: dict[Device, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a network; a dimension that is free is None or its symbol's name."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What runs: ``backend`` is the library, ``threads`` how many a run may use, ``providers`` where,
    ``metadata`` what the file says of itself."""

    name: str
    backend: str
    threads: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    providers: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


class Session(Protocol):
    """A loaded network. `run` may be called from several threads."""

    @property
    def info(self) -> SessionInfo: ...

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> tuple[Array, ...]:
        """Compute `outputs` (all, in the order of ``info.outputs``, by default) from `inputs` by name.

        Raises:
            ValueError: an input or output has the wrong name, rank or dtype; the message names the network.
        """


class OnnxSession:
    """A `Session` on onnxruntime. Made by `onnx_session`."""

    def __init__(self, session: Any, *, name: str, threads: int) -> None:
        self._session = session
        self.info = SessionInfo(
            name=name,
            backend="onnxruntime",
            threads=threads,
            inputs=tuple(_port(node) for node in session.get_inputs()),
            outputs=tuple(_port(node) for node in session.get_outputs()),
            providers=tuple(session.get_providers()),
            metadata=dict(session.get_modelmeta().custom_metadata_map),
        )

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> tuple[Array, ...]:
        """See `Session.run`."""
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        try:
            return tuple(self._session.run(None if outputs is None else list(outputs), dict(inputs)))
        except (InvalidArgument, Fail, RuntimeException, ValueError) as error:
            raise ValueError(f"{self.info.name}: {_first_line(error)}") from None


def onnx_session(
    path: Path,
    *,
    threads: int = 1,
    device: Device = "cpu",
    name: str | None = None,
    sha256: str | None = None,
) -> OnnxSession:
    """Load an ONNX or ORT file.

    Files from `ModelStore.where` are already hashed; `sha256` is for a file that comes another way. On the
    CPU, results are the same on every run with the same number of threads.

    Args:
        threads: how many threads one run may use; idle ones sleep, they do not spin.
        device: where to compute; what cuda and tensorrt cannot do runs on the CPU. Only cpu was ever run.
        name: what errors and metrics call it; the file's name by default.

    Raises:
        BadModelError: no such file, a wrong hash, not a model onnxruntime can load, or one that takes or
            gives something else than tensors of numbers.
        MissingPartError: the installed onnxruntime has nothing for `device`, or the device does not work.
    """
    import onnxruntime as ort

    provider = _PROVIDERS[device]
    if provider not in ort.get_available_providers():
        raise MissingPartError(
            f"the installed onnxruntime {ort.__version__} cannot compute on {device}",
            fix="install the onnxruntime-gpu build for this machine in place of onnxruntime",
        )
    if threads < 1:
        raise ValueError(f"threads is {threads}, must be at least 1")
    if not path.is_file():
        raise BadModelError(f"{path}: no such file", fix="check the path")
    if sha256 is not None and (digest := sha256_of(path)) != sha256:
        raise BadModelError(f"{path}: sha256 is {digest}, expected {sha256}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what is wrong reaches the caller as an exception, once
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(
            str(path), options, providers=list(dict.fromkeys((provider, _PROVIDERS["cpu"])))
        )
    except Exception as error:  # onnxruntime has ten unrelated classes for "this is no model"
        raise BadModelError(f"{path}: onnxruntime cannot load it: {_first_line(error)}") from None
    if provider not in session.get_providers():  # onnxruntime falls back without a word
        raise MissingPartError(f"{device} does not work on this machine", fix="edgevid doctor")
    for node in (*session.get_inputs(), *session.get_outputs()):
        if node.type not in _DTYPES:
            raise BadModelError(
                f"{path}: {node.name} is a {node.type}", fix=f"use one of {', '.join(_DTYPES)}"
            )
    return OnnxSession(session, name=name or path.name, threads=threads)


def _port(node: Any) -> Port:
    return Port(node.name, tuple(node.shape), _DTYPES[node.type])


_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int16)": np.dtype(np.int16),
    "tensor(uint16)": np.dtype(np.uint16),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(uint32)": np.dtype(np.uint32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(uint64)": np.dtype(np.uint64),
    "tensor(bool)": np.dtype(np.bool_),
}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
