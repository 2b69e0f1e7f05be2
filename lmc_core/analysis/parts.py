"""Which part of a network the barrier comes from: one part goes from A to B while all others stay
at A.

Layer-wise linear mode connectivity (Adilova et al. 2024, arXiv 2307.06966, section 3): for a part P
of the parameters

    theta_P(lam) = (theta_A outside of P,  (1 - lam) theta_A + lam theta_B in P).

The *cost* of averaging a part is L(theta_P(1/2)) - L(theta_A); its *swap* is L(theta_P(1)) -
L(theta_A), the loss of A with that part of B in its place. Without an alignment the parts of two
models do not fit each other; after one they should.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.models.lazy import LazyState, shapes
from lmc_core.paths.line import Line
from lmc_core.symmetry.layout import Layout
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import evaluate

ATTENTION = {"heads", "queries", "query-key", "rotary-key", "gains", "value-output", "latent"}
FEED_FORWARD = {"units", "experts", "expert-groups"}
RECURRENCE = {"channels", "filters", "states", "time-step"}
# part of a layer -> its spaces
KINDS = {"attention": ATTENTION, "recurrence": RECURRENCE, "feed-forward": FEED_FORWARD}
_LAYER = re.compile(r"^(.*?)\.(\d+)\.")


@dataclass(frozen=True)
class Part:
    """Some of the parameters of a network.

    Attributes:
        name: "input", "attention 0", "recurrence 0", "feed-forward 0", "norms 0", "output"; layers
            are counted from 0.
        parameters: names of its parameters.
    """

    name: str
    parameters: tuple[str, ...]


def find_parts(layout: Layout) -> list[Part]:
    """The parts of a network as data flows: input, attention or recurrence and feed-forward of each
    layer, output.

    A layer is told by the first number in a parameter's name, and what a parameter belongs to by
    the spaces it touches; a bias that touches the residual stream alone belongs to the weight
    beside it, and a norm to the norms of its layer.
    """
    touched: dict[str, set[str]] = {name: set() for name in layout.shapes}
    for block in layout.blocks:
        touched[block.parameter] |= {
            layout.spaces[axis.space].kind for axis in block.axes if axis.space
        }
    beside: dict[str, set[str]] = {}
    for name, kinds in touched.items():
        beside.setdefault(name.rpartition(".")[0], set()).update(kinds)
    groups: dict[str, list[str]] = {"input": []}
    inside, last, stacks = (
        False,
        [],
        list(dict.fromkeys(m[1] for n in layout.shapes if (m := _LAYER.match(n)))),
    )
    for name in layout.shapes:
        layer = _LAYER.match(name)
        if layer is None:
            (last if inside else groups["input"]).append(name)
            continue
        inside = True
        kinds = touched[name] | beside[name.rpartition(".")[0]]
        what = next((part for part, own in KINDS.items() if kinds & own), "norms")
        stack = f"{layer[1].split('.')[0]} " if len(stacks) > 1 else ""
        for part in (*KINDS, "norms"):
            groups.setdefault(f"{stack}{part} {layer[2]}", [])
        groups[f"{stack}{what} {layer[2]}"].append(name)
    groups["output"] = last
    return [Part(name, tuple(parameters)) for name, parameters in groups.items() if parameters]


@dataclass(frozen=True)
class PartCosts:
    """Losses with one part at a time on its way from A to B.

    Attributes:
        parts: those in which the models differ.
        own: loss of each example under A in nats, float32 `[examples]`.
        half: the same with a part half way, `[parts, examples]`.
        swapped: the same with a part of B in place of A's, `[parts, examples]`.
        groups: which examples belong together, int64 `[examples]`; None where each stands for
            itself.
    """

    parts: tuple[Part, ...]
    own: Tensor
    half: Tensor
    swapped: Tensor
    groups: Tensor | None = None

    def above(self, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard error over examples of losses above A's own, float64 `[parts]` in
        nats.
        """
        found = losses.double() - self.own.double()
        return found.mean(1), stderr(found, self.groups)


def part_state(line: Line, part: Part, lam: float) -> Mapping[str, Tensor]:
    """A's parameters with those of one part at `lam` on the line to B."""
    moving, own = line.state(lam), line.a.state
    return LazyState(shapes(own), lambda name: (moving if name in part.parameters else own)[name])


def part_costs(
    line: Line,
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> PartCosts:
    """Measure what averaging and swapping each part of a network costs.

    Args:
        line: between two models in one frame, or in their own.
        examples: what to measure on.
        device: where to run.
        progress: called with the share done; may raise to stop.
    """
    model = line.a
    parts = [part for part in find_parts(model.layout) if _differ(line, part)]
    points = [(part, lam) for part in parts for lam in (0.5, 1.0)]
    there = line.on(device)
    states = [there.a.state, *(part_state(there, part, lam) for part, lam in points)]
    losses, _ = evaluate(model, states, examples, device, progress)
    return PartCosts(tuple(parts), losses[0], losses[1::2], losses[2::2], examples.groups)


def _differ(line: Line, part: Part) -> bool:
    return any(not torch.equal(line.a.state[name], line.b.state[name]) for name in part.parameters)
