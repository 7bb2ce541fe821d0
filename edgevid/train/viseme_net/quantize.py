"""Make the weights file: ``python -m edgevid.train.viseme_net.quantize MODEL.pt OUT.bin``.

Weights become int8 with a scale for each output channel; activations int8 with one scale for each layer,
taken from the calibration rows that training set aside.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from edgevid.lipsync.mouth_shape import LipBasis
from edgevid.lipsync.nouns import Floats
from edgevid.ops.conv1d_int8 import LIMIT, ConvLayer
from edgevid.train.viseme_net.network import LAYERS, VisemeNet
from edgevid.train.viseme_net.weights_file import VisemeFile, write

_KEPT = 0.99995  # of the activations lie inside the range that int8 holds


def load(path: Path) -> tuple[VisemeNet, dict[str, Floats]]:
    """What ``train.py`` wrote."""
    saved = torch.load(path, weights_only=True)
    net = VisemeNet()
    net.load_state_dict(saved["net"])
    return net.eval(), {name: tensor.numpy() for name, tensor in saved["around"].items()}


def quantize(net: VisemeNet, around: dict[str, Floats]) -> VisemeFile:
    """Per-channel weights, calibrated activations."""
    rows = (around["calibration"] - around["mel_mean"]) / around["mel_std"]
    seen = net.activations(torch.from_numpy(rows.T[None].copy()))
    scales = [float(np.quantile(np.abs(a.numpy()), _KEPT)) / LIMIT for a in seen]
    layers = []
    for i, (sizes, conv) in enumerate(zip(LAYERS, net.layers, strict=True)):
        weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
        step = np.maximum(np.abs(weight).max(axis=(1, 2)), 1e-8) / LIMIT
        codes = np.clip(np.rint(weight / step[:, None, None]), -LIMIT, LIMIT).astype(np.int8)
        sums = step.astype(np.float64) * scales[i]
        to_next = (sums / scales[i + 1]).astype(np.float32)
        relu = i + 1 < len(LAYERS)
        bias_codes = np.rint(bias / sums).astype(np.int32)
        layers.append(ConvLayer(codes, bias_codes, to_next, sizes.stride, sizes.dilation, relu))
    return VisemeFile(
        around["mel_mean"],
        np.float32(1) / (around["mel_std"] * np.float32(scales[0])),
        tuple(layers),
        around["param_std"] * np.float32(scales[-1]),
        around["param_mean"],
        LipBasis(around["basis_mean"], around["basis_directions"]),
        around["targets"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    data = write(quantize(*load(args.model)))
    args.out.write_bytes(data)
    print(f"{args.out}: {len(data)} bytes")


if __name__ == "__main__":
    main()
