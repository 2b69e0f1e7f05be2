"""What a model computes: its outputs in a precision, random inputs for it, and how far two models
are apart.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from lmc_core.models.family import Family
from lmc_core.models.kept_modules import lent_module
from lmc_core.models.lazy import is_lazy
from lmc_core.models.model import Model
from lmc_core.models.rows import usable
from lmc_core.models.streamed_forward import run_streamed
from lmc_core.models.texts import find_lengths
from lmc_core.symmetry.check import Double, relative_difference


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


def compute_outputs(
    family: Family, module: nn.Module, inputs: Tensor, alike: bool = False
) -> Tensor:
    """The outputs of a model, of texts of unequal length too.

    Args:
        family: of the model.
        module: with its parameters.
        inputs: as the family takes them; rows of tokens may end in `END` where there is one output
            for a whole row.
        alike: whether all texts are known to be equally long; else the inputs are looked at, for
            which a device has to be waited for.
    """
    lengths = None if alike else find_lengths(inputs)
    if lengths is None:
        return family.outputs(module, inputs)
    rows, found = [], []
    for length in lengths.unique().tolist():
        chosen = (lengths == length).nonzero()[:, 0]
        rows.append(chosen)
        found.append(family.outputs(module, inputs[chosen, :length]))
    return torch.cat(found)[torch.cat(rows).argsort()]


@torch.no_grad()
def run(
    model: Model,
    inputs: Tensor,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """The outputs of a model in a precision; in float64 nothing inside falls back to float32.

    Rows of token tables that hold no finite numbers are left out, of the outputs too. Of a lazily
    read model one layer is read at a time.

    Args:
        model: with its parameters anywhere.
        inputs: as its family takes them.
        dtype: the precision.
        device: where to run, and where the outputs are; by default where the inputs are.
    """
    model = usable(model)
    x = inputs.to(inputs.device if device is None else device)
    x = x.to(dtype) if x.is_floating_point() else x
    alone = Double() if dtype is torch.float64 else nullcontext()
    if is_lazy(model.state):
        family, x = model.family, x.cpu()
        with alone:
            return run_streamed(
                model.hollow_module(dtype),
                model.state,
                lambda module: compute_outputs(family, module, x),
                dtype,
            )
    with lent_module(model, dtype, x.device) as module, alone:
        return compute_outputs(model.family, module, x)


@torch.no_grad()
def function_error(
    original: Model,
    moved: Model,
    inputs: Tensor,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> float:
    """Measure the largest relative difference of the outputs of two models on the same input.

    Args:
        original: before.
        moved: after.
        inputs: images or tokens, a few examples.
        dtype: precision both are run in.
        device: where both are run; by default where the inputs are.

    Returns:
        The error of `relative_difference`; no unit.
    """
    return relative_difference(*(run(model, inputs, dtype, device) for model in (original, moved)))


OUTPUTS = 2**24  # numbers that are kept of a model before it is moved: 64 MB in float32


def few_enough(inputs: Tensor, model: Model) -> Tensor:
    """The first of some inputs, so few that all their outputs are at most `OUTPUTS` numbers; one at
    least.
    """
    return inputs[: max(1, OUTPUTS // outputs_each(model, inputs))]


def outputs_each(model: Model, inputs: Tensor) -> int:
    """How many numbers a model gives of one of some inputs, at most."""
    sizes = model.family.sizes(model.config)
    if "tokens" not in sizes or model.family.predicts(model.config) == "label":
        return max(1, sizes.get("classes", 1))
    length = sizes["context"] if model.family.takes == "audio" else inputs.shape[1]
    return max(1, length * sizes["tokens"])
