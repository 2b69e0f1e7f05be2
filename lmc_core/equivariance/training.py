"""Training towards equivariance: one step of the weights, one of gamma, one of the multiplier, in
turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lmc_core.equivariance.data import Sample
from lmc_core.equivariance.forms import Form, State
from lmc_core.equivariance.relaxed import Relaxed
from lmc_core.errors import BadInput
from lmc_core.limits import require_settings

MOST_STEPS = 20_000


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: of training.
        rate: of AdamW on We and Wn; it falls to zero along a half cosine.
        decay: of these weights, decoupled (AdamW). It also keeps Wn from growing to make up for a
            smaller gamma.
        batch: examples a step; 0 for all. Of orbit data whole orbits are drawn.
        seed: of the draw of batches.
    """

    steps: int = 1000
    rate: float = 0.01
    decay: float = 1.0
    batch: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `BadInput` for what cannot be done."""
        require_settings(self)
        if not 1 <= self.steps <= MOST_STEPS:
            raise BadInput(f"1 to {MOST_STEPS:,} steps are expected; {self.steps:,} came.")
        if not 0 < self.rate <= 1:
            raise BadInput(f"A learning rate above 0 and up to 1 is expected; {self.rate:g} came.")
        if not 0 <= self.decay * self.rate < 1:
            raise BadInput(
                "A weight decay of 0 or more, and below 1 / learning rate, is expected; "
                f"{self.decay:g} came."
            )
        if self.batch < 0:
            raise BadInput(f"A batch of 0 (all) or more examples is expected; {self.batch} came.")


# number of steps done, the state, dJ/dgamma of the last step
Watch = Callable[[int, State, Tensor], None]


def train(relaxed: Relaxed, form: Form, sample: Sample, schedule: Schedule, watch: Watch) -> State:
    """Train a network in place.

    Each step lowers J(We, Wn, gamma), the mean cross-entropy in nats of the batch, by AdamW in We
    and Wn; then the form moves gamma and its multiplier with the gradient dJ/dgamma of the same
    batch.

    Args:
        relaxed: the network; its weights change.
        form: of the constraint.
        sample: to learn from.
        schedule: how long and how fast.
        watch: called before the first step, with a gradient of zeros, and after every step; it may
            raise to stop.

    Returns:
        The last state.

    Raises:
        BadInput: the loss is no longer finite.
    """
    weights = list(
        {
            id(tensor): tensor for tensor in (*relaxed.equivariant.values(), *relaxed.free.values())
        }.values()
    )
    for tensor in weights:
        tensor.requires_grad_(True)
    optimizer = torch.optim.AdamW(weights, schedule.rate, weight_decay=schedule.decay)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps)
    batches = _Batches(sample, schedule)
    state = form.start(relaxed.ones())
    try:
        watch(0, state, torch.zeros_like(state.gamma))
        for step in range(1, schedule.steps + 1):
            inputs, labels = batches.draw()
            gamma = state.gamma.detach().requires_grad_(True)
            loss = cross_entropy(relaxed(inputs, gamma), labels)
            optimizer.zero_grad()
            loss.backward()
            if not torch.isfinite(loss):
                raise BadInput(
                    f"The loss is not finite after {step - 1} steps; lower the learning rate or "
                    "the rates of gamma."
                )
            optimizer.step()
            falling.step()
            assert gamma.grad is not None
            state = form.step(state, gamma.grad)
            watch(step, state, gamma.grad)
    finally:
        for tensor in weights:
            tensor.requires_grad_(False)
    return state


class _Batches:
    """Batches of whole orbits in an order that belongs to the seed."""

    def __init__(self, sample: Sample, schedule: Schedule):
        self._sample = sample
        self._orbits = len(sample) // sample.orbits
        self._size = schedule.batch // sample.orbits if schedule.batch else self._orbits
        self._generator = torch.Generator().manual_seed(schedule.seed)

    def draw(self) -> tuple[Tensor, Tensor]:
        if self._size >= self._orbits:
            return self._sample.inputs, self._sample.labels
        orbits = torch.randperm(self._orbits, generator=self._generator)[: max(self._size, 1)]
        rows = (orbits[:, None] * self._sample.orbits + torch.arange(self._sample.orbits)).flatten()
        rows = rows.to(self._sample.labels.device)
        return self._sample.inputs[rows], self._sample.labels[rows]
