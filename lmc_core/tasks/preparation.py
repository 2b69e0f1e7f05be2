"""What is done to an image before a model sees it: resized, cropped, scaled and normalised.

Images are read with Pillow; their orientation tag is not looked at. How a model wants them stands
in `model_preparation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lmc_core.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

# in the order of Pillow's numbers
RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


@dataclass(frozen=True)
class Preparation:
    """What is done to an image, in this order.

    Attributes:
        channels: 3 for colour, 1 for grey.
        edge: height and width at the end, in pixels.
        resize: (height, width), or the length that the shorter edge gets, or None to leave the
            size.
        resampling: how, a name in `RESAMPLING`.
        crop: whether the middle of `edge` x `edge` pixels is cut out.
        scale: what the pixels, 0 to 255, are multiplied by.
        mean: subtracted then, by channel.
        std: divided by then, by channel.
        rounded: an odd margin of the crop is rounded (torchvision, timm), not cut (transformers).
    """

    channels: int
    edge: int
    resize: tuple[int, int] | int | None
    resampling: str
    crop: bool
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rounded: bool = True

    def __call__(self, image: Image, name: str) -> Tensor:
        """Prepare one image.

        Args:
            image: as Pillow opens it.
            name: for messages.

        Returns:
            Float32 `[channels, edge, edge]`.

        Raises:
            BadInput: if it does not come out in the right size, or has more than 8 bits a channel.
        """
        from PIL import Image as Pillow

        if image.mode.startswith(("I", "F")):
            raise BadInput(
                f"{name} has pixels of type {image.mode!r}; images with 8 bits a channel are "
                "expected."
            )
        image = image.convert("L" if self.channels == 1 else "RGB")
        size = self._size(*image.size)
        if size != image.size:
            image = image.resize(size, Pillow.Resampling[self.resampling.upper()])
        if self.crop:
            width, height = image.size
            left, top = self._margin(width), self._margin(height)
            # what lies outside is black
            image = image.crop((left, top, left + self.edge, top + self.edge))
        if image.size != (self.edge, self.edge):
            raise BadInput(
                f"{name} has {image.width} x {image.height} pixels after the model's own "
                "preparation, and the model takes "
                f"{self.edge} x {self.edge}; let the preparation resize, or resize the images."
            )
        pixels = (
            torch.from_numpy(np.array(image, np.float32))
            .view(self.edge, self.edge, self.channels)
            .permute(2, 0, 1)
        )
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return ((pixels * self.scale - mean) / std).contiguous()

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after resizing; of the longer edge the fraction of a pixel is cut."""
        if self.resize is None:
            return width, height
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        if width <= height:
            return self.resize, max(1, int(self.resize * height / width))
        return max(1, int(self.resize * width / height)), self.resize

    def _margin(self, length: int) -> int:
        half = (length - self.edge) / 2
        return round(half) if self.rounded else math.floor(half)
