"""Weighted means of the parameters of several models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lmc_core.errors import Incompatible
from lmc_core.lazy_torch import torch
from lmc_core.models.lazy import LazyState, State, shapes
from lmc_core.models.precision import wide_type

if TYPE_CHECKING:
    from torch import Tensor

    from lmc_core.models.model import Model


def in_single(tensor: Tensor) -> Tensor:
    """The tensor itself, or its float32 copy where it is stored in half precision, which is too
    coarse to compute in.
    """
    return tensor.to(wide_type(tensor))


def weighted(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """sum_k w_k x_k for weights that sum to 1, as a running mean; of one weight 1 the tensor
    itself, bit for bit.
    """
    result, total = tensors[0], weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        if weight:
            total += weight
            result = torch.lerp(result, tensor, weight / total)
    return result


def blend(states: Sequence[State], combine: Callable[[list[Tensor]], Tensor]) -> LazyState:
    """Parameters made of those of several models when they are asked for, so that a mixture takes
    the memory of one of its tensors.

    Args:
        states: with the same names and shapes.
        combine: one parameter of each, in float32 at least -> that of the mixture.
    """
    found = {
        name: tensor.to("meta", wide_type(tensor)) for name, tensor in shapes(states[0]).items()
    }
    return LazyState(found, lambda name: combine([in_single(state[name]) for state in states]))


def mixed(models: Sequence[Model], weights: Sequence[float]) -> Mapping[str, Tensor]:
    """The parameters sum_k w_k theta_k, in float32 at least; where one weight is 1, that model's
    own tensors.
    """
    if 1.0 in weights:
        return models[list(weights).index(1.0)].state
    return blend([model.state for model in models], lambda tensors: weighted(tensors, weights))


def centre(models: Sequence[Model], name: str | None = None, state: State | None = None) -> Model:
    """The mean of several models that have the same parameters, as a model of their class.

    Args:
        models: at least one; aligned before, or the mean is of no use.
        name: of the mean; by default the names of the models, joined.
        state: the mean of their parameters, where it is made in another way; see `pieced.mean`.

    Raises:
        Incompatible: if their parameters differ in name or shape.
    """
    require_alike(models)
    if state is None:
        state = dict(mixed(models, [1 / len(models)] * len(models)))
    return models[0].with_state(
        state, name=name or " + ".join(m.name for m in models), card=shared_card(models)
    )


def shared_card(models: Sequence[Model]) -> dict[str, str]:
    """What is true of the mean as well: the task, if all were trained on the same."""
    tasks = {str(model.card.get("task") or "") for model in models}
    task = tasks.pop() if len(tasks) == 1 else ""
    return {"task": task} if task else {}


def require_alike(models: Sequence[Model]) -> None:
    """Raise `Incompatible` unless all models have parameters of the same names and shapes."""
    for model in models[1:]:
        own, first = ({n: t.shape for n, t in shapes(m.state).items()} for m in (model, models[0]))
        if own != first:
            raise Incompatible(
                f"{models[0].name} and {model.name} have different parameters; align them first."
            )
