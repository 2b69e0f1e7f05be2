"""What a model computes whose parameters are read one part at a time: no more of them is held than
one layer or one table.

The module of the model's own class is built without values. Before one of its parts runs, the
parameters of that part are read, and they are let go afterwards. A part is a layer of a stack, or
outside the stacks a module that holds parameters itself. A class that reaches into a part from
outside of it, as a head does that is computed with the token table's own weight, has what lies
outside the stacks held while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from lmc_core.side_by_side import side_by_side

CPU = torch.device("cpu")  # where lazily read parameters come to


@dataclass(frozen=True)
class StreamedPart:
    """A part of a module.

    Attributes:
        module: that is called.
        owners: modules that hold its parameters.
        stacked: whether it is a layer of a stack.
    """

    module: nn.Module
    owners: tuple[nn.Module, ...]
    stacked: bool


def list_parts(module: nn.Module) -> list[StreamedPart]:
    """The parts of a module, in the order in which it has them."""
    layers = set(_stacked(module))
    inside = {each for layer in layers for each in layer.modules()}
    found = []
    for part in module.modules():
        if part in layers:
            found.append(StreamedPart(part, tuple(part.modules()), True))
        elif part not in inside and list_places([part]):
            found.append(StreamedPart(part, (part,), False))
    return found


@dataclass(frozen=True)
class Place:
    """Where a module holds a parameter, or a buffer that belongs to its state, without values.

    Attributes:
        table: of the module's parameters, or of its buffers.
        leaf: its name there.
        empty: what stands there, on the device "meta".
    """

    table: MutableMapping[str, Any]
    leaf: str
    empty: Tensor

    def put(self, value: Tensor | None) -> None:
        """Have a value there; None for what stood there without values."""
        self.table[self.leaf] = self.empty if value is None else value


def list_places(owners: Iterable[nn.Module]) -> list[Place]:
    """The places of all that some modules hold themselves and that has no values."""
    return [
        Place(table, leaf, tensor)
        for owner in owners
        for table in (owner._parameters, owner._buffers)
        for leaf, tensor in table.items()
        if tensor is not None and tensor.is_meta
    ]


def first_names(module: nn.Module) -> dict[int, str]:
    """The first name of every parameter and buffer of a module, by its identity."""
    found: dict[int, str] = {}
    named = (module.named_parameters, module.named_buffers)
    for name, tensor in chain.from_iterable(each(remove_duplicate=False) for each in named):
        found.setdefault(id(tensor), name)
    return found


class StreamedParameters:
    """Gives the parts of a module their parameters while they run.

    Args:
        module: whose parameters are on the device "meta"; parameters that are the same tensor are
            read once where they stand in one part.
        read: name -> parameter.
        resident: whether the parameters outside the stacks are held from beginning to end.
    """

    def __init__(self, module: nn.Module, read: Callable[[str], Tensor], resident: bool = False):
        self._read = read
        self._first = first_names(module)
        self._module, self._resident = module, resident

    def __enter__(self) -> None:
        with ExitStack() as stack:
            for part in list_parts(self._module):
                if self._resident and not part.stacked:
                    stack.callback(self._place(part.owners))
                else:
                    self._register(stack, part.module, part.owners)
            self._stack = stack.pop_all()

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _register(self, stack: ExitStack, part: nn.Module, owners: Sequence[nn.Module]) -> None:
        undo = ExitStack()

        def before(module: nn.Module, args: object) -> None:
            undo.callback(self._place(owners))

        def after(module: nn.Module, args: object, found: object) -> None:
            undo.close()

        stack.callback(part.register_forward_pre_hook(before).remove)
        stack.callback(part.register_forward_hook(after, always_call=True).remove)
        stack.callback(undo.close)

    def _place(self, owners: Sequence[nn.Module]) -> Callable[[], None]:
        """Read the parameters that modules hold themselves; returns what takes them away again."""
        places = list_places(owners)
        names = {id(place.empty): self._first[id(place.empty)] for place in places}
        values = side_by_side([partial(self._read, name) for name in names.values()], CPU)
        read = {
            number: nn.Parameter(value, requires_grad=False)
            for number, value in zip(names, values, strict=True)
        }
        for place in places:
            place.put(read[id(place.empty)])

        def take_away() -> None:
            for place in places:
                place.put(None)

        return take_away


def _stacked(module: nn.Module) -> Iterator[nn.Module]:
    """The members of the outermost lists of modules."""
    for child in module.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            yield from child.children()
        else:
            yield from _stacked(child)


def run_streamed(
    module: nn.Module,
    state: Mapping[str, Tensor],
    compute: Callable[[nn.Module], Tensor],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """What is computed with a module whose parameters are read as they are needed.

    Args:
        module: in evaluation mode, parameters on the device "meta".
        state: the parameters, lazily read.
        compute: runs the module.
        dtype: precision of the parameters.
    """

    def read(name: str) -> Tensor:
        return state[name].to(dtype)

    try:
        with StreamedParameters(module, read):
            return compute(module)
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):
            raise
    with StreamedParameters(module, read, resident=True):
        return compute(module)
