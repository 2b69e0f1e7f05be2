"""What every way to merge is given, and what it returns: parameters of one layout, in one frame.

All arithmetic is in float64, on some entries of one parameter at a time, so that not even a
parameter is held in it; the result is float32. Of models whose parameters are lazy the outcome is
lazy as well: a parameter is merged when it is asked for, as it is when a checkpoint is written.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmc_core.errors import BadInput, Incompatible, UnknownName
from lmc_core.lazy_torch import torch
from lmc_core.models.lazy import LazyState, is_lazy, shapes
from lmc_core.models.mixing import weighted
from lmc_core.symmetry.layout import State

if TYPE_CHECKING:
    from torch import Tensor

# parameters -> loss in nats and share correct, on data that is not the test
Judge = Callable[[State], tuple[float, float]]
STAND_INS = ("mean", "first")  # what takes the place of a common ancestor where there is none
PIECE = 2**20  # entries that are merged at once: a dozen of such tensors fit into a cache of 100 MB


@dataclass(frozen=True)
class Ingredients:
    """Several sets of parameters to be merged into one.

    Attributes:
        states: at least two, with the same names and shapes, brought into one frame before.
        names: of the models, for what is said of the result.
        weights: of the models, at least 0; () for equal ones. The plain average and the greedy soup
            ignore them.
        ancestor: parameters that all models were fine-tuned from, in the same frame; None if there
            are none.
        stand_in: what takes their place then, ``mean`` of all models or the ``first`` of them.
        judge: measures parameters on validation data, for methods that choose.
        progress: called with the share done; may raise to stop.
        start: of what `pieces` gives, the number of its first entry in its parameter.

    Raises:
        BadInput: for fewer than two models, or weights that make no sense.
        Incompatible: if parameters differ in name or shape.
        UnknownName: for a stand-in that there is not.
    """

    states: Sequence[State]
    names: Sequence[str] = ()
    weights: Sequence[float] = ()
    ancestor: State | None = None
    stand_in: str = "mean"
    judge: Judge | None = None
    progress: Callable[[float], None] = field(default=lambda share: None)
    start: int = 0

    def __post_init__(self) -> None:
        if len(self.states) < 2:
            raise BadInput(f"At least 2 models are needed to merge; {len(self.states)} came.")
        if self.stand_in not in STAND_INS:
            raise UnknownName.of("stand-in for a common ancestor", self.stand_in, STAND_INS)
        object.__setattr__(
            self,
            "names",
            tuple(self.names) or tuple(f"model {k + 1}" for k in range(len(self.states))),
        )
        object.__setattr__(self, "weights", normalised(self.weights, len(self.states)))
        first = {name: tensor.shape for name, tensor in shapes(self.states[0]).items()}
        others = [*self.states[1:], *([] if self.ancestor is None else [self.ancestor])]
        called = [*self.names[1:], *([] if self.ancestor is None else ["the common ancestor"])]
        for state, name in zip(others, called, strict=True):
            if {n: t.shape for n, t in shapes(state).items()} != first:
                raise Incompatible(
                    f"{self.names[0]} and {name} have different parameters; bring them into one "
                    "frame first."
                )

    def __len__(self) -> int:
        return len(self.states)

    def of(self, name: str) -> list[Tensor]:
        """A parameter of every model, in float64."""
        return [state[name].double() for state in self.states]

    def base(self, name: str) -> Tensor:
        """A parameter of the common ancestor, or of what stands in for it, in float64."""
        if self.ancestor is not None:
            return self.ancestor[name].double()
        if self.stand_in == "first":
            return self.states[0][name].double()
        return weighted(self.of(name), [1 / len(self)] * len(self))

    def task_vectors(self, name: str) -> list[Tensor]:
        """What every model adds to the ancestor, tau_k = theta_k - theta_0, of one parameter in
        float64.
        """
        base = self.base(name)
        return [tensor - base for tensor in self.of(name)]

    def pieces(self, name: str) -> Iterator[Ingredients]:
        """The same models with some entries of one parameter, flat, and then the next ones."""
        every = [*self.states, *([] if self.ancestor is None else [self.ancestor])]
        whole = [state[name].flatten() for state in every]
        for start in range(0, len(whole[0]), PIECE):
            found = copy.copy(self)
            cut = [{name: tensor[start : start + PIECE]} for tensor in whole]
            object.__setattr__(found, "start", start)
            object.__setattr__(found, "states", cut[: len(self)])
            object.__setattr__(found, "ancestor", None if self.ancestor is None else cut[-1])
            yield found

    def entrywise(self, merge: Callable[[Ingredients, str], Tensor]) -> Merged:
        """Merge every entry by itself.

        Args:
            merge: what `pieces` gives, and the name of the parameter -> its merged entries.
        """

        def whole(name: str) -> Tensor:
            found = torch.empty(shapes(self.states[0])[name].shape)
            flat = found.view(-1)
            for piece in self.pieces(name):
                flat[piece.start : piece.start + PIECE] = merge(piece, name)
            return found

        return self.each(whole)

    def each(self, merge: Callable[[str], Tensor]) -> Merged:
        """Merge every parameter by itself; lazy ones when they are asked for."""

        def single(name: str) -> Tensor:
            return merge(name).to(torch.float32).contiguous()

        outlines = shapes(self.states[0])
        if any(map(is_lazy, self.states)):
            return Merged(LazyState({n: t.to("meta").float() for n, t in outlines.items()}, single))
        found = {}
        for number, name in enumerate(outlines, 1):
            found[name] = single(name)
            self.progress(number / len(outlines))
        return Merged(found)


@dataclass(frozen=True)
class Merged:
    """One set of parameters, and what there is to say about how it came to be.

    Attributes:
        state: in float32; lazy where the models' are.
        about: plain values, such as which models a soup kept.
    """

    state: State
    about: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class NoSettings:
    """There is nothing to set."""


def normalised(weights: Sequence[float], count: int) -> tuple[float, ...]:
    """Weights divided by their sum; () becomes equal ones.

    Raises:
        BadInput: for another number of weights than of models, a negative one, or a sum that is not
            positive and finite.
    """
    if not len(weights):
        return (1 / count,) * count
    if len(weights) != count:
        raise BadInput(
            f"One weight for each of the {count} models is expected; {len(weights)} came."
        )
    total = float(sum(weights))
    if not all(weight >= 0 for weight in weights) or not 0 < total < float("inf"):
        words = ", ".join(f"{weight:g}" for weight in weights)
        raise BadInput(f"Weights should be 0 or more, and not all of them 0; {words} came.")
    return tuple(float(weight) / total for weight in weights)


def require_share(name: str, value: float) -> None:
    """Raise `BadInput` unless a setting lies in (0, 1]."""
    if not 0 < value <= 1:
        raise BadInput(f"{name} should be above 0 and at most 1; {value} came.")
