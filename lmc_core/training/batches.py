"""Training batches of a recipe, without end and in the same order every time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from lmc_core.tasks import Examples, get_task
from lmc_core.tasks.fashion_mnist import full_set
from lmc_core.training.recipes import Recipe


def image_batches(
    images: Examples, recipe: Recipe, generator: torch.Generator
) -> Iterator[Examples]:
    """Yield batches without end: a new order each epoch; shifted by up to `recipe.shift` pixels and
    mirrored.
    """
    while True:
        for rows in torch.randperm(len(images), generator=generator).split(recipe.batch):
            x = images.inputs[rows]
            if recipe.shift is not None:
                mirrored = torch.rand(len(x), generator=generator) < 0.5
                x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
                by = torch.randint(
                    -recipe.shift, recipe.shift + 1, (2,), generator=generator
                ).tolist()
                edge = F.pad(x, [recipe.shift] * 4, value=float(x.min()))
                top, left = recipe.shift + by[0], recipe.shift + by[1]
                x = edge[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            yield Examples(x, images.targets[rows])


def text_batches(stream: Tensor, recipe: Recipe, generator: torch.Generator) -> Iterator[Examples]:
    """Yield batches without end: windows that begin anywhere in the training text."""
    span = torch.arange(recipe.length)
    while True:
        start = torch.randint(len(stream) - recipe.length, (recipe.batch, 1), generator=generator)
        yield Examples(stream[start + span], stream[start + span + 1])


def make_batches(recipe: Recipe, subset: bool) -> Iterator[Examples]:
    """Training batches of a recipe without end, in the same order every time.

    Args:
        recipe: the settings.
        subset: images of the shipped 8,000 instead of the full set.
    """
    task = get_task(recipe.task)
    generator = torch.Generator().manual_seed(recipe.seed + 10_000)
    if task.stream is not None:
        return text_batches(task.stream("train"), recipe, generator)
    images = task.examples("train") if subset else full_set("train")
    return image_batches(images, recipe, generator)
