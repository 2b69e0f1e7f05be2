"""Random inputs of the right shape, to compare what two models compute where no data is at hand."""

from __future__ import annotations

import torch
from torch import Tensor

from lmc_core.models.model import Model


def random_inputs(
    model: Model, count: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Tokens `[count, context]` drawn uniformly, or images `[count, channels, size, size]` of
    normal noise.

    Args:
        model: what is to read them.
        count: how many.
        seed: of the draw.
        dtype: of images.
    """
    if model.family.probe is not None:
        return model.family.probe(model.config, count, seed, dtype)
    generator = torch.Generator().manual_seed(seed)
    sizes = model.family.sizes(model.config)
    if model.family.takes == "text":
        return torch.randint(sizes["tokens"], (count, sizes["context"]), generator=generator)
    shape = (count, sizes["channels"], sizes["image"], sizes["image"])
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
