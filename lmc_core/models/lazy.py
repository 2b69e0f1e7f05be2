"""Parameters that are made when they are asked for, one at a time, and not kept: models that do not
fit in memory.

A lazy state is a mapping with one attribute more, `shapes`: tensors on the device "meta" of the
shapes and types that its parameters have. What asks for these alone goes through the function
`shapes`, or every parameter would be made for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from lmc_core.large_blocks import return_freed
from lmc_core.lazy_torch import torch
from lmc_core.symmetry.layout import State

if TYPE_CHECKING:
    from torch import Tensor

PIECE = 2**22  # numbers of a parameter that are worked on at once where all would take much memory


class LazyState(Mapping[str, "Tensor"]):
    """Parameters by name, each made anew whenever it is asked for.

    Args:
        shapes: of every parameter a tensor of its shape and type; values are not looked at.
        make: name -> parameter. What it returns belongs to whoever asked and may be written into.
    """

    def __init__(self, shapes: State, make: Callable[[str], Tensor]) -> None:
        self.shapes: State = {name: tensor.to("meta") for name, tensor in shapes.items()}
        self._make = make

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.shapes:
            raise KeyError(name)
        if self.shapes[name].numel() >= PIECE:
            return_freed()
        return self._make(name)

    def __contains__(self, name: object) -> bool:
        return name in self.shapes

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __repr__(self) -> str:
        return f"LazyState of {len(self)} parameters"


def is_lazy(state: State) -> bool:
    """Whether parameters are made when they are asked for: whether a mapping has `shapes`."""
    return hasattr(state, "shapes")


def shapes(state: State) -> State:
    """The parameters, or tensors of their shapes and types on the device "meta" where they are
    lazy.
    """
    return getattr(state, "shapes", state)


def count_bytes(state: State) -> int:
    """Bytes of all parameters in the types that they have."""
    return sum(tensor.numel() * tensor.element_size() for tensor in shapes(state).values())


def map_state(state: State, change: Callable[[str, Tensor], Tensor]) -> State:
    """The parameters with something done to each; lazy where they are.

    Args:
        state: the parameters.
        change: (name, parameter) -> parameter; of a lazy state it also gets tensors on the device
            "meta", from which it makes shapes and types.
    """
    if not is_lazy(state):
        return {name: change(name, tensor) for name, tensor in state.items()}
    found = {name: change(name, tensor) for name, tensor in shapes(state).items()}
    return LazyState(found, lambda name: change(name, state[name]))


def join_states(one: State, other: State, join: Callable[[Tensor, Tensor], Tensor]) -> State:
    """What comes of two sets of parameters of the same names, one after the other; lazy where
    either is.

    Args:
        one: the parameters.
        other: of the same names, whose order is kept.
        join: makes one parameter of two; see `map_state`.
    """
    if not (is_lazy(one) or is_lazy(other)):
        return {name: join(one[name], other[name]) for name in other}
    left, right = (
        {name: tensor.to("meta") for name, tensor in shapes(state).items()}
        for state in (one, other)
    )
    found = {name: join(left[name], right[name]) for name in right}
    return LazyState(found, lambda name: join(one[name], other[name]))


def with_parameter(state: State, name: str, source: str, make: Callable[[Tensor], Tensor]) -> State:
    """The parameters and one more, which is made from another; lazy where they are.

    Args:
        state: the parameters.
        name: of the one to come.
        source: of the one that it is made from.
        make: makes it; see `map_state`.
    """
    if not is_lazy(state):
        return {**state, name: make(state[source])}
    found = {**shapes(state), name: make(shapes(state)[source])}
    return LazyState(found, lambda each: make(state[source]) if each == name else state[each])


def all_finite(tensor: Tensor) -> bool:
    """Whether all values are finite numbers: whether the smallest and the largest are, which takes
    a fifteenth of the time and no temporaries.
    """
    return tensor.numel() == 0 or bool(torch.stack(tensor.aminmax()).isfinite().all())
