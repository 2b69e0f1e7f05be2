"""Train one model by its recipe. Selection uses the validation split; the test split is read once,
at the end.

A killed run goes on from its last checkpoint when it is started again with the same recipe.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmc_core.atomic import new_file
from lmc_core.models.families import FAMILIES
from lmc_core.models.routers import router_modules
from lmc_core.symmetry.layout import Layout
from lmc_core.tasks import Examples, get_task, losses
from lmc_core.training.batches import make_batches
from lmc_core.training.checkpoints import Checkpoints
from lmc_core.training.recipes import Recipe

Outputs = Callable[[nn.Module, Tensor], Tensor]
CHECKPOINT_EVERY = 500  # steps
REPORT_EVERY = 250  # steps


def rate(step: int, recipe: Recipe) -> float:
    """Share of the peak rate at a step: linear rise, then linear fall to zero."""
    return min(
        (step + 1) / recipe.warmup, max(0.0, (recipe.steps - step) / (recipe.steps - recipe.warmup))
    )


def optimizers(module: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Decay on matrices, none on biases, norms and tables; hidden matrices by Muon where the recipe
    says so.
    """
    tables = (
        *("wte", "wpe", "pos_embed", "cls_token", "patch_embed", "head", "lm_head"),
        *("embed_tokens", "embed_in", "embed_out", "embeddings", "classifier"),
    )
    hidden, table, plain = [], [], []
    for name, parameter in module.named_parameters():
        if parameter.ndim < 2:
            plain.append(parameter)
        else:
            (table if any(part in name.split(".") for part in tables) else hidden).append(parameter)
    groups = [{"params": plain, "weight_decay": 0.0}, {"params": table, "weight_decay": 0.0}]
    if recipe.optimizer == "muon":
        return [
            torch.optim.Muon(
                hidden, lr=recipe.muon_rate, weight_decay=recipe.weight_decay, momentum=0.95
            ),
            torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas),
        ]
    groups.append({"params": hidden, "weight_decay": recipe.weight_decay})
    return [torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas)]


def set_dropout(module: nn.Module, share: float) -> None:
    """Set the rate of every dropout layer but those of attention weights, which have no fast kernel
    on CPUs.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Dropout) and "attn_drop" not in name:
            part.p = share


class Balance:
    """The load-balancing loss of mixtures of experts, E sum_e f_e p_e averaged over layers.

    f_e is the share of choices that fall on expert e, p_e the mean probability the router gives it;
    1 when all are used alike (Fedus, Zoph, Shazeer 2021, arXiv 2101.03961, section 2.2).
    """

    def __init__(self, module: nn.Module, layout: Layout):
        self.parts: list[Tensor] = []
        for part in router_modules(module, layout).values():
            part.register_forward_hook(self._hear)

    def _hear(self, part: nn.Module, inputs: tuple[Tensor, ...], outputs: object) -> None:
        matrix = cast(Tensor, part.weight)  # a router has one
        logits = F.linear(inputs[0].flatten(0, -2), matrix)
        share = logits.softmax(-1)
        chosen = logits.topk(cast(int, part.top_k), -1).indices
        used = F.one_hot(chosen, logits.shape[-1]).float().sum(1).mean(0) / chosen.shape[-1]
        self.parts.append(logits.shape[-1] * (used * share.mean(0)).sum())

    def loss(self) -> Tensor:
        """Return the mean over the layers that have run since the last call."""
        parts, self.parts = self.parts, []
        return torch.stack(parts).mean()


@torch.no_grad()
def score(module: nn.Module, outputs: Outputs, examples: Examples) -> tuple[float, float]:
    """Mean loss in nats, and share of correct predictions, over all examples."""
    was = module.training
    module.eval()
    parts = [losses(outputs(module, part.inputs), part.targets) for part in examples.batches(500)]
    module.train(was)
    return float(torch.cat([p[0] for p in parts]).mean()), float(
        torch.cat([p[1] for p in parts]).mean()
    )


class Story(TypedDict):
    """What a card says of a training."""

    curve: list[list[float]]  # step, training loss, validation loss
    seconds: float
    examples: int  # of the training split, seen


@dataclass
class Training:
    """A training that can be saved and resumed.

    Attributes:
        recipe: the settings.
        module: the network, on its device.
        outputs: how the family computes logits.
        solvers: whose rates follow the recipe's schedule.
        step: steps done.
        curve: step, training loss, validation loss.
        spent: seconds of earlier runs.
    """

    recipe: Recipe
    module: nn.Module
    outputs: Outputs
    solvers: list[torch.optim.Optimizer]
    step: int = 0
    curve: list[list[float]] = field(default_factory=list)
    spent: float = 0.0

    def __post_init__(self) -> None:
        recipe, self.begin = self.recipe, time.perf_counter()
        self.device = next(self.module.parameters()).device
        self.peaks = [[group["lr"] for group in each.param_groups] for each in self.solvers]
        family = FAMILIES[recipe.family]
        layout = family.layout(family.config(recipe.config))
        self.balance = Balance(self.module, layout) if recipe.balance else None

    @property
    def seconds(self) -> float:
        """What the training took so far."""
        return self.spent + time.perf_counter() - self.begin

    def advance(self, batch: Examples) -> float:
        """Do one step; returns the loss in nats.

        Raises:
            FloatingPointError: if the loss is not finite.
        """
        recipe, share = self.recipe, rate(self.step, self.recipe)
        for solver, peak in zip(self.solvers, self.peaks, strict=True):
            for group, value in zip(solver.param_groups, peak, strict=True):
                group["lr"] = value * share
        if self.balance is not None:
            self.balance.parts.clear()
        logits = self.outputs(self.module, batch.inputs.to(self.device))
        loss = F.cross_entropy(
            logits.flatten(0, -2),
            batch.targets.to(self.device).flatten(),
            label_smoothing=recipe.label_smoothing,
        )
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"The training loss of {recipe.name} is not finite at step {self.step}."
            )
        if self.balance is not None:
            loss = loss + recipe.balance * self.balance.loss()
        for solver in self.solvers:
            solver.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), recipe.clip)
        for solver in self.solvers:
            solver.step()
        self.step += 1
        return value

    def measure(self, running: list[float], validation: Examples) -> str:
        """Add the mean of the last training losses and the validation loss to the curve; returns
        them in words.
        """
        measured, _ = score(self.module, self.outputs, validation)
        self.curve.append([self.step, sum(running) / len(running), measured])
        return (
            f"{self.recipe.name} {self.step}/{self.recipe.steps} train {self.curve[-1][1]:.4f} "
            f"validation {measured:.4f} nats {self.seconds:.0f} s"
        )

    def save(self, path: Path) -> None:
        """Write everything that a later run goes on from."""
        state = {
            "recipe": json.dumps(self.recipe.settings()),
            "module": self.module.state_dict(),
            "solvers": [solver.state_dict() for solver in self.solvers],
            "step": self.step,
            "curve": self.curve,
            "seconds": self.seconds,
        }
        with new_file(path) as draft:
            torch.save(state, draft)

    def resume(self, path: Path, checkpoints: Checkpoints | None = None) -> None:
        """Go on from what was written for the same recipe; nothing of another one is taken, nor of
        a run that did not keep all the steps that are asked for now.
        """
        saved = torch.load(path, weights_only=True)
        if saved.get("recipe") != json.dumps(self.recipe.settings()):
            return
        if checkpoints is not None and not checkpoints.complete_to(saved["step"]):
            return
        self.module.load_state_dict(saved["module"])
        for solver, state in zip(self.solvers, saved["solvers"], strict=True):
            solver.load_state_dict(state)
        self.step, self.curve, self.spent = saved["step"], saved["curve"], saved["seconds"]


def train(
    recipe: Recipe,
    module: nn.Module,
    outputs: Outputs,
    *,
    state_file: Path | None = None,
    subset: bool = False,
    report: Callable[[str], None] = lambda line: None,
    checkpoints: Checkpoints | None = None,
) -> Story:
    """Train `module` in place and return what its card should say.

    Args:
        recipe: the settings; `module` was built from `recipe.config` under `recipe.seed`.
        module: the network, on its device.
        outputs: how the family computes logits.
        state_file: where the run is saved every `CHECKPOINT_EVERY` steps, and resumed from.
        subset: train images on the shipped 8,000 instead of the full set.
        report: called with one line of text every `REPORT_EVERY` steps.
        checkpoints: steps that are kept as models. A run that would miss some of them if it went
            on from `state_file` begins anew.

    Raises:
        BadInput: if where they are kept are those of another run.
    """
    batches = make_batches(recipe, subset)
    set_dropout(module, recipe.dropout)
    training = Training(recipe, module, outputs, optimizers(module, recipe))
    validation = get_task(recipe.task).examples("validation", length=recipe.length)
    validation = Examples(
        validation.inputs.to(training.device), validation.targets.to(training.device)
    )
    if checkpoints is not None:
        checkpoints.require_own()
    if state_file is not None and state_file.exists():
        training.resume(state_file, checkpoints)
        for _ in range(training.step):  # the same data order as an uninterrupted run
            next(batches)
    if checkpoints is not None and training.step == 0:
        checkpoints.keep(module, 0)
    module.train()
    running: list[float] = []
    while training.step < recipe.steps:
        running.append(training.advance(next(batches)))
        done = training.step
        if checkpoints is not None:
            checkpoints.keep(module, done)
        if done % REPORT_EVERY == 0 or done == recipe.steps:
            report(training.measure(running, validation))
            running = []
        if state_file is not None and done % CHECKPOINT_EVERY == 0 and done < recipe.steps:
            training.save(state_file)
    module.eval()
    if state_file is not None:
        state_file.unlink(missing_ok=True)
    return {
        "curve": training.curve,
        "seconds": round(training.seconds, 1),
        "examples": recipe.steps * recipe.batch,
    }
