"""Losses of one model's class under many sets of parameters, on the same examples.

One module is built and every set of parameters is written into it in place, so that beside what the
sets are made of there is room for one of them. Examples are read once, in blocks of batches that
stay on the device while all sets run over them, and losses stay there until all are measured.
(Stacking the sets under `vmap` was 2 to 3.5 times slower on CPUs, where batched attention has no
fused kernel; see docs/LOG.md.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from lmc_core.errors import BadInput, UnknownName
from lmc_core.models.forward import outputs_each
from lmc_core.models.functional import Forward
from lmc_core.models.model import Model
from lmc_core.models.texts import find_lengths
from lmc_core.symmetry.layout import State
from lmc_core.tasks.task import Examples, losses

P = TypeVar("P")
BATCH = 128  # examples; large enough to fill the cores, small enough to stay in their caches
OUTPUTS = 2**26  # numbers that a batch may give: 256 MB
PRECISIONS = ("float32", "bfloat16")
BLOCK = 2**26  # bytes of inputs that are held at once, one batch at least


@dataclass(frozen=True)
class Mode:
    """How a module runs.

    Attributes:
        precision: ``float32``, or ``bfloat16``: parameters and what flows through the module in 16
            bits, losses off by 1e-3 to 4e-3 nats on average, of single examples ten times that.
        compiled: by `torch.compile`, which takes from seconds to a minute before the first batch.

    Raises:
        UnknownName: for another precision.
    """

    precision: str = "float32"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UnknownName.of("precision", self.precision, PRECISIONS)


EXACT = Mode()


class States(Generic[P]):
    """Sets of parameters that are made one at a time, when their turn comes.

    Args:
        make: a point -> the parameters there.
        points: in order.
    """

    def __init__(self, make: Callable[[P], State], points: Sequence[P]):
        self.make, self.points = make, points

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[State]:
        return map(self.make, self.points)


@dataclass(frozen=True)
class Batch:
    """Some examples on the device.

    Attributes:
        start: number of the first of them.
        inputs: as the model's class takes them.
        targets: of each.
        alike: whether no text among them is shorter than another, known without asking the device.
    """

    start: int
    inputs: Tensor
    targets: Tensor
    alike: bool

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def rows(self) -> slice:
        """Where its examples are among all."""
        return slice(self.start, self.start + len(self))


class Evaluator:
    """A module, the examples that it runs on, and a place for one set of parameters.

    Args:
        model: whose class and configuration all sets of parameters belong to.
        examples: what to measure on.
        device: where to run.
        mode: how to run.
    """

    def __init__(self, model: Model, examples: Examples, device: str = "cpu", mode: Mode = EXACT):
        self.examples, self.device = examples, device
        self.size = batch_size(model, examples)
        self.dtype = torch.bfloat16 if mode.precision == "bfloat16" else None
        self.forward = Forward(model, model.unfilled(device, self.dtype))
        self._forward = torch.compile(self.forward) if mode.compiled else self.forward
        inner = self.forward.inner
        known = dict(inner.named_parameters(remove_duplicate=False))
        known |= dict(inner.named_buffers(remove_duplicate=False))
        self.targets = {name: known[name] for name in model.state}
        self._held: list[Batch] | None = None

    def on(self, examples: Examples) -> Evaluator:
        """The same module on other examples."""
        other = copy.copy(self)
        other.examples, other._held = examples, None
        return other

    @torch.no_grad()
    def write(self, state: State) -> None:
        """Take these parameters, from any device, in place of those that there are."""
        for name, target in self.targets.items():
            target.copy_(state[name])

    def blocks(self) -> Iterator[list[Batch]]:
        """Yield the examples on the device, a few batches at a time; all of them if they are small,
        which are then kept.
        """
        if self._held is not None:
            yield self._held
            return
        block: list[Batch] = []
        start = held = 0
        for part in self.examples.batches(self.size):
            inputs, targets = part.inputs.to(self.device), part.targets.to(self.device)
            if self.dtype is not None and inputs.is_floating_point():
                inputs = inputs.to(self.dtype)
            block.append(Batch(start, inputs, targets, find_lengths(part.inputs) is None))
            start += len(part)
            held += inputs.nbytes + targets.nbytes
            if held >= BLOCK and start < len(self.examples):
                yield block
                block, held = [], 0
        if block and not block[0].start:
            self._held = block
        yield block

    def run(self, batch: Batch, state: State | None = None) -> Tensor:
        """What the model computes of a batch with some parameters; None for those that it has."""
        if state is not None:
            self.write(state)
        try:
            return self._forward(batch.inputs, batch.alike)
        except RuntimeError as error:
            if self._forward is self.forward:
                raise
            raise BadInput(
                f"The network cannot be compiled here ({str(error).strip()[:200]}); "
                "leave --compile out."
            ) from error

    def losses(
        self,
        states: Sequence[State] | States,
        progress: Callable[[float], None] = lambda share: None,
        temperatures: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Loss and correctness of every example under every set of parameters.

        Args:
            states: the sets of parameters.
            progress: called after every forward pass with the share done; may raise to stop.
            temperatures: what logits are divided by before the softmax, `[states]`; 1 by default.

        Returns:
            Two float32 tensors `[states, examples]`: loss in nats, share correct.
        """
        found = torch.empty(len(states), 2, len(self.examples), device=self.device)
        done, total = 0, len(states) * len(self.examples)
        for block in self.blocks():
            for index, state in enumerate(states):
                self.write(state)
                for batch in block:
                    with torch.inference_mode():
                        logits = self.run(batch)
                        if temperatures is not None:
                            logits = logits / float(temperatures[index])
                        found[index, :, batch.rows] = torch.stack(losses(logits, batch.targets))
                    done += len(batch)
                    progress(done / total)
        result = found.cpu()
        return result[:, 0], result[:, 1]


def evaluate(
    model: Model,
    states: Sequence[State] | States,
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
    temperatures: Tensor | None = None,
    mode: Mode = EXACT,
) -> tuple[Tensor, Tensor]:
    """Loss and correctness of every example under every set of parameters; for the arguments see
    `Evaluator` and `Evaluator.losses`.
    """
    return Evaluator(model, examples, device, mode).losses(states, progress, temperatures)


def batch_size(model: Model, examples: Examples) -> int:
    """How many examples are run at once: `BATCH`, or fewer where their outputs are large."""
    return max(1, min(BATCH, OUTPUTS // outputs_each(model, examples.inputs)))
