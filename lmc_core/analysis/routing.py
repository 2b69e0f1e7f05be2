"""Which experts the tokens visit along a path, next to those that they visit at its ends.

With S(t) the set of experts that a router chooses for token t at a point of the path, and S_A(t) at
its end A,

    agreement with A  =  mean over tokens of  |S(t) and S_A(t)| / |S(t) or S_A(t)|
    load of expert e  =  share of all choices that fall on e

The first is the Jaccard index, 1 for equal sets; the second 1 / experts where all are used alike;
both for each mixture apart. Two routers that do not know of each other agree by `Routing.chance`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmc_core.errors import BadInput
from lmc_core.limits import require_counts
from lmc_core.models.functional import Forward
from lmc_core.models.model import Model
from lmc_core.models.routers import router_modules
from lmc_core.paths.line import ModelPath
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import Evaluator


@dataclass(frozen=True)
class Routing:
    """Routing along a path.

    Attributes:
        lam: the points, increasing from 0 to 1, float64 `[points]`.
        mixtures: the names of the spaces of experts (``experts.0``), one for each mixture.
        with_a: agreement with the choice of end A, float64 `[points, mixtures]`.
        with_b: the same of end B.
        load: share of all choices, float64 `[points, mixtures, experts]`.
        active: experts that each token visits.
    """

    lam: Tensor
    mixtures: tuple[str, ...]
    with_a: Tensor
    with_b: Tensor
    load: Tensor
    active: int

    @property
    def chance(self) -> float:
        """The agreement to be expected of two random choices, each of all experts alike."""
        n, k = self.load.shape[-1], self.active
        ways = [
            (both, comb(k, both) * comb(n - k, k - both))
            for both in range(max(0, 2 * k - n), k + 1)
        ]
        return sum(both / (2 * k - both) * count for both, count in ways) / comb(n, k)

    def listed(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        tensors = {
            name: getattr(self, name).tolist() for name in ("lam", "with_a", "with_b", "load")
        }
        return {
            "mixtures": list(self.mixtures),
            "active": self.active,
            "chance": self.chance,
            **tensors,
        }


@torch.no_grad()
def routing(
    line: ModelPath,
    examples: Examples,
    points: int = 11,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> Routing:
    """Follow the choices of every router along a line.

    Args:
        line: between two mixtures of experts, aligned or not; agreement means little between models
            that are not.
        examples: whose tokens are followed.
        points: of the uniform grid, both ends included.
        device: where to run.
        progress: called with the share done; may raise to stop.

    Raises:
        BadInput: for a network without experts, or fewer than two points.
    """
    require_counts(points=points)
    if points < 2:
        raise BadInput(f"At least 2 points are needed, both ends included; {points} came.")
    line = line.on(device)
    evaluator = Evaluator(line.a, examples, device)
    parts = _find_routers(evaluator.forward, line.a)
    heard: dict[str, list[Tensor]] = {name: [] for name in parts}
    hooks = [part.register_forward_hook(_hear(heard[name])) for name, part in parts.items()]
    spaces = line.a.layout.spaces
    count = {spaces[name].size * spaces[name].copies for name in parts}.pop()

    def choices(state: Mapping[str, Tensor]) -> Tensor:
        """Whether a token visits an expert, bool `[mixtures, tokens, experts]`."""
        evaluator.write(state)
        for found in heard.values():
            found.clear()
        for batch in itertools.chain.from_iterable(evaluator.blocks()):
            evaluator.run(batch)
        return torch.stack(
            [F.one_hot(torch.cat(found).cpu(), count).sum(1).bool() for found in heard.values()]
        )

    lam = torch.linspace(0, 1, points, dtype=torch.float64)
    try:
        ends = [choices(line.state(end)) for end in (0.0, 1.0)]
        agreement, load = [], []
        for number, x in enumerate(lam.tolist()):
            here = ends[0] if x == 0 else ends[1] if x == 1 else choices(line.state(x))
            agreement.append(
                [((here & end).sum(-1) / (here | end).sum(-1)).double().mean(-1) for end in ends]
            )
            load.append(here.double().sum(1) / here.sum((1, 2))[:, None])
            progress((number + 1) / points)
    finally:
        for hook in hooks:
            hook.remove()
    with_a, with_b = (torch.stack([each[side] for each in agreement]) for side in (0, 1))
    active = int(ends[0][0, 0].sum())
    return Routing(lam, tuple(parts), with_a, with_b, torch.stack(load), active)


def _find_routers(forward: Forward, model: Model) -> dict[str, nn.Module]:
    parts = router_modules(forward.inner, model.layout)
    if not parts:
        raise BadInput(
            f"{model.name} has no experts, so there is no routing to follow; choose a mixture of "
            "experts."
        )
    return parts


def _hear(found: list[Tensor]) -> Callable[..., None]:
    """A hook that keeps the numbers of the chosen experts, `[tokens, active]`."""

    def hear(part: object, given: object, outputs: tuple[Tensor, ...]) -> None:
        found.append(outputs[-1])

    return hear
