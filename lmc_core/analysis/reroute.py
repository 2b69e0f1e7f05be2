"""Routers fitted again between two mixtures of experts, without a gradient.

Half way between two aligned mixtures a router's matrix is the average of both, but what comes into
it is not: its choices follow neither end. Their routing on a few training examples says what it
should choose. With x(t) what comes into a router for token t in the interpolated network, and
z_A(t), z_B(t) the logits of the same router in both ends, each without its mean over the experts,
the matrix at lam becomes

    argmin_W  sum_t |W x(t) + c - z(t)|^2 + rho |W - W(lam)|^2,
    z = (1 - lam) z_A + lam z_B,

where W(lam) and c(lam) are those of the line, c a bias if there is one, and rho is `RIDGE` of the
mean square of an entry of x, summed over tokens. This is a ridge regression towards the line, whose
solution takes sums over tokens alone. Routers are fitted in the order in which they run, each after
those before it, so the result is an ordinary checkpoint. At 0 and 1 nothing changes.

A router's mean over the experts moves no choice and no weight of a softmax, and is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmc_core.analysis.changed_line import ChangedLine
from lmc_core.errors import BadInput
from lmc_core.models.forward import compute_outputs
from lmc_core.models.mixing import in_single
from lmc_core.models.model import Model
from lmc_core.models.routers import routers
from lmc_core.symmetry.arithmetic import to_float64
from lmc_core.tasks.evaluator import batch_size

RIDGE = 1e-2  # of the mean square of what comes into a router


@dataclass(frozen=True)
class Rerouted(ChangedLine):
    """The line between two mixtures of experts, its routers fitted again between the ends.

    Attributes:
        line: between two models that are aligned; between others the ends agree on no expert.
        examples: of the training split, on which routing is asked for.
        device: where models run.
        fitted: the routers of points that were asked for before, by their parameters' names.
    """

    fitted: dict[float, dict[str, Tensor]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def ends(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Logits `[tokens, experts]` of every router of both models, by its path."""
        return self._logits(self.a), self._logits(self.b)

    def state(self, lam: float) -> Mapping[str, Tensor]:
        """The parameters at `lam`: those of the line with other routers; at 0 and 1 the end models'
        own.
        """
        if lam in (0.0, 1.0):
            return self.line.state(lam)
        state = {name: in_single(tensor).clone() for name, tensor in self.line.state(lam).items()}
        if lam in self.fitted:
            return state | self.fitted[lam]
        one, two = self.ends
        for path in one:
            wanted = torch.lerp(one[path], two[path], lam)
            state[f"{path}.weight"] = self._fit(self.a.with_state(state), path, wanted)
        self.fitted[lam] = {f"{path}.weight": state[f"{path}.weight"] for path in one}
        return state

    def _fit(self, model: Model, path: str, wanted: Tensor) -> Tensor:
        """The matrix of one router, `[experts, width]`."""
        weight, place = model.state[f"{path}.weight"], 0
        width = weight.shape[1]
        square = to_float64(torch.zeros(width, width, device=self.device))
        cross = to_float64(torch.zeros(weight.shape, device=self.device))

        def add(inputs: Tensor, logits: Tensor) -> None:
            nonlocal place
            rest = _without_mean(wanted[place : place + len(inputs)].to(inputs) - logits)
            place += len(inputs)
            square.addmm_(inputs.T, inputs)
            cross.addmm_(rest.T, inputs)

        self._run(model, {path: add})
        square.diagonal().add_(RIDGE * square.diagonal().mean())
        change = torch.linalg.solve(square, cross, left=False)
        return weight + change.to(weight)

    def _logits(self, model: Model) -> dict[str, Tensor]:
        heard: dict[str, list[Tensor]] = {path: [] for path in find_routers(model)}

        def keep(found: list[Tensor]) -> Callable[[Tensor, Tensor], None]:
            return lambda inputs, logits: found.append(logits.cpu())

        self._run(model, {path: keep(found) for path, found in heard.items()})
        return {path: torch.cat(found) for path, found in heard.items()}

    @torch.no_grad()
    def _run(self, model: Model, listeners: Mapping[str, Callable[[Tensor, Tensor], None]]) -> None:
        module = model.module(device=self.device)
        with _listening(module, listeners):
            for batch in self.examples.batches(batch_size(model, self.examples)):
                compute_outputs(model.family, module, batch.inputs.to(self.device))


def find_routers(model: Model) -> list[str]:
    """Paths of the routers whose matrices can be fitted, in the order in which they run.

    Raises:
        BadInput: if there are none.
    """
    found = list(routers(model.layout).values())
    if not found:
        raise BadInput(
            f"{model.name} has no experts, so there are no routers to fit; choose a mixture of "
            "experts, or leave the fitting out."
        )
    return found


@contextmanager
def _listening(
    module: nn.Module, listeners: Mapping[str, Callable[[Tensor, Tensor], None]]
) -> Iterator[None]:
    """Tell listeners what comes into routers, float64 `[tokens, width]`, and the logits that their
    matrices make of it, `[tokens, experts]`.
    """
    hooks = []
    for path, listener in listeners.items():
        router = module.get_submodule(path)

        def hear(
            part: nn.Module,
            inputs: tuple[Tensor, ...],
            listener: Callable[[Tensor, Tensor], None] = listener,
        ) -> None:
            rows = to_float64(inputs[0].flatten(0, -2))
            matrices = {n: to_float64(each) for n, each in part.named_parameters(recurse=False)}
            listener(rows, F.linear(rows, matrices["weight"], matrices.get("bias")))

        hooks.append(router.register_forward_pre_hook(hear))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _without_mean(logits: Tensor) -> Tensor:
    return logits - logits.mean(-1, keepdim=True)
