"""A frame -> the pixels a vision tower was trained on, as transformers' image processors on Pillow make them.

``FrameRecipe`` holds what preprocessor_config.json says; frames are never split into tiles (video models are
not fed so), whatever the file says about still pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgevid.models.vlm.fields import Fields
from edgevid.models.vlm.resize import Filter, Picture, resize

Floats = npt.NDArray[np.float32]
Fit = Literal["stretch", "longest_then_stretch", "shortest_then_crop"]

_FILTERS: dict[int, Filter] = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_MAX_SIDE = 4096  # beyond it Idefics3's processor scales down
_MOST_ASPECT = 16  # of what is scaled before it is cropped: of a strip only the middle is worth the memory
_IMAGENET = (0.5, 0.5, 0.5)
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class FrameRecipe:
    """What is done to each frame, in this order.

    Attributes:
        pad: to a square of the mean colour, the picture in the middle, before anything else.
        fit: how the picture becomes ``side`` x ``side``: stretched; scaled to ``edge`` on its longest edge
            and then stretched; or scaled to ``edge`` on its shortest edge and cropped in the middle.
        scale, mean, std: pixel * scale, then (value - mean) / std per channel.
    """

    side: int
    filter: Filter
    fit: Fit = "stretch"
    edge: int = 0
    pad: bool = False
    scale: float = 1 / 255
    mean: tuple[float, float, float] = _IMAGENET
    std: tuple[float, float, float] = _IMAGENET

    @classmethod
    def of_config(cls, fields: Fields, *, side: int) -> FrameRecipe:
        """From the fields of a preprocessor_config.json, for a tower of ``side`` pixels.

        Raises:
            BadModelError: the file asks for something else than these steps; the message names it.
        """
        for step in ("do_resize", "do_rescale", "do_normalize"):
            if not fields.flag(step, True):
                raise fields.bad(step, "must be true")
        kind = (
            fields.text("image_processor_type", "CLIPImageProcessor").removesuffix("Fast").removesuffix("Pil")
        )
        if kind not in _READERS:
            raise fields.bad("image_processor_type", f"is {kind}; known are {', '.join(sorted(_READERS))}")
        is_clip = kind in ("CLIPImageProcessor", "LlavaImageProcessor")
        size = {"edge": side, **_READERS[kind](fields, side)}
        resample = fields.count("resample", 1 if "Idefics3" in kind or "SmolVLM" in kind else 3, least=0)
        if resample not in _FILTERS:
            raise fields.bad("resample", "must be 1 (Lanczos), 2 (bilinear) or 3 (bicubic)")
        return cls(
            side=side,
            filter=_FILTERS[resample],
            scale=fields.number("rescale_factor", 1 / 255),
            mean=fields.triple("image_mean", _CLIP_MEAN if is_clip else _IMAGENET),
            std=fields.triple("image_std", _CLIP_STD if is_clip else _IMAGENET),
            **size,
        )

    @classmethod
    def of_json(cls, table: Mapping[str, Any]) -> FrameRecipe:
        """What ``dataclasses.asdict`` gave and JSON kept."""
        return cls(**{**table, "mean": tuple(table["mean"]), "std": tuple(table["std"])})

    def __call__(self, image: Picture) -> Floats:
        """float32 [1, 3, side, side] of an RGB picture uint8 [height, width, 3]."""
        if self.pad:
            image = _padded_to_square(image, tuple(int(value * 255) for value in self.mean))
        height, width = image.shape[:2]
        if self.fit == "longest_then_stretch":
            image = resize(image, *_longest(height, width, self.edge), self.filter)
        elif self.fit == "shortest_then_crop":
            image = _centre(image, min(height, width) * _MOST_ASPECT)
            height, width = image.shape[:2]
            image = resize(image, *_shortest(height, width, self.edge), self.filter)
            image = _centre(image, self.side)
        if image.shape[:2] != (self.side, self.side):
            image = resize(image, self.side, self.side, self.filter)
        scaled = (image.astype(np.float64) * self.scale).astype(np.float32)
        normal = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


def _read_square(fields: Fields, side: int) -> dict[str, Any]:
    size = fields.table("size", {"height": side, "width": side})
    if (size.count("height"), size.count("width")) != (side, side):
        raise fields.bad("size", f"is not the tower's {side} x {side}")
    return {"fit": "stretch"}


def _read_clip(fields: Fields, side: int) -> dict[str, Any]:
    size = fields.table("size", {"shortest_edge": 224})
    crop = (
        fields.table("crop_size", {"height": 224, "width": 224})
        if fields.flag("do_center_crop", True)
        else None
    )
    if crop is not None and (crop.count("height"), crop.count("width")) != (side, side):
        raise fields.bad("crop_size", f"is not the tower's {side} x {side}")
    if "shortest_edge" not in size:
        return _read_square(fields, side)
    if crop is None:
        raise fields.bad("do_center_crop", "must be true when size is a shortest_edge")
    edge = size.count("shortest_edge", most=_MAX_SIDE)
    if edge < side:
        raise fields.bad("size", f"is smaller than the crop of {side}")
    return {"fit": "shortest_then_crop", "edge": edge}


def _read_llava(fields: Fields, side: int) -> dict[str, Any]:
    return {**_read_clip(fields, side), "pad": fields.flag("do_pad", False)}


def _read_idefics3(fields: Fields, side: int) -> dict[str, Any]:
    """A model trained on video says in ``video_sampling`` how large its frames were."""
    tile = fields.table("max_image_size", {"longest_edge": 364}).count("longest_edge")
    if tile != side:
        raise fields.bad("max_image_size", f"is {tile}, not the tower's {side}")
    size = fields.table("size", {"longest_edge": 4 * 364})
    video = fields.table("video_sampling", {}).table("video_size", {})
    edge = (video if "longest_edge" in video else size).count("longest_edge")
    return {"fit": "longest_then_stretch", "edge": edge}


_READERS = {
    "CLIPImageProcessor": _read_clip,
    "CLIPFeatureExtractor": _read_clip,
    "LlavaImageProcessor": _read_llava,
    "SiglipImageProcessor": _read_square,
    "Idefics3ImageProcessor": _read_idefics3,
    "SmolVLMImageProcessor": _read_idefics3,
}


def _longest(height: int, width: int, edge: int) -> tuple[int, int]:
    """(height, width) with the longest edge at ``edge``, the other one even."""
    aspect = width / height
    if width >= height:
        across = int(edge / aspect)
        height, width = across + across % 2, edge
    else:
        across = int(edge * aspect)
        height, width = edge, across + across % 2
    height, width = max(height, 1), max(width, 1)
    aspect = width / height
    if width >= height and width > _MAX_SIDE:
        height, width = int(_MAX_SIDE / aspect), _MAX_SIDE
    elif height > width and height > _MAX_SIDE:
        height, width = _MAX_SIDE, int(_MAX_SIDE * aspect)
    return max(height, 1), max(width, 1)


def _shortest(height: int, width: int, edge: int) -> tuple[int, int]:
    short, long = sorted((height, width))
    other = int(edge * long / short)
    return (other, edge) if width <= height else (edge, other)


def _centre(image: Picture, side: int) -> Picture:
    top, left = (max(length - side, 0) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _padded_to_square(image: Picture, colour: tuple[int, ...]) -> Picture:
    height, width = image.shape[:2]
    if height == width:
        return image
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = colour
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = image
    return square
