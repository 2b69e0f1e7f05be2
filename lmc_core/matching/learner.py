"""The loss on the line between two models as a function of the maps that move them, and one step down it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from lmc_core.matching.charts import Charts
from lmc_core.matching.moving import Moving
from lmc_core.matching.rows import Rows, cosines
from lmc_core.matching.soap import Soap
from lmc_core.models.model import Model
from lmc_core.paths.curve import Forward
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Element, Monomial
from lmc_core.symmetry.layout import State
from lmc_core.symmetry.spaces import Classes
from lmc_core.tasks.task import IGNORED, Examples

SCALES = 0.1  # logarithms of scales and angles move a tenth as fast as vectors turn
PLANES = 3.0  # maps of planes inside heads move three times as fast as the stream


class Learner:
    """Maps near the identity for one end or both, and what trains them.

    Args:
        a: the end at 0, in float32.
        b: the end at 1, already brought over by another method; the same layout.
        classes: chosen class of each kind of space.
        both: whether A moves too.
        rate: how far a vector turns in one step, in radians, about; whatever the width.
        rows_rate: how far latents of permutations move in one step, in units of a cosine; 0 for never.
        device: where to run.
    """

    def __init__(
        self, a: Model, b: Model, classes: Classes, both: bool = False, rate: float = 0.1, rows_rate: float = 0.0,
        device: str = "cpu",
    ):  # fmt: skip
        self.model, self.both, self.device = a, both, device
        self.forward = Forward(a).to(device)
        self.layout = a.layout
        self.ends = [{name: tensor.to(device) for name, tensor in model.state.items()} for model in (a, b)]
        self.charts = [Charts(self.layout.spaces, classes).to(device) for _ in range(2 if both else 1)]
        wanted = Rows.moving(self.layout.spaces, classes) if rows_rate else []
        names = [space.name for space in wanted]
        self.rows = Rows(wanted, cosines(self.layout, a.state, b.state, names), rows_rate)
        smooth = list(self.charts[0].elements())
        self.moving = [Moving(self.layout, self.ends[1], [*smooth, *names])]
        if both:
            self.moving.insert(0, Moving(self.layout, self.ends[0], smooth))
        groups: list[dict[str, Any]] = []
        for charts in self.charts:
            for p in charts.matrices.values():
                groups.append({"params": [p], "lr": rate * (PLANES if len(p) > 1 else 1.0) / p.shape[-1] ** 0.5})
            groups += [{"params": [p], "lr": rate * SCALES} for p in charts.vectors.values()]
        self.optimiser = Soap(groups) if groups else None
        self.peaks = [group["lr"] for group in groups]

    def states(self, probed: bool = False) -> tuple[State, State]:
        """The parameters of both ends where the maps have brought them, differentiable."""
        a, b = self.ends
        last = self._elements(probed)
        moved_b = {**b, **self.moving[-1].moved(last)}
        return ({**a, **self.moving[0].moved(self.charts[0].elements())} if self.both else a), moved_b

    def _elements(self, probed: bool) -> dict[str, Element]:
        smooth = self.charts[-1].elements()
        scales = {name: element.scales for name, element in smooth.items() if isinstance(element, Monomial)}
        return {**smooth, **self.rows.elements(scales, self.device, probed)}

    def logits(self, inputs: Tensor, lam: float, probed: bool = False) -> Tensor:
        """Outputs of the model at `lam` of the line."""
        a, b = self.states(probed)
        between = {f"inner.{name}": torch.lerp(a[name], b[name], lam) for name in a}
        return functional_call(self.forward, between, (inputs,))

    def step(self, batch: Examples, soft: tuple[Tensor, Tensor] | None, lam: float, share: float, rows: bool) -> float:
        """One step down the loss of a batch at `lam`; returns that loss in nats.

        Args:
            batch: inputs and targets.
            soft: probabilities that A and B give on the batch, as targets in place of the labels.
            lam: where on the line.
            share: of the full rates.
            rows: whether permutations may move in this step.
        """
        rows = rows and bool(self.rows.spaces)
        logits = self.logits(batch.inputs.to(self.device), lam, rows)
        targets = batch.targets.to(self.device)
        if soft is None:
            loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED)
        else:
            wanted = torch.lerp(soft[0].to(logits), soft[1].to(logits), lam)
            each = -(wanted * logits.log_softmax(-1)).sum(-1)
            loss = each[targets != IGNORED].mean()
        if self.optimiser is not None:
            self.optimiser.zero_grad()
        loss.backward()
        if self.optimiser is not None:
            for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
                group["lr"] = peak * share
            self.optimiser.step()
        if rows:
            self.rows.step(share)
        return float(loss.detach())

    @torch.no_grad()
    def loss(self, examples: Examples, size: int, lam: float = 0.5) -> float:
        """Mean loss at `lam` in nats, without a step."""
        total = count = 0.0
        a, b = self.states()
        between = {f"inner.{name}": torch.lerp(a[name], b[name], lam) for name in a}
        for part in examples.batches(size):
            logits = functional_call(self.forward, between, (part.inputs.to(self.device),))
            targets = part.targets.to(self.device)
            kept = int((targets != IGNORED).sum())
            total += kept * float(F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED))
            count += kept
        return total / max(count, 1.0)

    @torch.no_grad()
    def probabilities(self, inputs: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """What both ends predict, `[n, ..., classes]`, on the CPU; no map changes it."""
        found: list[list[Tensor]] = [[], []]
        for part in inputs.split(size):
            for side, state in enumerate(self.ends):
                named = {f"inner.{name}": tensor for name, tensor in state.items()}
                found[side].append(functional_call(self.forward, named, (part.to(self.device),)).softmax(-1).cpu())
        return torch.cat(found[0]), torch.cat(found[1])

    @torch.no_grad()
    def alignments(self) -> tuple[Alignment, Alignment]:
        """What A and B are moved by, exact in float64."""
        exact = []
        for charts in self.charts:
            double = Charts(self.layout.spaces, charts.classes, torch.float64)
            double.load_state_dict({name: tensor.double().cpu() for name, tensor in charts.state_dict().items()})
            exact.append(double.elements())
        scales = {name: element.scales for name, element in exact[-1].items() if isinstance(element, Monomial)}
        last = {**exact[-1], **self.rows.elements(scales, "cpu", False)}
        spaces = self.layout.spaces
        return Alignment.of(spaces, exact[0] if self.both else {}), Alignment.of(spaces, last)

    def state(self) -> dict[str, Any]:
        """Everything that an interrupted run needs."""
        optimiser = None if self.optimiser is None else self.optimiser.state_dict()
        return {"charts": [c.state_dict() for c in self.charts], "optimiser": optimiser, "rows": self.rows.state()}

    def restore(self, state: dict[str, Any], optimiser: bool = True) -> None:
        """Go back to what `state` returned."""
        for charts, saved in zip(self.charts, state["charts"], strict=True):
            charts.load_state_dict(saved)
        if self.optimiser is not None and optimiser:
            self.optimiser.load_state_dict(state["optimiser"])
        self.rows.restore(state["rows"])
