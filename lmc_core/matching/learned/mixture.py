"""The mixture of some models where their maps have brought them, formed one parameter at a time.

    theta = sum_k w_k g_k theta_k

Backwards, the gradient for a parameter is contracted to the maps as it arrives (`moved_state`), and
then freed. Where one model moves, w_k g_k theta_k is theta without the others, so that nothing is
kept beside theta, which the forward pass needs anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from lmc_core.matching.learned.moved_state import MovedState, Slopes
from lmc_core.models.mixing import weighted
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.layout import State


class Mixture:
    """Parameters of a mixture, and the slopes of a loss for the maps behind them.

    Args:
        ends: the models' parameters.
        moving: by number of a model, its parameters as they move.
        elements: by number of a model, what it is moved by.
        weights: of the models.
        probed: spaces whose permutations are probed.
        dtype: that matrices are brought to before they are moved; None for what they are in.
            Vectors, and what is looked up, come in float32.
        tick: called before a parameter is formed or its gradient taken; may raise to stop.
    """

    def __init__(
        self,
        ends: Sequence[State],
        moving: Mapping[int, MovedState],
        elements: Mapping[int, Mapping[str, Element]],
        weights: Sequence[float],
        probed: Collection[str] = (),
        dtype: torch.dtype | None = None,
        tick: Callable[[], None] = lambda: None,
    ):
        self.ends, self.moving, self.elements = ends, moving, elements
        self.weights, self.dtype, self.tick = weights, dtype, tick
        self.slopes = {k: Slopes(probed=probed) for k in moving}
        self._cast: dict[tuple[int, torch.dtype], Mapping[str, Element]] = {}
        self._token = torch.zeros((), requires_grad=True)  # what makes a graph of parameters

    def parameters(self) -> dict[str, Tensor]:
        """All parameters by name; those that move have a gradient."""
        return {name: self.parameter(name) for name in self.ends[0]}

    def parameter(self, name: str) -> Tensor:
        """One parameter."""
        if any(name in each.cuts for each in self.moving.values()):
            return _Mixed.apply(self._token, self, name)
        return self.join(self.move(name))

    def join(self, tensors: Sequence[Tensor]) -> Tensor:
        """What belongs to each model, mixed."""
        return weighted(tensors, self.weights)

    @torch.no_grad()
    def move(self, name: str) -> list[Tensor]:
        """A parameter of every model where it was brought."""
        self.tick()
        return [self._bring(k, self._read(end, name), name) for k, end in enumerate(self.ends)]

    def _bring(self, k: int, tensor: Tensor, name: str) -> Tensor:
        if k not in self.moving:
            return tensor
        with _exact(tensor.device, self.dtype):
            return self.moving[k].move(name, tensor, self._elements_in(k, tensor.dtype))

    def _elements_in(self, k: int, dtype: torch.dtype) -> Mapping[str, Element]:
        """What a model is moved by, in the precision of a parameter."""
        if self.dtype in (None, torch.float32):
            return self.elements[k]
        if (k, dtype) not in self._cast:
            self._cast[k, dtype] = {n: _to(each, dtype) for n, each in self.elements[k].items()}
        return self._cast[k, dtype]

    def _read(self, end: State, name: str) -> Tensor:
        tensor = end[name]
        if self.dtype is None:
            return tensor
        return tensor.to(self.dtype if tensor.ndim > 1 else torch.float32)

    def lies_by_rows(self, name: str) -> bool:
        """Whether a parameter is a table of rows that move by themselves, as one for tokens is."""
        return all(each.moves_rows(name) for each in self.moving.values())

    def look_up(self, name: str, index: Tensor, padding: int | None = None) -> Tensor:
        """Rows of a table of which a model looks some up; none has a gradient where the index is
        `padding`.
        """
        return _Rows.apply(self._token, self, name, index, padding)

    def gather_reads(self, name: str, slopes: Sequence[Tensor], inputs: Tensor) -> None:
        """Take note of a table that inputs `[t, d]` were multiplied with, by the slopes for these
        inputs through each model's own table.
        """
        for k, moving in self.moving.items():
            back = (self.weights[k] * slopes[k]).mT
            moving.gather_rows(name, self.elements[k], back, inputs.mT, self.slopes[k])

    def gather(self, name: str, kept: Sequence[Tensor], gradient: Tensor) -> None:
        """Take note of the gradient for a parameter.

        Args:
            name: of the parameter.
            kept: what was moved of every model that moves, or the mixture where that is one model.
            gradient: for the mixture.
        """
        self.tick()
        if len(self.moving) > 1:
            for (k, moving), moved in zip(self.moving.items(), kept, strict=True):
                scaled = self.weights[k] * gradient
                moving.gather(name, self.elements[k], moved, scaled, self.slopes[k])
            return
        (k, moving), share = next(iter(self.moving.items())), kept[0]
        for other, end in enumerate(self.ends):
            if other != k:
                share = torch.sub(share, self._read(end, name), alpha=self.weights[other])
        moving.gather(name, self.elements[k], share, gradient, self.slopes[k])


def _exact(
    device: torch.device, dtype: torch.dtype | None
) -> AbstractContextManager[torch.autocast | None]:
    """Keep a move in the precision of its tensors where the rest of a step is in another."""
    # not every kind of device has this mode
    return nullcontext() if dtype is None else torch.autocast(device.type, enabled=False)


def _to(element: Element, dtype: torch.dtype) -> Element:
    """An element with its numbers in a precision."""
    kinds = {n: t if n == "indices" else t.detach().to(dtype) for n, t in vars(element).items()}
    return type(element)(**kinds)


class _Context(FunctionCtx):
    mixture: Mixture
    name: str
    saved_tensors: tuple[Tensor, ...]


class _Mixed(torch.autograd.Function):
    """A parameter of a mixture, whose gradient goes to the slopes of its maps."""

    @staticmethod
    def forward(ctx: _Context, token: Tensor, mixture: Mixture, name: str) -> Tensor:
        moved = mixture.move(name)
        value = weighted(moved, mixture.weights)
        kept = [moved[k] for k in mixture.moving] if len(mixture.moving) > 1 else [value]
        ctx.mixture, ctx.name = mixture, name
        ctx.save_for_backward(*kept)
        return value

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        with torch.no_grad():
            ctx.mixture.gather(ctx.name, ctx.saved_tensors, gradients[0])
        return None, None, None


class _RowsContext(FunctionCtx):
    mixture: Mixture
    name: str
    saved_tensors: tuple[Tensor, ...]


class _Rows(torch.autograd.Function):
    """Rows of a table of a mixture, moved where they are looked up."""

    @staticmethod
    def forward(
        ctx: _RowsContext,
        token: Tensor,
        mixture: Mixture,
        name: str,
        index: Tensor,
        padding: int | None,
    ) -> Tensor:
        flat = index.flatten()
        rows = [end[name][flat].float() for end in mixture.ends]
        with _exact(index.device, mixture.dtype):
            for k, moving in mixture.moving.items():
                rows[k] = moving.move_rows(name, mixture.elements[k], rows[k])
        ctx.mixture, ctx.name = mixture, name
        kept = flat != (-1 if padding is None else padding)
        ctx.save_for_backward(kept, *(rows[k] for k in mixture.moving))
        return mixture.join(rows).view(*index.shape, -1)

    @staticmethod
    def backward(ctx: _RowsContext, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        mixture, (kept, *rows) = ctx.mixture, ctx.saved_tensors
        gradient = gradients[0].flatten(0, -2) * kept[:, None]
        with torch.no_grad():
            for (k, moving), moved in zip(mixture.moving.items(), rows, strict=True):
                scaled = (mixture.weights[k] * gradient).mT
                slopes = mixture.slopes[k]
                moving.gather_rows(ctx.name, mixture.elements[k], moved.mT, scaled, slopes)
        return None, None, None, None, None
