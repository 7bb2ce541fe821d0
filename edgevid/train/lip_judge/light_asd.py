"""Whether a face is the one that speaks: Light-ASD, from its trained weights.

Liao et al., "A Light Weight Model for Active Speaker Detection" (CVPR 2023). The weights are MIT-licensed and
no part of edgevid. Two stacks of split convolutions, one over grey pictures of a face at 25/s, one over
cepstra at 100/s, are added, read forwards and then backwards by a GRU, and give a score per picture. It was
trained to tell who speaks, not how late: what its score says about offsets is to be proven.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError, MissingPartError
from edgevid.lipsync.nouns import Floats

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import GRU

FPS = 25
SIDE = 112
PER_PICTURE = 4
"""Rows of cepstra to a picture."""
_MEAN, _SPREAD = 0.4161, 0.1688  # of grey pictures in 0 to 1
_WIDTH, _BN_EPS = 128, 1e-3
_LAST = "lossAV.FC.weight"


class LightAsd:
    """The network on the CPU.

    Args:
        weights: the checkpoint, ``finetuning_TalkSet.model`` of Junhua-Liao/Light-ASD.

    Raises:
        MissingPartError: torch is not installed.
        BadModelError: the file is no checkpoint of this network.
    """

    def __init__(self, weights: Path) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingPartError("torch is not installed", fix="pip install torch") from error
        try:
            self._weights: dict[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
            shape = tuple(self._weights[_LAST].shape)
        except Exception as error:  # torch raises whatever the reading of a foreign file raises
            raise BadModelError(f"{weights}: no Light-ASD checkpoint", fix="fetch it again") from error
        if shape != (2, _WIDTH):
            raise BadModelError(f"{weights}: a network of another size", fix="fetch it again")
        self._forward, self._backward = self._gru("forward"), self._gru("backward")

    def see(self, faces: npt.NDArray[np.uint8]) -> Tensor:
        """[pictures, 128] of uint8 grey [pictures, 112, 112], one face at 25/s."""
        import torch
        from torch.nn import functional

        with torch.inference_mode():
            x = torch.from_numpy((faces.astype(np.float32) / 255 - _MEAN) / _SPREAD)[None, None]
            for i in (1, 2, 3):
                x = self._block(x, f"model.visualEncoder.block{i}", "s", stride=2 if i == 1 else 1)
                if i < 3:
                    x = functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
            return x.amax(dim=(3, 4))[0].T

    def hear(self, cepstra: Floats) -> Tensor:
        """[rows / 4, 128] of float32 [rows, 13] at 100/s."""
        import torch
        from torch.nn import functional

        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(cepstra.T))[None, None]
            for i in (1, 2, 3):
                x = self._block(x, f"model.audioEncoder.block{i}", "m", stride=1)
                if i < 3:
                    x = functional.max_pool2d(x, (1, 3), (1, 2), (0, 1))
            return x.mean(dim=2)[0].T

    def score(self, seen: Tensor, heard: Tensor) -> float:
        """How sure it is that the face speaks: the mean logit over as many pictures as both have."""
        import torch
        from torch.nn import functional

        pictures = min(len(seen), len(heard))
        with torch.inference_mode():
            x = (seen[:pictures] + heard[:pictures])[None]
            x = functional.gelu(self._forward(x)[0]).flip(1)
            x = functional.gelu(self._backward(x)[0].flip(1))
            logits = functional.linear(x[0], self._weights[_LAST], self._weights["lossAV.FC.bias"])
            return float((logits[:, 1] - logits[:, 0]).mean())

    def _block(self, x: Tensor, name: str, first: str, *, stride: int) -> Tensor:
        """Two branches, 3 and 5 wide: across (``first`` names it), then along time; their sum mixed."""
        branches = []
        for size in (3, 5):
            along = self._step(x, f"{name}.{first}_{size}", f"{name}.bn_{first}_{size}", stride=stride)
            branches.append(self._step(along, f"{name}.t_{size}", f"{name}.bn_t_{size}"))
        return self._step(branches[0] + branches[1], f"{name}.last", f"{name}.bn_last")

    def _step(self, x: Tensor, conv: str, norm: str, *, stride: int = 1) -> Tensor:
        """Convolution without bias that keeps the size, batch normalisation, ReLU."""
        from torch.nn import functional

        weight = self._weights[f"{conv}.weight"]
        kernel = weight.shape[2:]
        pads = [size // 2 for size in kernel]
        if len(kernel) == 3:
            x = functional.conv3d(x, weight, stride=(1, stride, stride), padding=pads)
        else:
            x = functional.conv2d(x, weight, padding=pads)
        mean, spread, gain, bias = (
            self._weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.relu(functional.batch_norm(x, mean, spread, gain, bias, eps=_BN_EPS))

    def _gru(self, way: str) -> GRU:
        import torch

        gru: GRU = torch.nn.GRU(_WIDTH, _WIDTH, batch_first=True)
        prefix = f"model.GRU.gru_{way}."
        found = {k.removeprefix(prefix): v for k, v in self._weights.items() if k.startswith(prefix)}
        gru.load_state_dict(found)
        return gru.eval()
