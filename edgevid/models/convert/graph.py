"""A small writer of ONNX graphs whose bytes depend only on what is put in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError

if TYPE_CHECKING:
    import onnx

OPSET = 17
IR_VERSION = 8


class GraphWriter:
    """Collects nodes and weights in order and writes them as one model.

    Values are referred to by name; ``node`` and ``weight`` return the name they made.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, dtype: npt.DTypeLike, shape: list[int | str]) -> str:
        self._inputs.append(_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: npt.DTypeLike, shape: list[int | str]) -> None:
        self._outputs.append(_value_info(name, dtype, shape))

    def weight(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> str:
        import onnx.numpy_helper

        array = np.ascontiguousarray(np.asarray(value, dtype=dtype)).reshape(np.shape(value))
        self._weights.append(onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add one node with one output called ``name``."""
        import onnx.helper

        self._nodes.append(onnx.helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def to_bytes(self) -> bytes:
        """The checked model, serialised; equal calls give equal bytes.

        Raises:
            BadModelError: the nodes do not make a valid graph.
        """
        import onnx.checker
        import onnx.shape_inference

        model = self.model()
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise BadModelError(f"{self._name}: {str(error).strip().splitlines()[0]}") from None
        return bytes(model.SerializeToString(deterministic=True))

    def model(self) -> onnx.ModelProto:
        """The model as it is, not yet checked."""
        import onnx.helper

        graph = onnx.helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, initializer=self._weights
        )
        model = onnx.helper.make_model(
            graph, producer_name="edgevid", opset_imports=[onnx.helper.make_opsetid("", OPSET)]
        )
        model.ir_version = IR_VERSION
        return model


def _value_info(name: str, dtype: npt.DTypeLike, shape: list[int | str]) -> onnx.ValueInfoProto:
    import onnx.helper

    return onnx.helper.make_tensor_value_info(
        name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
    )
