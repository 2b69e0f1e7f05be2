"""A model where an alignment brings it, held or lazily read."""

from __future__ import annotations

import torch

from lmc_core.models.canonical_state import MovedState
from lmc_core.models.common import in_float32
from lmc_core.models.lazy import LazyState, is_lazy
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.arithmetic import find_device, precise_type


def move(model: Model, alignment: Alignment, in_place: bool = False) -> Model:
    """The model moved by an alignment, in the precision of its parameters.

    Args:
        model: held, or lazily read: then it is moved when it is read.
        alignment: for its spaces.
        in_place: write into the tensors of a model that is held.
    """
    if isinstance(model.state, LazyState):
        return model.with_state(MovedState(model.layout, model.state, alignment))
    return model.with_state(alignment.apply(model.layout, model.state, in_place))


def move_exactly(model: Model, alignment: Alignment, large: bool = False) -> Model:
    """The same, written into the model's tensors where these are on a device with a useful float64;
    one on another device is moved on the CPU and brought back.

    Args:
        model: held, or lazily read.
        alignment: for its spaces.
        large: so large that it is moved where it is.
    """
    device = find_device(model.state)
    if is_lazy(model.state) or large or precise_type(device) is torch.float64:
        return move(model, alignment, in_place=True)
    here = in_float32(model, "cpu")
    return in_float32(move(here, alignment.to("cpu"), in_place=True), device)
