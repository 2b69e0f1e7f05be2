"""What a model computes whose parameters are read one part at a time: no more of them is held than
one layer or one table.

The module of the model's own class is built without values. Before one of its parts runs, the
parameters of that part are read, and they are let go afterwards. A part is a layer of a stack, or
outside the stacks a module that holds parameters itself. A class that reaches into a part from
outside of it, as a head does that is computed with the token table's own weight, has what lies
outside the stacks held while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from lmc_core.side_by_side import side_by_side

CPU = torch.device("cpu")  # where lazily read parameters come to


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
        self._first: dict[int, str] = {}
        for name, parameter in module.named_parameters(remove_duplicate=False):
            self._first.setdefault(id(parameter), name)
        self._module, self._resident = module, resident

    def __enter__(self) -> None:
        layers = set(_stacked(self._module))
        with ExitStack() as stack:
            inside = {each for layer in layers for each in layer.modules()}
            for part in self._module.modules():
                if part in layers:
                    self._register(stack, part, part.modules())
                elif part not in inside and next(part.parameters(False), None) is not None:
                    if self._resident:
                        stack.callback(self._place([part]))
                    else:
                        self._register(stack, part, [part])
            self._stack = stack.pop_all()

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _register(
        self, stack: ExitStack, part: nn.Module, owners: Iterator[nn.Module] | list
    ) -> None:
        owners, undo = list(owners), ExitStack()

        def before(module: nn.Module, args: object) -> None:
            undo.callback(self._place(owners))

        def after(module: nn.Module, args: object, found: object) -> None:
            undo.close()

        stack.callback(part.register_forward_pre_hook(before).remove)
        stack.callback(part.register_forward_hook(after, always_call=True).remove)
        stack.callback(undo.close)

    def _place(self, owners: list[nn.Module]) -> Callable[[], None]:
        """Read the parameters that modules hold themselves; returns what takes them away again."""
        empty = [
            (owner, leaf, parameter)
            for owner in owners
            for leaf, parameter in owner.named_parameters(recurse=False)
        ]
        names = {id(parameter): self._first[id(parameter)] for _, _, parameter in empty}
        values = side_by_side([partial(self._read, name) for name in names.values()], CPU)
        read = {
            number: nn.Parameter(value, requires_grad=False)
            for number, value in zip(names, values, strict=True)
        }
        for owner, leaf, parameter in empty:
            owner._parameters[leaf] = read[id(parameter)]

        def take_away() -> None:
            for owner, leaf, parameter in empty:
                owner._parameters[leaf] = parameter

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
