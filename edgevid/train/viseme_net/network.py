"""VisemeNet in torch: convolutions along time, each with ReLU but the last; nothing is padded inside.

The first takes two rows of log-mel to one step of the curve, the next look further and further back, the last
turns a step's channels into the six parameters. 135 thousand weights, 0.64 s of sound to a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgevid.lipsync.mouth_features import AHEAD_ROWS, BANDS
from edgevid.lipsync.nouns import NUM_MOUTH_PARAMS

CHANNELS = 96


@dataclass(frozen=True, slots=True)
class Layer:
    """Sizes of one convolution."""

    inputs: int
    outputs: int
    taps: int
    stride: int
    dilation: int

    @property
    def reach(self) -> int:
        """Rows from the first to the last tap."""
        return (self.taps - 1) * self.dilation + 1


LAYERS = (
    Layer(BANDS, CHANNELS, 4, 2, 1),
    *(Layer(CHANNELS, CHANNELS, 3, 1, dilation) for dilation in (1, 2, 4, 8)),
    Layer(CHANNELS, NUM_MOUTH_PARAMS, 1, 1, 1),
)
REACH_ROWS = LAYERS[0].reach + 2 * sum(layer.reach - 1 for layer in LAYERS[1:])
"""Rows of log-mel a step is computed from."""
ROWS_BEFORE = REACH_ROWS - AHEAD_ROWS
"""Rows of silence to put before the first sample, so that step 0 is the first to come out."""


class VisemeNet(nn.Module):  # type: ignore[misc]
    """Normalised log-mel [batch, BANDS, rows] to normalised parameters [batch, NUM_MOUTH_PARAMS, steps]."""

    def __init__(self, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(x.inputs, x.outputs, x.taps, stride=x.stride, dilation=x.dilation) for x in LAYERS
        )
        self.dropout = dropout

    def forward(self, rows: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            rows = F.dropout(F.relu(layer(rows)), self.dropout, self.training)
        out: Tensor = self.layers[-1](rows)
        return out

    def activations(self, rows: Tensor) -> list[Tensor]:
        """What goes into each layer, and what comes out of the last."""
        out = [rows]
        with torch.no_grad():
            for i, layer in enumerate(self.layers):
                value = layer(out[-1])
                out.append(value if i == len(self.layers) - 1 else F.relu(value))
        return out
