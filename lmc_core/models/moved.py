"""A model where an alignment brings it, held or lazily read."""

from __future__ import annotations

from lmc_core.models.canonical_state import MovedState
from lmc_core.models.lazy import LazyState
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment


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
