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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import comb
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.limits import require_counts
from lmc_core.models.forward import compute_outputs
from lmc_core.models.interleaved_forward import Pass
from lmc_core.models.model import Model
from lmc_core.models.routers import router_modules, routers
from lmc_core.paths.line import ModelPath
from lmc_core.paths.path_losses import is_streamed
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import Evaluator
from lmc_core.tasks.streamed_losses import StreamedLosses


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
    mixtures = tuple(_find_routers(line.a))
    spaces = line.a.layout.spaces
    count = {spaces[name].size * spaces[name].copies for name in mixtures}.pop()
    lam = torch.linspace(0, 1, points, dtype=torch.float64)
    follow = _follow_streamed if is_streamed(line) else _follow_held
    agreement, load = [], []
    with follow(line, examples, lam.tolist(), device, progress) as find_chosen:

        def visit(point: int) -> Tensor:
            """Whether a token visits an expert, bool `[mixtures, tokens, experts]`."""
            return torch.stack(
                [F.one_hot(chosen.long(), count).sum(1).bool() for chosen in find_chosen(point)]
            )

        ends = [visit(0), visit(points - 1)]
        for point in range(points):
            here = ends[0] if point == 0 else ends[1] if point == points - 1 else visit(point)
            agreement.append(
                [((here & end).sum(-1) / (here | end).sum(-1)).double().mean(-1) for end in ends]
            )
            load.append(here.double().sum(1) / here.sum((1, 2))[:, None])
    with_a, with_b = (torch.stack([each[side] for each in agreement]) for side in (0, 1))
    active = int(ends[0][0, 0].sum())
    return Routing(lam, mixtures, with_a, with_b, torch.stack(load), active)


Chosen = list[Tensor]  # of each mixture, the numbers of the chosen experts `[tokens, active]`


@contextmanager
def _follow_held(
    line: ModelPath,
    examples: Examples,
    lam: Sequence[float],
    device: str,
    progress: Callable[[float], None],
) -> Iterator[Callable[[int], Chosen]]:
    """Give what says which experts are chosen at a point, by its number, running the network of
    that point.
    """
    evaluator = Evaluator(line.a, examples, device)
    parts = router_modules(evaluator.forward.inner, line.a.layout)
    heard: dict[str, list[Tensor]] = {name: [] for name in parts}
    hooks = [part.register_forward_hook(_hear(heard[name])) for name, part in parts.items()]
    done = itertools.count(1)

    def find_chosen(point: int) -> Chosen:
        evaluator.write(line.state(lam[point]))
        for found in heard.values():
            found.clear()
        for batch in itertools.chain.from_iterable(evaluator.blocks()):
            evaluator.run(batch)
        progress(next(done) / len(lam))
        return [torch.cat(found).cpu() for found in heard.values()]

    try:
        yield find_chosen
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _follow_streamed(
    line: ModelPath,
    examples: Examples,
    lam: Sequence[float],
    device: str,
    progress: Callable[[float], None],
) -> Iterator[Callable[[int], Chosen]]:
    """The same between lazily read models, whose parts are read once for all points."""
    streamed = StreamedLosses((line.a, line.b), examples)
    module, family = line.a.hollow_module(), line.a.family
    # of each point: first example of a batch -> mixture -> what was chosen
    heard: list[dict[int, dict[str, Tensor]]] = [{} for _ in lam]
    now: list[dict[str, Tensor]] = []  # that of the pass for which a part is being computed

    def make(point: int, rows: range) -> Pass:
        inputs = examples.rows(rows.start, rows.stop).inputs
        mine = heard[point][rows.start] = {}

        @contextmanager
        def listen() -> Iterator[None]:
            now.append(mine)
            try:
                yield
            finally:
                now.pop()

        return Pass(
            (1 - lam[point], lam[point]),
            lambda module: compute_outputs(family, module, inputs),
            lambda outputs: None,
            listen,
        )

    def listener(name: str) -> Callable[..., None]:
        def hear(part: object, given: object, outputs: tuple[Tensor, ...]) -> None:
            now[-1][name] = outputs[-1].to(torch.int16)

        return hear

    for name, part in router_modules(module, line.a.layout).items():
        part.register_forward_hook(listener(name))
    streamed.run(module, len(lam), make, progress)

    def find_chosen(point: int) -> Chosen:
        batches = [heard[point][first] for first in sorted(heard[point])]
        return [torch.cat([each[name] for each in batches]) for name in batches[0]]

    yield find_chosen


def _find_routers(model: Model) -> dict[str, str]:
    found = routers(model.layout)
    if not found:
        raise BadInput(
            f"{model.name} has no experts, so there is no routing to follow; choose a mixture of "
            "experts."
        )
    return found


def _hear(found: list[Tensor]) -> Callable[..., None]:
    """A hook that keeps the numbers of the chosen experts, `[tokens, active]`."""

    def hear(part: object, given: object, outputs: tuple[Tensor, ...]) -> None:
        found.append(outputs[-1])

    return hear
