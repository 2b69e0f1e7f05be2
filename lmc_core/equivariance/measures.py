"""What is measured of a network on its way: losses with the free branch on and off, the error of
equivariance, the gauge.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lmc_core.equivariance.data import Sample
from lmc_core.equivariance.relaxed import Relaxed
from lmc_core.symmetry.arithmetic import has_float64


@dataclass(frozen=True)
class Score:
    """How well a network does on a sample.

    Attributes:
        loss: mean cross-entropy in nats.
        stderr: its standard error; examples that are one example in several positions count as one.
        accuracy: share of right answers.
    """

    loss: float
    stderr: float
    accuracy: float


@torch.no_grad()
def score(relaxed: Relaxed, gamma: Tensor, sample: Sample) -> Score:
    """Measure a network at a gamma on a sample."""
    return score_outputs(relaxed(sample.inputs, gamma), sample)


def score_outputs(outputs: Tensor, sample: Sample) -> Score:
    """Measure outputs on a sample."""
    losses = cross_entropy(outputs, sample.labels, reduction="none").cpu().double()
    whole = losses.view(-1, sample.orbits).mean(1)  # an orbit's members are not independent
    stderr = float(whole.std() / len(whole) ** 0.5) if len(whole) > 1 else float("nan")
    return Score(
        float(losses.mean()),
        stderr,
        float((outputs.argmax(1) == sample.labels).cpu().double().mean()),
    )


@torch.no_grad()
def equivariance_error(relaxed: Relaxed, gamma: Tensor, inputs: Tensor) -> float:
    """How far a network is from equivariant, 0 for one that is.

        sqrt( mean |f(rho_in(g) x) - rho_out(g) f(x)|^2 / mean |f(x) - mean f|^2 )

    over all inputs and all elements but the identity. The outputs' own spread is the scale: 1 is as
    far apart as inputs are.

    Args:
        relaxed: the network.
        gamma: `[layers]`.
        inputs: `[n, inputs]`.
    """
    layout = relaxed.layout
    still = relaxed(inputs, gamma)
    squares = []
    for taken, given in zip(layout.input.places[1:], layout.output.places[1:], strict=True):
        moved = relaxed(inputs[:, torch.from_numpy(taken).to(inputs.device)], gamma)
        squares.append(
            (moved - still[:, torch.from_numpy(given).to(inputs.device)]).square().sum(1).mean()
        )
    if not squares:
        return 0.0
    spread = (still - still.mean(0)).square().sum(1).mean()
    return float((torch.stack(squares).mean() / spread.clamp(min=1e-30)).sqrt())


def gauge(relaxed: Relaxed, sample: Sample) -> Tensor:
    """-dJ/dgamma at gamma = 0 in nats, `[layers]`: how much the data would gain from each layer's
    free part.

    Zero to rounding on data that the group maps to itself, whatever the weights: J is invariant
    there, so its gradient at an equivariant point is equivariant, and (I - P) Wn is orthogonal to
    that (symmetric criticality, Palais 1979). In float64, so that what is zero is seen to be (but
    on a device that has none).
    """
    exact = relaxed.double() if has_float64(sample.inputs.device) else relaxed
    gamma = torch.zeros_like(exact.ones()).requires_grad_(True)
    loss = cross_entropy(exact(sample.inputs.to(gamma), gamma), sample.labels)
    return -torch.autograd.grad(loss, gamma)[0].detach()


def path(relaxed: Relaxed, gamma: Tensor, shares: Tensor, sample: Sample) -> list[Score]:
    """The scores along the straight line from the projection (share 0) to the network (share 1),
    W(share gamma).
    """
    return [score(relaxed, share * gamma, sample) for share in shares.to(gamma)]


def plane(
    relaxed: Relaxed, gamma: Tensor, layers: tuple[int, int], values: Tensor, sample: Sample
) -> Tensor:
    """Losses in nats over two entries of gamma, the others as they are, `[values, values]`; the
    first layer counts rows.
    """
    losses = torch.empty(len(values), len(values), dtype=torch.float64)
    for row, one in enumerate(values):
        for column, other in enumerate(values):
            at = gamma.clone()
            at[layers[0]], at[layers[1]] = one, other
            losses[row, column] = score(relaxed, at, sample).loss
    return losses


@torch.no_grad()
def strip(relaxed: Relaxed, gamma: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs in all positions, `[n, order, inputs]`, and the probabilities that the network gives,
    `[n, order, classes]`.
    """
    places = torch.from_numpy(relaxed.layout.input.places).to(inputs.device)
    moved = inputs[:, places]
    return moved, relaxed(moved.flatten(0, 1), gamma).softmax(-1).unflatten(0, moved.shape[:2])
