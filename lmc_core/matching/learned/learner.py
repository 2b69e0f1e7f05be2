"""The loss of a mixture of models as a function of the maps that move them, and one step down
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from lmc_core.matching.learned.by_layer import ByLayer, half_precision
from lmc_core.matching.learned.charts import STRETCH, Charts
from lmc_core.matching.learned.mixture import Mixture
from lmc_core.matching.learned.moved_state import MovedState, Slopes
from lmc_core.matching.learned.permutation_latents import LatentsState, PermutationLatents, cosines
from lmc_core.matching.learned.soap import Rates, Soap
from lmc_core.matching.trace import Trace
from lmc_core.models.functional import Forward
from lmc_core.models.mixing import weighted
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Element, Monomial
from lmc_core.symmetry.spaces import Classes, Space
from lmc_core.tasks.task import IGNORED, Examples

SCALES = 0.1  # logarithms of scales and angles move a tenth as fast as vectors turn
# numbers of latents of permutations, 256 MB and as much again four times; with more, permutations
# stay
LATENTS = 2**26
LARGE = 2**26  # parameters from which on models run layer by layer
PLANES = 3.0  # maps of planes inside heads move three times as fast as the stream


class LearnerState(TypedDict):
    """What an interrupted run needs, by number of the model that moves."""

    charts: dict[int, dict[str, Tensor]]
    optimiser: dict[str, object] | None
    rows: dict[int, LatentsState]


class Learner:
    """Maps near the identity for some of several models, and what trains them.

    Args:
        models: in float32, already brought over by another method; one layout.
        classes: chosen class of each kind of space.
        moves: numbers of the models that have smooth maps. Permutations move in those of them that
            are not the first.
        rate: how far a vector turns in one step, in radians, about; whatever the width.
        rows_rate: how far latents of permutations move in one step, in units of a cosine; 0 for
            never.
        device: where to run.
    """

    def __init__(
        self,
        models: Sequence[Model],
        classes: Classes,
        moves: Sequence[int],
        rate: float = 0.1,
        rows_rate: float = 0.0,
        device: str = "cpu",
    ):
        self.layout, self.moves, self.device = models[0].layout, tuple(moves), device
        self.tick: Callable[[], None] = lambda: None
        large = models[0].parameters >= LARGE
        # layer by layer no module holds parameters
        inner = models[0].hollow_module() if large else models[0].module(device=device)
        self.forward = Forward(models[0], inner)
        self.dtype = half_precision(device) if large else None
        self.by_layer = ByLayer(self.forward, device, self.dtype) if large else None
        self.ends = [
            {name: self._held(tensor, large).to(device) for name, tensor in model.state.items()}
            for model in models
        ]
        spaces = self.layout.spaces
        # where all move, what one does is undone in the others
        stretch = STRETCH / 2 if 0 in self.moves else STRETCH
        self.charts = {k: Charts(spaces, classes, stretch=stretch).to(device) for k in self.moves}
        wanted = PermutationLatents.moving(spaces, classes) if rows_rate else []
        wanted = wanted if count_latents(wanted) <= LATENTS else []
        names = [space.name for space in wanted]
        self.rows: dict[int, PermutationLatents] = {}
        self.moving: dict[int, MovedState] = {}
        for k, charts in self.charts.items():
            if k > 0:
                self.rows[k] = PermutationLatents(
                    wanted, cosines(self.layout, models[0].state, models[k].state, names), rows_rate
                )
            self.moving[k] = MovedState(
                self.layout,
                self.ends[k],
                [*charts.elements(), *(names if k > 0 else [])],
                [s.name for s in wanted],
            )
        groups: list[Rates] = []
        for charts in self.charts.values():
            for p in charts.matrices.values():
                groups.append(
                    {
                        "params": [p],
                        "lr": rate * (PLANES if len(p) > 1 else 1.0) / p.shape[-1] ** 0.5,
                    }
                )
            for p in charts.vectors.values():
                groups.append({"params": [p], "lr": rate * SCALES})
        self.optimiser = Soap(groups) if groups else None
        self.peaks = [group["lr"] for group in groups]
        self.centre = [1 / len(models)] * len(models)

    @property
    def mix(self) -> Callable[..., Mixture]:
        """What makes a mixture, of the arguments of `Mixture`."""
        return Mixture

    def mixture(self, weights: Sequence[float], probed: bool = False) -> Mixture:
        """The mixture of all models where the maps have brought them."""
        # of large models what the maps are made of is not kept, but made again for their gradients
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.by_layer is None):
            elements = {
                k: self._elements(k, charts, self.device) for k, charts in self.charts.items()
            }
        names = [space.name for rows in self.rows.values() for space in rows.spaces]
        dtype = self.dtype or (torch.float32 if self.by_layer else None)
        probed_names = names if probed else ()
        return self.mix(self.ends, self.moving, elements, weights, probed_names, dtype, self.tick)

    def _held(self, tensor: Tensor, large: bool) -> Tensor:
        """A parameter as it is held: of large models matrices in the precision of products, or in
        half precision if that is their own; all else in float32.
        """
        if not large or tensor.ndim < 2:
            return tensor.float()
        return tensor.to(self.dtype) if self.dtype else tensor

    def _elements(self, k: int, charts: Charts, device: str) -> dict[str, Element]:
        smooth = charts.elements()
        if k not in self.rows:
            return smooth
        scales = {
            name: element.scales
            for name, element in smooth.items()
            if isinstance(element, Monomial)
        }
        return {**smooth, **self.rows[k].elements(scales, device)}

    def _run(self, mixture: Mixture, inputs: Tensor) -> Tensor:
        if self.by_layer is not None:
            return self.by_layer.logits(mixture, inputs)
        return functional_call(self.forward, self._named(mixture.parameters()), (inputs,))

    @staticmethod
    def _named(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {f"inner.{name}": tensor for name, tensor in state.items()}

    def logits(self, inputs: Tensor, weights: Sequence[float]) -> Tensor:
        """Outputs of the mixture of all models with some weights."""
        return self._run(self.mixture(weights), inputs)

    def step(
        self,
        batch: Examples,
        soft: Sequence[Tensor] | None,
        weights: Sequence[float],
        share: float,
        rows: bool,
    ) -> float:
        """One step down the loss of a batch at a mixture; returns that loss in nats.

        Args:
            batch: inputs and targets.
            soft: probabilities that each model gives on the batch, as targets in place of the
                labels.
            weights: of the mixture.
            share: of the full rates.
            rows: whether permutations may move in this step.
        """
        loss, slopes = self.find_slopes(batch, soft, weights, rows)
        self.follow(slopes, share, rows)
        return float(loss)

    def find_slopes(
        self, batch: Examples, soft: Sequence[Tensor] | None, weights: Sequence[float], rows: bool
    ) -> tuple[Tensor, dict[int, Slopes]]:
        """The loss of a batch at a mixture, `[]`, and its slopes for the maps of every model that
        moves; nothing moves yet. For the arguments see `step`.
        """
        mixture = self.mixture(weights, rows)
        inputs, targets = batch.inputs.to(self.device), batch.targets.to(self.device)
        if soft is None and self.by_layer is not None:
            loss = self.by_layer.loss(mixture, inputs, targets)
        elif soft is None:
            logits = self._run(mixture, inputs)
            loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED)
        else:
            logits = self._run(mixture, inputs)
            wanted = weighted([each.to(logits) for each in soft], weights)
            each = -(wanted * logits.log_softmax(-1)).sum(-1)
            loss = _mean(each, targets != IGNORED)
        if self.optimiser is not None:
            self.optimiser.zero_grad()
        loss.backward()
        for k, charts in self.charts.items():
            elements = mixture.elements[k]
            if self.by_layer is not None:
                elements = self._elements(k, charts, self.device)
            charts.pull(elements, mixture.slopes[k])
        return loss.detach(), mixture.slopes

    def follow(self, slopes: Mapping[int, Slopes], share: float, rows: bool) -> None:
        """Move what the slopes ask for; for the arguments see `step`."""
        if self.optimiser is not None:
            for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
                group["lr"] = peak * share
            self.optimiser.step()
        if rows:
            for k, each in self.rows.items():
                each.step(slopes[k].probes, share)

    @torch.no_grad()
    def loss(self, examples: Examples, size: int, weights: Sequence[float] | None = None) -> float:
        """Mean loss at a mixture in nats, without a step; at the centre by default."""
        total, count = torch.zeros((), device=self.device), 0
        mixture = self.mixture(weights or self.centre)
        state = {} if self.by_layer is not None else self._named(mixture.parameters())
        for part in examples.batches(size):
            self.tick()
            inputs, targets = part.inputs.to(self.device), part.targets.to(self.device)
            kept = int((part.targets != IGNORED).sum())
            if self.by_layer is not None:
                loss = self.by_layer.loss(mixture, inputs, targets)
            else:
                logits = functional_call(self.forward, state, (inputs,))
                loss = F.cross_entropy(
                    logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED
                )
            if kept:
                total, count = total + kept * loss, count + kept
        return float(total) / max(count, 1)

    @torch.no_grad()
    def probabilities(self, inputs: Tensor, size: int) -> list[Tensor]:
        """What every model predicts, `[n, ..., classes]`; no map changes it."""
        found: list[list[Tensor]] = [[] for _ in self.ends]
        for part in inputs.split(size):
            for side, state in enumerate(self.ends):
                self.tick()
                if self.by_layer is not None:
                    weights = [float(k == side) for k in range(len(self.ends))]
                    outputs = self._run(self.mixture(weights), part.to(self.device))
                else:
                    outputs = functional_call(
                        self.forward, self._named(state), (part.to(self.device),)
                    )
                found[side].append(outputs.softmax(-1))
        return [torch.cat(parts) for parts in found]

    @torch.no_grad()
    def alignments(self) -> list[Alignment]:
        """What every model is moved by, exact in float64."""
        spaces = self.layout.spaces
        found = [Alignment.of(spaces) for _ in self.ends]
        for k, charts in self.charts.items():
            double = Charts(spaces, charts.classes, torch.float64, charts.stretch)
            double.load_state_dict(
                {name: tensor.cpu().double() for name, tensor in charts.state_dict().items()}
            )
            found[k] = Alignment.of(spaces, self._elements(k, double, "cpu"))
        return found

    def complete(self, trace: Trace) -> Trace:
        """Add to a trace what was learned besides alignments."""
        return trace

    def rows_moved(self) -> tuple[int, int]:
        """How many rows of permutations stand elsewhere than at the start, and how many there
        are.
        """
        moved = sum(sum(rows.moved().values()) for rows in self.rows.values())
        return moved, sum(
            z.numel() // z.shape[-1] for rows in self.rows.values() for z in rows.latents.values()
        )

    def state(self) -> LearnerState:
        """Everything that an interrupted run needs."""
        return {
            "charts": {k: charts.state_dict() for k, charts in self.charts.items()},
            "optimiser": None if self.optimiser is None else self.optimiser.state_dict(),
            "rows": {k: rows.state() for k, rows in self.rows.items()},
        }

    def restore(self, state: LearnerState, optimiser: bool = True) -> None:
        """Go back to what `state` returned."""
        for k, charts in self.charts.items():
            charts.load_state_dict(state["charts"][k])
        if self.optimiser is not None and optimiser:
            self.optimiser.load_state_dict(state["optimiser"] or {})
        for k, rows in self.rows.items():
            rows.restore(state["rows"][k])


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """The mean of those that count; no device is asked how many these are."""
    return torch.where(counts, values, 0.0).sum() / counts.sum()


def count_latents(spaces: Sequence[Space]) -> int:
    """Numbers of the latents of some permuted spaces."""
    return sum(space.copies * space.size**2 for space in spaces)
