"""What a family does to the tensors of a checkpoint, recorded on tensors without values and done
again to those that one parameter needs.

`family.from_disk` takes all tensors of a checkpoint at once: it renames, stacks the matrices of
experts, cuts fused ones, and compares copies. Of all this a recording keeps, for each result, the
functions of torch that led to it. So a parameter is made from the files without the others, in
every family, and whatever a family does is written down once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

META, CPU = torch.device("meta"), torch.device("cpu")
Read = Callable[[str], Tensor]


class NotRecordable(Exception):
    """Something writes into a tensor, so that its result does not follow from what is recorded."""


@dataclass(frozen=True)
class Step:
    """One call of a function of torch.

    Attributes:
        function: that was called.
        args: of the call.
        kwargs: of the call.
        place: of the result among several; None where it is the only one.
    """

    function: Callable[..., object]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    place: int | None


class Recorder(TorchFunctionMode):
    """Keeps what is done to some tensors while it is entered.

    Args:
        sources: the tensors that it begins with, on the device "meta", with their names; several
            tensors of one name are one.
        answers: what `torch.equal` says, in the order of its calls; true where there are no more.
    """

    def __init__(self, sources: Iterable[tuple[str, Tensor]], answers: Sequence[bool] = ()) -> None:
        super().__init__()
        sources = list(sources)
        self._names = {id(tensor): name for name, tensor in sources}
        self._steps: dict[int, Step] = {}
        # numbers of objects mean something as long as the objects live
        self._kept: list[object] = [sources]
        self._answers = answers
        self._uses: Counter[int] = Counter()
        self.compared: list[tuple[Tensor, Tensor]] = []
        """The tensors that were compared, in order."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Collection[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Answer `torch.equal`, and write down whatever makes a tensor."""
        if func is torch.equal:
            first, second = args
            assert isinstance(first, Tensor) and isinstance(second, Tensor)
            number = len(self.compared)
            self.compared.append((first, second))
            return self._answers[number] if number < len(self._answers) else True
        name = getattr(func, "__name__", "")
        if name in ("__setitem__", "set_") or (name.endswith("_") and not name.endswith("__")):
            raise NotRecordable(name)
        found = func(*args, **(kwargs or {}))
        several = isinstance(found, tuple | list)
        made = [
            (place, each)
            for place, each in enumerate(found if several else (found,))  # type: ignore[arg-type]
            if isinstance(each, Tensor) and not self._known(each)
        ]
        for place, each in made:
            step = Step(func, args, dict(kwargs or {}), place if several else None)
            self._steps[id(each)] = step
            self._kept.append(each)
            self._uses.update({id(tensor): 1 for tensor in _tensors((args, step.kwargs))})
        return found

    def _known(self, tensor: Tensor) -> bool:
        return id(tensor) in self._names or id(tensor) in self._steps

    def sources(self, tensor: Tensor) -> list[str]:
        """Names of the tensors that one is made from, in the order in which they are needed."""
        if id(tensor) in self._names:
            return [self._names[id(tensor)]]
        step = self._steps.get(id(tensor))
        inner = [] if step is None else _tensors((step.args, step.kwargs))
        return list(dict.fromkeys(name for each in inner for name in self.sources(each)))

    def make(self, tensor: Tensor, read: Read) -> Tensor:
        """Do to real tensors what was done to make one without values.

        Args:
            tensor: that was made while this was entered, or one of the sources.
            read: name of a source -> its values.
        """
        return self._make(tensor, read, {})

    def _make(self, tensor: Tensor, read: Read, kept: dict[int, Tensor]) -> Tensor:
        number = id(tensor)
        if number in kept:
            return kept[number]
        if number in self._names:
            found = read(self._names[number])
        elif number in self._steps:
            step = self._steps[number]
            args, kwargs = (_replaced(each, self, read, kept) for each in (step.args, step.kwargs))
            result = step.function(*args, **kwargs)  # type: ignore[misc]
            found = result if step.place is None else result[step.place]  # type: ignore[index]
            assert isinstance(found, Tensor)
        else:
            found = tensor.clone()  # a constant
        if self._uses[number] > 1:
            kept[number] = found
        return found


def _tensors(value: object) -> Iterator[Tensor]:
    """The tensors in some arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)


def _replaced(value: object, recorder: Recorder, read: Read, kept: dict[int, Tensor]) -> object:
    """Arguments with values in place of tensors without, and where those would be made."""
    if isinstance(value, Tensor):
        return recorder._make(value, read, kept)
    if isinstance(value, torch.device):
        return CPU if value == META else value
    if isinstance(value, Mapping):
        return {key: _replaced(each, recorder, read, kept) for key, each in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_replaced(each, recorder, read, kept) for each in value)  # type: ignore
    return value
