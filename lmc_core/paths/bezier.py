"""A quadratic Bezier curve between two models, whose bend is trained so that the loss along it is
low.

    theta(t) = (1 - t)^2 A + 2 t (1 - t) C + t^2 B
    minimise over C   E_t E_(x, y)  loss( f[theta(t)](x), y ),     t ~ U(0, 1)

(Garipov et al. 2018, arXiv 1802.10026.) It begins as the straight line, C = (A + B) / 2. It shows
that two models are connected at all, and costs training; that a straight line after an alignment
does as well is the stronger statement.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lmc_core.errors import BadInput
from lmc_core.limits import require_settings
from lmc_core.matching.learned.bend_optimiser import BendOptimiser, BendOptimiserState
from lmc_core.matching.learned.predictions import Predictions, few_enough
from lmc_core.models.functional import Forward
from lmc_core.models.mixing import blend, in_single, weighted
from lmc_core.models.model import Model
from lmc_core.paths.line import Line
from lmc_core.progress import Progress
from lmc_core.settings import choice
from lmc_core.symmetry.layout import State
from lmc_core.tasks.evaluator import batch_size
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.task import IGNORED, Examples, InMemory
from lmc_core.tasks.training_state import read_state, save_state

WARM = 20  # steps until the full rate
WATCHED = (0.25, 0.5, 0.75)  # where the held-out loss is measured
SAVE_LEAST = 1.0  # seconds between two saves, so that a run that is killed early is not lost
# times what a save takes that pass before the next, so that saving costs a twentieth at the most
SAVE_SHARE = 20
# what a checkpoint holds besides bend and optimiser
KEPT = ("best", "done", "history", "running", "spent")


class Extent(TypedDict):
    """Size of a curve in the space of parameters."""

    length: float
    chord: float  # distance of the ends
    away: float  # distance from the straight line, half way


@dataclass(frozen=True)
class Bezier:
    """The curve from `a` (t = 0) to `b` (t = 1) that is drawn towards `bend`.

    Raises:
        Incompatible: if the parameters of the models differ in name or shape.
    """

    a: Model
    b: Model
    bend: State

    def __post_init__(self) -> None:
        Line(self.a, self.b)  # says what does not fit

    @classmethod
    def straight(cls, a: Model, b: Model) -> Bezier:
        """The curve whose bend is the midpoint: the straight line, at the same pace."""
        return cls(a, b, dict(Line(a, b).state(0.5)))

    @classmethod
    def displaced(cls, a: Model, b: Model, displacement: State) -> Bezier:
        """The curve whose bend lies off the midpoint by a displacement D:

        theta(t) = (1 - t) A + t B + 2 t (1 - t) D.
        """
        middle = Line(a, b).state(0.5)
        bend = {name: tensor + displacement[name].to(tensor) for name, tensor in middle.items()}
        return cls(a, b, bend)

    def extent(self) -> Extent:
        """How long the curve is, and how far it goes from the straight line.

        With u = C - A and v = B - C the speed is 2 |(1 - t) u + t v|, whose square is a polynomial;
        its root is integrated by Gauss and Legendre's rule of 16 points. The distance from the
        line is that of the point at t = 1/2, which is half the part of C that is orthogonal to
        B - A.
        """
        uu = uv = vv = 0.0
        for name, control in self.bend.items():
            first, last = (model.state[name].double() for model in (self.a, self.b))
            u, v = control.double() - first, last - control.double()
            uu, uv, vv = (
                uu + float(u.square().sum()),
                uv + float((u * v).sum()),
                vv + float(v.square().sum()),
            )
        places, shares = np.polynomial.legendre.leggauss(16)
        t = (places + 1) / 2
        speed = 2 * np.sqrt(np.maximum((1 - t) ** 2 * uu + 2 * t * (1 - t) * uv + t**2 * vv, 0))
        chord = uu + 2 * uv + vv  # |u + v|^2
        # |u|^2 less its part along u + v
        off = uu - (uu + uv) ** 2 / chord if chord else uu
        return {
            "length": float((shares / 2 * speed).sum()),
            "chord": math.sqrt(chord),
            "away": math.sqrt(max(off, 0.0)) / 2,
        }

    def state(self, lam: float) -> State:
        """The parameters at t = `lam`; at 0 and 1 the end models' own tensors, bit for bit."""
        if lam == 0.0:
            return self.a.state
        if lam == 1.0:
            return self.b.state
        return blend([self.a.state, self.bend, self.b.state], lambda three: bent(three, lam))

    def on(self, device: str) -> Bezier:
        """The same curve with the models and the bend on a device."""
        bend = {name: tensor.to(device) for name, tensor in self.bend.items()}
        return Bezier(self.a.on(device), self.b.on(device), bend)


def bent(three: Sequence[Tensor], t: float) -> Tensor:
    """(1 - t)^2 A + 2 t (1 - t) C + t^2 B of one parameter (A, C, B), differentiable in C."""
    return (1 - t) ** 2 * three[0] + 2 * t * (1 - t) * three[1] + t**2 * three[2]


def loss_at(
    forward: nn.Module,
    a: State,
    bend: State,
    b: State,
    t: float,
    batch: Examples,
    soft: Sequence[Tensor] | None = None,
) -> Tensor:
    """Mean loss of a batch at one point of the curve in nats, differentiable in the bend.

    Args:
        forward: of the models, a `models.functional.Forward`.
        a: parameters at 0.
        bend: C.
        b: parameters at 1.
        t: where.
        batch: on the device of the parameters.
        soft: probabilities that both ends give on it, as targets in place of the labels.
    """
    named = {
        f"inner.{name}": bent([in_single(state[name]) for state in (a, bend, b)], t) for name in a
    }
    logits = functional_call(forward, named, (batch.inputs,))
    if soft is not None:
        each = -(weighted(soft, [1 - t, t]) * logits.log_softmax(-1)).sum(-1)
        counts = batch.targets != IGNORED
        return torch.where(counts, each, 0.0).sum() / counts.sum()
    return F.cross_entropy(logits.flatten(0, -2), batch.targets.flatten(), ignore_index=IGNORED)


@dataclass(frozen=True)
class BendSettings:
    """How the bend is trained.

    Attributes:
        steps: of Adam; the rate falls to zero over them.
        seconds: in place of `steps`, a budget; the rate falls to zero over it.
        batch: examples a step; 0 for 64 images, or as many windows as make 1,024 tokens.
        rate: of Adam.
        checks: how often the held-out loss is measured; the best bend is kept.
        matrix_rate: of Muon, which then trains the matrices (`bend_optimiser`); None for Adam.
        spread: s; t is drawn from U(1/2 - s, 1/2 + s).
        targets: ``labels``, or ``ends``: what the end models predict, mixed like their weights on
            the straight line, where there is room for it.
    """

    steps: int = 300
    batch: int = 0
    rate: float = 3e-3
    checks: int = 6
    seconds: float | None = None
    matrix_rate: float | None = None
    spread: float = 0.5
    targets: str = choice("labels", ("labels", "ends"), "kind of targets")

    def __post_init__(self) -> None:
        require_settings(self)
        if self.matrix_rate is not None and not 0 < self.matrix_rate < 1:
            raise BadInput(f"matrix_rate should lie between 0 and 1; {self.matrix_rate} came.")
        if not 0 < self.spread <= 0.5:
            raise BadInput(f"The spread should lie between 0 and 0.5; {self.spread} came.")
        if self.seconds is not None and self.seconds <= 0:
            raise BadInput(f"The seconds of a bend should be above 0; {self.seconds} came.")
        for name, low in (("steps", 1), ("batch", 0), ("checks", 1)):
            if getattr(self, name) < low:
                raise BadInput(f"{name} should be {low} or more; {getattr(self, name)} came.")
        if not 0 < self.rate < 1:
            raise BadInput(f"The rate should lie between 0 and 1; {self.rate} came.")


class Bending:
    """One training of a bend, which can be saved and gone on from.

    Args:
        a: the model at 0.
        b: the model at 1.
        settings: how to train.
        learning: examples of the training split, those held out of them, and a file to go on from.
        progress: called with the share done and a few words; may raise to stop.
    """

    def __init__(
        self,
        a: Model,
        b: Model,
        settings: BendSettings,
        learning: Learning,
        progress: Progress = lambda share, words: None,
    ):
        learning = replace(learning, train=learning.train.read(), held_out=learning.held_out.read())
        self.start, self.settings, self.learning, self.progress = (
            Bezier.straight(a, b),
            settings,
            learning,
            progress,
        )
        device = learning.device
        self.forward = Forward(a, a.module(device=device))
        self.ends = [
            {name: in_single(tensor).to(device) for name, tensor in model.state.items()}
            for model in (a, b)
        ]
        self.bend = {
            name: tensor.to(device).clone().requires_grad_()
            for name, tensor in self.start.bend.items()
        }
        rates = settings.rate, settings.matrix_rate
        self.optimiser = BendOptimiser(a.layout, self.bend, *rates, (0.9, 0.999))
        self.predictions: Predictions | None = None
        if settings.targets == "ends" and few_enough(a, learning.train.inputs):
            self.predictions = Predictions(self._ask, learning.train.inputs.to(device))
        images = learning.train.inputs.is_floating_point()
        self.batch = settings.batch or (
            64 if images else max(1, 1024 // learning.train.inputs.shape[1])
        )
        self.done, self.spent = 0, 0.0
        # step, training loss since the last check, held-out loss
        self.history: list[list[float]] = []
        self.running: list[float] = []
        self.best: dict[str, Any] = {}
        self.whole = False  # no step is half done
        self.saving = 0.0  # seconds that the last save took
        seen = [
            InMemory(part).digest(torch.arange(len(part)))
            for part in (learning.train, learning.held_out)
        ]
        content = [asdict(settings), a.digest, b.digest, learning.seed, seen]
        self.fingerprint = hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def finish(self) -> tuple[Bezier, dict[str, Any]]:
        """Train to the end; what is there is saved if anything interrupts.

        Returns:
            The curve whose held-out loss was lowest (at worst the straight line), and what to say
            of its training, as plain JSON values.
        """
        self._restore()
        begun = time.perf_counter() - self.spent
        try:
            self._train(begun)
        except BaseException:
            if self.whole:
                self.spent = time.perf_counter() - begun
                self._save()
            raise
        self.spent = time.perf_counter() - begun
        if self.learning.checkpoint is not None:
            self.learning.checkpoint.unlink(missing_ok=True)
        curve = Bezier(
            self.start.a,
            self.start.b,
            {name: tensor.cpu() for name, tensor in self.best["bend"].items()},
        )
        return curve, {
            "history": self.history,
            "steps": self.done,
            "best_step": self.best["step"],
            "batch": self.batch,
            "examples": len(self.learning.train),
            "held_out": len(self.learning.held_out),
            "learn_seconds": self.spent,
        }

    def _train(self, begun: float) -> None:
        if not self.history:
            self._check()
            self._save()
        saved = time.perf_counter()
        share = self._share_done(begun)
        while share < 1:
            self.whole = False
            loss = self._step(1 - share)
            share, before = self._share_done(begun), share
            if share >= 1 or self._check_due(before, share):
                self._check()
            self.whole = True
            counted = "" if self.settings.seconds else f" of {self.settings.steps}"
            self.progress(
                min(share, 1.0), f"step {self.done}{counted}, loss {loss:.3f} nats on the curve"
            )
            now = time.perf_counter()
            if now - saved > max(SAVE_LEAST, SAVE_SHARE * self.saving):
                saved, self.spent = now, now - begun
                self._save()

    @torch.no_grad()
    def _ask(self, inputs: Tensor) -> list[Tensor]:
        """What both ends predict."""
        found = []
        for end in self.ends:
            named = {f"inner.{name}": tensor for name, tensor in end.items()}
            parts = [
                functional_call(self.forward, named, (part,)).softmax(-1)
                for part in inputs.split(self.batch)
            ]
            found.append(torch.cat(parts))
        return found

    def _share_done(self, begun: float) -> float:
        """Of the steps, or of the seconds."""
        if self.settings.seconds is None:
            return self.done / self.settings.steps
        return (time.perf_counter() - begun) / self.settings.seconds

    def _check_due(self, before: float, share: float) -> bool:
        checks = self.settings.checks
        if self.settings.seconds is None:
            return self.done % max(1, self.settings.steps // checks) == 0
        return int(share * checks) > int(before * checks)

    def _step(self, left: float) -> float:
        """One step at a random point of the curve; returns its loss in nats.

        Args:
            left: share of the steps or seconds that is left, to which the rate is proportional.
        """
        train, device = self.learning.train, self.learning.device
        # of this step alone
        generator = torch.Generator().manual_seed(self.learning.seed * 1_000_003 + self.done)
        rows = torch.randint(len(train), (self.batch,), generator=generator)
        t = 0.5 + self.settings.spread * (2 * float(torch.rand((), generator=generator)) - 1)
        batch = Examples(train.inputs[rows].to(device), train.targets[rows].to(device))
        soft = None if self.predictions is None else self.predictions.read(rows)
        self.optimiser.zero_grad()
        loss = loss_at(self.forward, self.ends[0], self.bend, self.ends[1], t, batch, soft)
        loss.backward()
        self.optimiser.step(min((self.done + 1) / WARM, 1.0) * left)
        self.done += 1
        self.running.append(float(loss.detach()))
        return self.running[-1]

    @torch.no_grad()
    def _check(self) -> None:
        """Measure the held-out loss along the curve, and keep the bend if it is the best so far."""
        held, device = self.learning.held_out, self.learning.device
        size, total = batch_size(self.start.a, held), 0.0
        for batch in held.batches(size):
            placed = Examples(batch.inputs.to(device), batch.targets.to(device))
            found = [
                float(loss_at(self.forward, self.ends[0], self.bend, self.ends[1], t, placed))
                for t in WATCHED
            ]
            total += len(batch) * sum(found) / len(found)
        loss = total / len(held)
        self.history.append(
            [self.done, sum(self.running) / len(self.running) if self.running else loss, loss]
        )
        self.running = []
        if not self.best or loss < self.best["loss"]:
            bend = {name: tensor.detach().clone() for name, tensor in self.bend.items()}
            self.best = {"loss": loss, "step": self.done, "bend": bend}

    def _save(self) -> None:
        """Write what there is, whole or not at all; a full disk is no reason to stop training."""
        path: Path | None = self.learning.checkpoint
        if path is None or not self.best:
            return
        begun = time.perf_counter()
        state = {
            "fingerprint": self.fingerprint,
            "bend": {name: tensor.detach() for name, tensor in self.bend.items()},
            "optimiser": self.optimiser.state_dict(),
            **{name: getattr(self, name) for name in KEPT},
        }
        save_state(path, state)
        self.saving = time.perf_counter() - begun

    def _restore(self) -> None:
        path, device = self.learning.checkpoint, self.learning.device
        state = read_state(path, self.fingerprint, device)
        if state is None:
            return
        for name in KEPT:
            setattr(self, name, state[name])
        bend = cast("State", state["bend"])
        with torch.no_grad():
            for name, tensor in self.bend.items():
                tensor.copy_(bend[name])
        self.optimiser.load_state_dict(cast("BendOptimiserState", state["optimiser"]))
