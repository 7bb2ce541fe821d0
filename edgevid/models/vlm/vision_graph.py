"""A vision tower and its connector as an ONNX file, built node by node from the weights: no torch, no
tracing.

::

    pixels f32 [1, 3, side, side] -> vision.onnx -> rows f32 [rows, hidden of the text model]
                                     vision.data: the weights, 4096-aligned, mapped by onnxruntime
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError
from edgevid.models.convert.graph import GraphWriter
from edgevid.models.vlm.tower import Activation, Tower, TowerWeights

_ALIGN = 4096
_INLINE = 1024  # bytes; smaller tensors stay in the graph


def write_vision(folder: Path, tower: Tower, weights: TowerWeights) -> int:
    """Write vision.onnx and vision.data into ``folder``; returns the length of a row.

    Raises:
        BadModelError: a tensor is missing or does not fit the others.
    """
    with (folder / "vision.data").open("wb") as data:
        builder = _Builder(tower, weights, _ExternalWriter("vision", data))
        hidden = builder.build()
    builder.graph.save(folder / "vision.onnx")
    return hidden


class _ExternalWriter(GraphWriter):
    """Puts weights into a file of their own: a graph with them inside could not exceed 2 GiB."""

    def __init__(self, name: str, data: BinaryIO) -> None:
        super().__init__(name)
        self._data = data

    def weight(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> str:
        import onnx
        import onnx.helper

        array = np.asarray(value, dtype=dtype)
        if array.nbytes <= _INLINE:
            return super().weight(name, array)
        array = np.ascontiguousarray(array)
        self._data.write(bytes(-self._data.tell() % _ALIGN))
        tensor = onnx.TensorProto(name=name, dims=array.shape)
        tensor.data_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": Path(self._data.name).name, "offset": self._data.tell(), "length": array.nbytes}
        for key, entry in place.items():
            tensor.external_data.add(key=key, value=str(entry))
        self._data.write(array.data)
        self._weights.append(tensor)
        return name

    def save(self, path: Path) -> None:
        """Write and check the graph; its data must lie beside it by now."""
        import onnx.checker

        path.write_bytes(self.model().SerializeToString(deterministic=True))
        try:
            onnx.checker.check_model(str(path), full_check=True)
        except Exception as error:  # the checker and shape inference have unrelated classes
            raise BadModelError(f"vision tower: {str(error).strip().splitlines()[0][:200]}") from None


class _Builder:
    """Adds the nodes of one tower; rows are two-dimensional throughout, [tokens, width]."""

    def __init__(self, tower: Tower, weights: TowerWeights, graph: _ExternalWriter) -> None:
        self.graph = graph
        self._tower = tower
        self._weights = weights
        self._scalars: set[str] = set()
        self._width = self._outputs("patch.weight")
        if self._width % tower.heads:
            raise BadModelError(f"vision tower: {tower.heads} heads do not divide its width of {self._width}")

    def build(self) -> int:
        """All nodes; returns the length of an output row."""
        rows = self._embedded()
        states = {0: rows}
        for block in range(max(self._tower.taken)):
            rows = self._block(f"block.{block}", rows)
            states[block + 1] = rows
        taken = [states[index] for index in self._tower.taken]
        rows = taken[0] if len(taken) == 1 else self.graph.node("Concat", taken, "taken", axis=1)
        if self._tower.post_norm:
            rows = self._norm("post", rows)
        if self._tower.drop_class:
            rows = self._slice_from_1(rows)
        if self._tower.shuffle:
            rows, hidden = self._shuffled(rows)
        else:
            rows, hidden = self._projected(rows)
        self.graph.node("Identity", [rows], "rows")
        self.graph.output("rows", np.float32, [self._tower.rows, hidden])
        return hidden

    def _embedded(self) -> str:
        tower, graph = self._tower, self.graph
        pixels = graph.input("pixels", np.float32, [1, 3, tower.side, tower.side])
        inputs = [pixels, self._tensor("patch.weight", (self._width, 3, tower.patch, tower.patch))]
        if "patch.bias" in self._weights:
            inputs.append(self._tensor("patch.bias", (self._width,)))
        strides = [tower.patch, tower.patch]
        patches = graph.node("Conv", inputs, "patches", kernel_shape=strides, strides=strides)
        flat = self._reshape(patches, [self._width, tower.patches**2], "patches.flat")
        rows = graph.node("Transpose", [flat], "patches.rows", perm=[1, 0])
        if tower.class_token:
            whole = self._tensor("class", (self._width,))
            first = self._reshape(whole, [1, self._width], "class.row")
            rows = graph.node("Concat", [first, rows], "tokens", axis=0)
        tokens = tower.patches**2 + int(tower.class_token)
        rows = graph.node("Add", [rows, self._tensor("position", (tokens, self._width))], "embedded")
        return self._norm("pre", rows) if tower.pre_norm else rows

    def _block(self, name: str, rows: str) -> str:
        attended = self._attention(name, self._norm(f"{name}.ln1", rows))
        rows = self.graph.node("Add", [rows, attended], f"{name}.mid")
        wide = self._linear(f"{name}.up", self._norm(f"{name}.ln2", rows))
        narrow = self._linear(f"{name}.down", self._activated(wide, self._tower.activation))
        return self.graph.node("Add", [rows, narrow], f"{name}.out")

    def _attention(self, name: str, rows: str) -> str:
        graph, heads = self.graph, self._tower.heads
        size = self._width // heads
        split = {}
        for part, perm in (("q", [1, 0, 2]), ("k", [1, 2, 0]), ("v", [1, 0, 2])):
            whole = self._linear(f"{name}.{part}", rows, (self._width, self._width))
            cut = self._reshape(whole, [-1, heads, size], f"{whole}.cut")
            split[part] = graph.node("Transpose", [cut], f"{whole}.heads", perm=perm)
        scale = self._scalar(size**-0.5)
        scores = graph.node("MatMul", [split["q"], split["k"]], f"{name}.scores")
        scores = graph.node("Mul", [scores, scale], f"{name}.scaled")
        weights = graph.node("Softmax", [scores], f"{name}.weights", axis=-1)
        mixed = graph.node("MatMul", [weights, split["v"]], f"{name}.mixed")
        mixed = graph.node("Transpose", [mixed], f"{name}.joined", perm=[1, 0, 2])
        flat = self._reshape(mixed, [-1, self._width], f"{name}.flat")
        return self._linear(f"{name}.o", flat, (self._width, self._width))

    def _shuffled(self, rows: str) -> tuple[str, int]:
        """Each square of ``shuffle`` x ``shuffle`` patches becomes one row, then a linear map."""
        patches, step = self._tower.patches, self._tower.shuffle
        size = patches // step
        rows = self._reshape(rows, [patches, size, step * self._width], "shuffle.wide")
        rows = self.graph.node("Transpose", [rows], "shuffle.turned", perm=[1, 0, 2])
        rows = self._reshape(rows, [size, size, step * step * self._width], "shuffle.high")
        rows = self.graph.node("Transpose", [rows], "shuffle.back", perm=[1, 0, 2])
        rows = self._reshape(rows, [size * size, step * step * self._width], "shuffle.rows")
        hidden = self._outputs("shuffle.weight")
        return self._linear("shuffle", rows, (hidden, step * step * self._width)), hidden

    def _projected(self, rows: str) -> tuple[str, int]:
        hidden = self._outputs("mlp.0.weight")
        rows = self._linear("mlp.0", rows, (hidden, self._width * len(self._tower.taken)))
        rows = self._activated(rows, self._tower.mlp_activation)
        out = self._outputs("mlp.2.weight")
        return self._linear("mlp.2", rows, (out, hidden)), out

    def _linear(self, name: str, rows: str, shape: tuple[int, int] | None = None) -> str:
        inputs = [rows, self._tensor(f"{name}.weight", shape)]
        if f"{name}.bias" in self._weights:
            inputs.append(self._tensor(f"{name}.bias", (self._outputs(f"{name}.weight"),)))
        return self.graph.node("Gemm", inputs, f"{name}.value", transB=1)

    def _norm(self, name: str, rows: str) -> str:
        inputs = [rows, *(self._tensor(f"{name}.{part}", (self._width,)) for part in ("weight", "bias"))]
        return self.graph.node(
            "LayerNormalization", inputs, f"{name}.value", axis=-1, epsilon=self._tower.eps
        )

    def _activated(self, rows: str, kind: Activation) -> str:
        """x * sigmoid(1.702 x), or x / 2 * (1 + erf(x / sqrt 2)), or its approximation by tanh."""
        node, scalar = self.graph.node, self._scalar
        if kind == "quick_gelu":
            sloped = node("Mul", [rows, scalar(1.702)], f"{rows}.sloped")
            return node("Mul", [rows, node("Sigmoid", [sloped], f"{rows}.gate")], f"{rows}.active")
        if kind == "gelu":
            inner = node("Erf", [node("Div", [rows, scalar(2**0.5)], f"{rows}.scaled")], f"{rows}.erf")
        else:
            cube = node("Mul", [node("Mul", [rows, rows], f"{rows}.square"), rows], f"{rows}.cube")
            bent = node("Add", [rows, node("Mul", [cube, scalar(0.044715)], f"{rows}.bend")], f"{rows}.bent")
            inner = node(
                "Tanh", [node("Mul", [bent, scalar((2 / np.pi) ** 0.5)], f"{rows}.arg")], f"{rows}.tanh"
            )
        gate = node("Add", [inner, scalar(1.0)], f"{rows}.gate")
        return node("Mul", [node("Mul", [rows, gate], f"{rows}.gated"), scalar(0.5)], f"{rows}.active")

    def _slice_from_1(self, rows: str) -> str:
        bounds = [self.graph.weight(f"patches.{k}", np.array([v])) for k, v in _PATCHES_ONLY.items()]
        return self.graph.node("Slice", [rows, *bounds], "patches.taken")

    def _reshape(self, value: str, shape: list[int], name: str) -> str:
        target = self.graph.weight(f"{name}.shape", np.array(shape, np.int64))
        return self.graph.node("Reshape", [value, target], name)

    def _scalar(self, value: float) -> str:
        name = f"scalar.{value:.9g}"
        if name not in self._scalars:
            self._scalars.add(self.graph.weight(name, np.float32(value)))
        return name

    def _outputs(self, name: str) -> int:
        """First dimension of a tensor."""
        shape = self._weights.floats(name).shape
        if not shape or not shape[0]:
            raise BadModelError(f"vision tower: {name} is {list(shape)}, empty or a single number")
        return int(shape[0])

    def _tensor(self, name: str, shape: tuple[int, ...] | None) -> str:
        value = self._weights.floats(name)
        if shape is not None and value.shape != shape:
            raise BadModelError(f"vision tower: {name} is {list(value.shape)}, not {list(shape)}")
        return self.graph.weight(name, value)


_PATCHES_ONLY = {"from": 1, "to": np.iinfo(np.int64).max, "axis": 0}
