"""What a task's loss does along a path, at many points, in one pass over the data.

Each batch is loaded once and run at every point. The points share one module, whose parameters are
swapped by `torch.func.functional_call`. (Stacking the points under `vmap` was 2 to 3.5 times slower
on CPUs, where batched attention has no fused kernel; see docs/LOG.md.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import functional_call

from lmc_core.display import draw_curve, draw_figure, show
from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.limits import require_counts
from lmc_core.models.forward import outputs_each
from lmc_core.models.functional import Forward
from lmc_core.models.mixing import in_single
from lmc_core.models.model import Model
from lmc_core.numbers import estimate, number
from lmc_core.paths.barrier import Barrier, barrier
from lmc_core.paths.line import ModelPath
from lmc_core.tasks import Examples, losses

if TYPE_CHECKING:
    import plotly.graph_objects as go  # loaded when something is drawn

State = Mapping[str, Tensor]
BATCH = 128  # examples; large enough to fill the cores, small enough to stay in their caches
OUTPUTS = 2**26  # numbers that a batch may give: 256 MB
HELD = 2**28  # parameters of all points that are held at once: 1 GB


@dataclass(frozen=True)
class Curve:
    """Losses along a path.

    Attributes:
        lam: the points, increasing from 0 to 1, float64 `[points]`.
        losses: loss of each example at each point in nats, float32 `[points, examples]`.
        correct: share predicted correctly, same shape.
        groups: which examples belong together, int64 `[examples]`; None where each stands for
            itself.
    """

    lam: Tensor
    losses: Tensor
    correct: Tensor
    groups: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """Mean loss at each point in nats, float64 `[points]`."""
        return self.losses.double().mean(1)

    @property
    def stderr(self) -> Tensor:
        """Standard error of the mean loss over examples, or groups of them, in nats, float64
        `[points]`.
        """
        return stderr(self.losses, self.groups)

    @property
    def barrier(self) -> Barrier:
        """The barrier of the curve."""
        return barrier(self.lam, self.losses, self.groups)

    def figure(
        self, theme: str = "light", height: int | None = None, names: Sequence[str] = ("A", "B")
    ) -> go.Figure:
        """Loss and accuracy along the path, the chord and the barrier, as a Plotly figure.

        Args:
            theme: ``light``, ``dark`` or ``paper``.
            height: in pixels; by default that of the app.
            names: of the models at both ends.
        """
        return draw_figure("lmc_core.figures.notebook:draw_curve", self, theme, height, names)

    def _repr_html_(self) -> str:
        """A drawing of the curve and the barrier with its error, in a notebook."""
        top, mean = self.barrier, self.mean.tolist()
        words = estimate(top.value, top.stderr, "nats")
        facts = [
            ("barrier", f"{words} at λ = {number(top.lam)}"),
            ("ends", f"{number(mean[0])} and {number(mean[-1], 'nats')}"),
            ("examples", f"{self.losses.shape[1]:,}"),
        ]
        return show("Curve", facts, draw_curve(self.lam.tolist(), mean, top.index, words))

    def merged(self, other: Curve) -> Curve:
        """Both curves' points, in order."""
        lam = torch.cat([self.lam, other.lam])
        order = lam.argsort()
        return Curve(
            lam[order],
            torch.cat([self.losses, other.losses])[order],
            torch.cat([self.correct, other.correct])[order],
            self.groups,
        )


@torch.no_grad()
def evaluate(
    model: Model,
    states: Sequence[State],
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
    temperatures: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Loss and correctness of every example under every set of parameters.

    Args:
        model: whose class and configuration the parameters belong to.
        states: the sets of parameters.
        examples: what to measure on.
        device: where to run.
        progress: called after every forward pass with the share done; may raise to stop.
        temperatures: what logits are divided by before the softmax, `[states]`; 1 by default.

    Returns:
        Two float32 tensors `[states, examples]`: loss in nats, share correct.
    """
    forward = Forward(model).to(device)
    placed = [
        {f"inner.{name}": in_single(tensor.to(device)) for name, tensor in state.items()}
        for state in states
    ]
    rows = []
    size = batch_size(model, examples)
    for turn, batch in enumerate(examples.batches(size)):
        inputs, targets = batch.inputs.to(device), batch.targets.to(device)
        found = []
        for index, state in enumerate(placed):
            logits = functional_call(forward, state, (inputs,))
            if temperatures is not None:
                logits = logits / float(temperatures[index])
            found.append(torch.stack(losses(logits, targets)).cpu())
            progress(
                min(1.0, (turn * size + len(batch) * (index + 1) / len(placed)) / len(examples))
            )
        rows.append(torch.stack(found))  # [states, 2, batch]
    result = torch.cat(rows, 2)
    return result[:, 0], result[:, 1]


def batch_size(model: Model, examples: Examples) -> int:
    """How many examples are run at once: `BATCH`, or fewer where their outputs are large."""
    return max(1, min(BATCH, OUTPUTS // outputs_each(model, examples.inputs)))


def measure(
    path: ModelPath,
    lam: Tensor,
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
    temperatures: Tensor | None = None,
) -> Curve:
    """Measure the loss at some points of a path, of large models a few at a time.

    Args:
        path: between two models.
        lam: the points, increasing.
        examples: what to measure on.
        device: where to run.
        progress: called with the share done; may raise to stop.
        temperatures: what logits are divided by at each point; 1 by default.
    """
    together = max(1, HELD // max(1, path.a.parameters))
    parts = []
    for start in range(0, len(lam), together):
        states = [path.state(float(x)) for x in lam[start : start + together]]

        def tell(share: float, start: int = start, count: int = len(states)) -> None:
            progress((start + share * count) / len(lam))

        chosen = None if temperatures is None else temperatures[start : start + together]
        parts.append(evaluate(path.a, states, examples, device, tell, chosen))
    losses, correct = (torch.cat(each) for each in zip(*parts, strict=True))
    return Curve(lam, losses, correct, examples.groups)


def curve(
    line: ModelPath,
    examples: Examples,
    points: int = 25,
    refine: int = 4,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> Curve:
    """Measure the loss along a line.

    A uniform grid is measured in one pass over the data; a second pass measures `refine` more
    points between the two neighbours of the point where the barrier is.

    Args:
        line: a path between two models.
        examples: what to measure on.
        points: of the grid, both ends included.
        refine: further points around the maximum; 0 for none.
        device: where to run.
        progress: called with the share done; may raise to stop.

    Raises:
        BadInput: for fewer than three points, or more than anyone can mean.
    """
    require_counts(points=points, refine=refine)
    if points < 3:
        raise BadInput(f"At least 3 points are needed, both ends included; {points} came.")
    if refine < 0:
        raise BadInput(f"The number of refining points should be 0 or more; {refine} came.")
    total = points + refine
    lam = torch.linspace(0, 1, points, dtype=torch.float64)
    found = measure(line, lam, examples, device, lambda share: progress(share * points / total))
    if refine:
        top = found.barrier.index
        left, right = refine // 2, refine - refine // 2
        low = torch.linspace(float(lam[top - 1]), float(lam[top]), left + 2, dtype=torch.float64)[
            1:-1
        ]
        high = torch.linspace(float(lam[top]), float(lam[top + 1]), right + 2, dtype=torch.float64)[
            1:-1
        ]
        more = measure(
            line,
            torch.cat([low, high]),
            examples,
            device,
            lambda share: progress((points + share * refine) / total),
        )
        found = found.merged(more)
    return found
