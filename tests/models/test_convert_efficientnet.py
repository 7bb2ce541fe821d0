"""The written-out EfficientNet-Lite0 graph against the same network in torch, on random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.convert.efficientnet_lite0 import BN_EPSILON, STAGES, build, load
from edgevid.models.session import onnx_session

torch = pytest.importorskip("torch")

Floats = npt.NDArray[np.float32]
KERNELS = (3, 3, 5, 3, 5, 5, 3)


class RandomNetwork:
    """Weights made on first use in the order the network needs them, and the forward pass that uses them."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.state: dict[str, Floats] = {}

    def _parameter(self, name: str, *shape: int, low: float = -1.0, high: float = 1.0) -> Floats:
        value = self._rng.uniform(low, high, shape).astype(np.float16).astype(np.float32)
        self.state[name] = value
        return value

    def _conv(
        self,
        x: torch.Tensor,
        name: str,
        norm: str,
        out: int,
        k: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
    ) -> torch.Tensor:
        fan_in = k * k * (1 if depthwise else x.shape[1])
        kernel = self._parameter(f"{name}.weight", out, fan_in // (k * k), k, k) * 2 / np.sqrt(fan_in)
        self.state[f"{name}.weight"] = kernel = np.asarray(kernel, np.float32)
        total = max((-(-x.shape[2] // stride) - 1) * stride + k - x.shape[2], 0)  # SAME
        x = torch.nn.functional.pad(x, [total // 2, total - total // 2] * 2)
        x = torch.nn.functional.conv2d(
            x, torch.from_numpy(kernel), stride=stride, groups=out if depthwise else 1
        )
        statistics = [
            torch.from_numpy(self._parameter(f"{norm}.{part}", out, low=low, high=high))
            for part, low, high in (
                ("running_mean", -0.2, 0.2),
                ("running_var", 0.5, 1.5),
                ("weight", 0.5, 1.5),
                ("bias", -0.2, 0.2),
            )
        ]
        return torch.nn.functional.batch_norm(x, *statistics, training=False, eps=BN_EPSILON)

    def forward(self, images: npt.NDArray[np.uint8]) -> Floats:
        x = (torch.from_numpy(images).float().permute(0, 3, 1, 2) - 127) / 128
        x = torch.nn.functional.relu6(self._conv(x, "_conv_stem", "_bn0", 32, 3, stride=2))
        block = 0
        for (repeats, stride, expand, channels), k in zip(STAGES, KERNELS):
            for repeat in range(repeats):
                p, y, wide = f"_blocks.{block}.", x, x.shape[1] * expand
                if expand > 1:
                    y = torch.nn.functional.relu6(self._conv(y, p + "_expand_conv", p + "_bn0", wide, 1))
                step = 1 if repeat else stride
                y = self._conv(y, p + "_depthwise_conv", p + "_bn1", wide, k, stride=step, depthwise=True)
                y = self._conv(torch.nn.functional.relu6(y), p + "_project_conv", p + "_bn2", channels, 1)
                x = x + y if x.shape == y.shape else y
                block += 1
        x = torch.nn.functional.relu6(self._conv(x, "_conv_head", "_bn1", 1280, 1)).mean((2, 3))
        weight, bias = self._parameter("_fc.weight", 1000, 1280), self._parameter("_fc.bias", 1000)
        weight /= 16  # a power of two stays exact in float16
        return np.asarray((x @ torch.from_numpy(weight).T + torch.from_numpy(bias)).softmax(1).numpy())


def test_equals_torch(tmp_path: Path) -> None:
    network = RandomNetwork(0)
    images = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    expected = network.forward(images)
    model = build(network.state)
    assert model == build(network.state)
    (tmp_path / "model.onnx").write_bytes(model)
    (posterior,) = onnx_session(tmp_path / "model.onnx").run({"images": images})
    assert (
        np.abs(expected[0] - expected[1]).max() > 0.01
    )  # a network that ignores its input would prove nothing
    # Batch norm is folded before weights are rounded to float16, so logits differ by its rounding.
    np.testing.assert_allclose(np.log(posterior), np.log(expected), atol=0.02)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"PK")
    with pytest.raises(BadModelError, match="not the published weights"):
        load(tmp_path / "weights.pth")
