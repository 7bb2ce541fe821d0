"""A VisemeNet of random numbers, shaped as the real one but small."""

from __future__ import annotations

import numpy as np

from edgevid.lipsync.mouth_shape import LIPS, LipBasis
from edgevid.lipsync.nouns import NUM_MOUTH_PARAMS, Floats
from edgevid.lipsync.phoneme_mouth import VISEMES
from edgevid.ops.conv1d_int8 import ConvLayer
from edgevid.train.viseme_net.weights_file import VisemeFile


def small_net(*, bands: int = 5, channels: int = 8, seed: int = 0) -> VisemeFile:
    """Three layers: stride 2, a dilated one, the parameters."""
    rng = np.random.default_rng(seed)

    def layer(inputs: int, outputs: int, taps: int, stride: int, dilation: int, relu: bool) -> ConvLayer:
        return ConvLayer(
            rng.integers(-127, 128, (outputs, inputs, taps)).astype(np.int8),
            rng.integers(-500, 501, outputs).astype(np.int32),
            rng.uniform(0.3, 1.0, outputs).astype(np.float32) / np.float32(60 * np.sqrt(inputs * taps)),
            stride,
            dilation,
            relu,
        )

    layers = (
        layer(bands, channels, 4, 2, 1, True),
        layer(channels, channels, 3, 1, 2, True),
        layer(channels, NUM_MOUTH_PARAMS, 1, 1, 1, False),
    )

    def floats(*shape: int) -> Floats:
        return np.asarray(rng.standard_normal(shape), np.float32)

    return VisemeFile(
        floats(bands),
        np.full(bands, 30, np.float32),
        layers,
        np.full(NUM_MOUTH_PARAMS, 0.01, np.float32),
        floats(NUM_MOUTH_PARAMS),
        LipBasis(floats(len(LIPS), 2), floats(NUM_MOUTH_PARAMS, len(LIPS), 2)),
        floats(len(VISEMES), NUM_MOUTH_PARAMS),
    )
