"""A run of learning: steps down the loss of mixtures of models, held-out checks, a budget, and a
file to go on from.

    minimise over the maps g_k   E_w E_(x, y)  loss( f[sum_k w_k g_k theta_k](x), y )

Two models are a pair, with w = (1 - lam, lam); more are a group.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypedDict, TypeVar, cast

import torch
from torch import Tensor

from lmc_core.matching.learned.charts import SMOOTH, STRETCH
from lmc_core.matching.learned.learner import Learner, LearnerState
from lmc_core.matching.learned.steps import Steps
from lmc_core.models.common import in_float32
from lmc_core.models.model import Model
from lmc_core.progress import Progress
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import Classes, class_of
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.task import Examples, InMemory
from lmc_core.tasks.training_state import read_state, save_state

# numbers of the ends' predictions that are held: 512 MB; with more the labels are the targets
SOFT = 2**27
WARM = 10  # steps until the full rate
CALIBRATION = 8  # steps that tell how long one takes
SAVE_LEAST = 1.0  # seconds between two saves, so that a run that is killed early is not lost
# times what a save takes that pass before the next, so that saving costs a twentieth at the most
SAVE_SHARE = 20
# rates of permutations without and with smooth maps beside them
ROWS_ALONE, ROWS_BESIDE = 0.05, 0.003
# share of the steps in which permutations move; afterwards smooth maps settle around them
ROWS_UNTIL = 0.6
ROWS_EVERY = 2  # steps between two moves
EVALUATED = 128  # examples at once without gradients
# what a checkpoint holds besides the learner
KEPT = ("best", "done", "steps", "history", "running", "spent", "refused")

T = TypeVar("T")


class Best(TypedDict):
    """The maps with the lowest held-out loss so far, in nats, and at which step they stood."""

    loss: float
    step: int
    learner: LearnerState


class Descent:
    """One run of learning, which can be saved and gone on from.

    Args:
        models: in canonical form, already brought over by another method.
        classes: chosen class of each kind of space.
        moves: numbers of the models that move.
        draw: the weights of a step's mixture, from a generator.
        settings: how to learn; what `draw` depends on is among them.
        learning: what to learn from, and where.
        known: what tells this run from others that could have left its checkpoint: digests of the
            models before they moved.
        progress: called with the share done and a few words; may raise to stop.
        keeps: whether models moved by some alignments still compute what they did; others are not
            returned, however low their loss is, as float32 does not carry what they are.
    """

    def __init__(
        self,
        models: Sequence[Model],
        classes: Classes,
        moves: Sequence[int],
        draw: Callable[[torch.Generator], list[float]],
        settings: Steps,
        learning: Learning,
        known: Sequence[str],
        progress: Progress,
        keeps: Callable[[Sequence[Alignment]], bool] = lambda alignments: True,
    ):
        self.keeps = keeps
        self.settings, self.learning, self.draw, self.progress = settings, learning, draw, progress
        self.train, self.held_out, self.checkpoint = (
            learning.train.read(),
            learning.held_out.read(),
            learning.checkpoint,
        )
        rows_rate = settings.rows_rate
        if rows_rate is None:
            smooth = any(
                class_of(space, classes) in SMOOTH for space in models[0].layout.spaces.values()
            )
            rows_rate = ROWS_BESIDE if smooth else ROWS_ALONE
        single = [in_float32(model, "cpu") for model in models]
        self.learner = Learner(single, classes, moves, settings.rate, rows_rate, learning.device)
        images = self.train.inputs.is_floating_point()
        self.batch = settings.batch or (
            64 if images else max(1, 1024 // self.train.inputs.shape[1])
        )
        sizes = models[0].family.sizes(models[0].config)
        each = (
            self.train.inputs.shape[1] * sizes["tokens"]
            if "tokens" in sizes
            else sizes.get("classes", 1)
        )
        self.held = len(models) * each * len(self.train) <= SOFT
        self.done, self.spent, self.steps = 0, 0.0, settings.steps
        # step, training loss since the last check, held-out loss
        self.history: list[list[float]] = []
        self.best: Best | None = None
        self.refused: list[int] = []  # steps whose maps did not keep the function
        self.running: list[float] = []
        self.whole = False  # no step is half done
        self.saving = 0.0  # seconds that the last save took
        self.soft: list[Tensor] | None = None
        named = {kind: chosen.value for kind, chosen in classes.items()}
        seen = [
            InMemory(part).digest(torch.arange(len(part))) for part in (self.train, self.held_out)
        ]
        content = [asdict(settings), list(moves), list(known), learning.seed, named, seen, STRETCH]
        self.fingerprint = hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def finish(self) -> tuple[list[Alignment], dict[str, object]]:
        """Learn to the end; what is there is saved if anything interrupts.

        Returns:
            What every model is moved by where the held-out loss was best, and what to say of it, as
            plain JSON values.
        """
        self._restore()
        begun = time.perf_counter() - self.spent
        try:
            self._learn(begun)
        except BaseException:
            if self.whole:  # else what was saved last holds
                self.spent = time.perf_counter() - begun
                self._save()
            raise
        self.spent = time.perf_counter() - begun
        best = self.best
        assert best is not None  # the start was measured first
        self.learner.restore(best["learner"], optimiser=False)
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
        moved, rows = self.learner.rows_moved()
        return self.learner.alignments(), {
            "history": self.history,
            "held_out": len(self.held_out),
            "steps": self.done,
            "best_step": best["step"],
            "refused": self.refused,
            "batch": self.batch,
            "examples": len(self.train),
            "targets": "labels" if self.soft is None else "ends",
            "rows_moved": moved,
            "rows": rows,
            "learn_seconds": self.spent,
        }

    def _learn(self, begun: float) -> None:
        settings, learner = self.settings, self.learner
        if not self.history:
            self._check()
            self._save()
        if settings.targets == "ends" and self.held:
            self.progress(0.0, "asking the models what they predict")
            self.soft = learner.probabilities(self.train.inputs, EVALUATED)
        saved = timed = time.perf_counter()
        first = self.done
        while self.done < self.steps and self._stale() < settings.patience:
            # a run that goes on has its number of steps already, unless it was stopped before they
            # were counted
            if (
                settings.seconds is not None
                and self.done - first == CALIBRATION
                and self.steps == settings.steps
            ):
                now = time.perf_counter()
                per_step = (now - timed) / CALIBRATION
                self.steps = max(
                    self.done + 1,
                    self.done + int((settings.seconds - (now - begun)) / (1.1 * per_step)),
                )
            self.whole = False
            loss = self._step()
            if self.done % max(1, self.steps // settings.checks) == 0 or self.done == self.steps:
                self._check()
            self.whole = True
            words = f"step {self.done} of {self.steps}, loss {loss:.3f} nats between the models"
            self.progress(self.done / self.steps, words)
            now = time.perf_counter()
            if now - saved > max(SAVE_LEAST, SAVE_SHARE * self.saving):
                saved, self.spent = now, now - begun
                self._save()

    def _stale(self) -> int:
        """How many checks there were since the best one."""
        best = self.best
        return 0 if best is None else sum(step > best["step"] for step, *_ in self.history)

    def _step(self) -> float:
        """One step; returns its loss in nats."""
        # of this step alone
        generator = torch.Generator().manual_seed(self.learning.seed * 1_000_003 + self.done)
        rows = torch.randint(len(self.train), (self.batch,), generator=generator)
        weights = self.draw(generator)
        soft = None if self.soft is None else [each[rows] for each in self.soft]
        share = min((self.done + 1) / WARM, 1.0) * (1 - self.done / self.steps)
        batch = Examples(self.train.inputs[rows], self.train.targets[rows])
        alone = self.learner.optimiser is None
        rows_move = alone or (self.done < ROWS_UNTIL * self.steps and self.done % ROWS_EVERY == 0)
        self.running.append(self.learner.step(batch, soft, weights, share, rows_move))
        self.done += 1
        return self.running[-1]

    def _check(self) -> None:
        """Measure the held-out loss at the centre, and keep the maps if it is the best so far and
        no function has changed.
        """
        loss = self.learner.loss(self.held_out, EVALUATED)
        trained = sum(self.running) / len(self.running) if self.running else loss
        self.running = []
        self.history.append([self.done, trained, loss])
        if self.best is None or loss < self.best["loss"]:
            # the start is what there is
            if self.best is not None and not self.keeps(self.learner.alignments()):
                self.refused.append(self.done)
                return
            self.best = {"loss": loss, "step": self.done, "learner": _copied(self.learner.state())}

    def _save(self) -> None:
        """Write what there is, whole or not at all; a full disk is no reason to stop learning."""
        path = self.checkpoint
        if path is None or self.best is None:
            return
        begun = time.perf_counter()
        state = {
            "fingerprint": self.fingerprint,
            "learner": self.learner.state(),
            **{n: getattr(self, n) for n in KEPT},
        }
        save_state(path, state)
        self.saving = time.perf_counter() - begun

    def _restore(self) -> None:
        state = read_state(self.checkpoint, self.fingerprint)
        if state is None:
            return
        for name in KEPT:
            setattr(self, name, state[name])
        self.learner.restore(cast("LearnerState", state["learner"]))


def _copied(value: T) -> T:
    """A copy of nested dicts and lists with their tensors."""
    if isinstance(value, Tensor):
        return cast("T", value.detach().clone())
    if isinstance(value, dict):
        return cast("T", {key: _copied(each) for key, each in value.items()})
    return cast("T", [_copied(each) for each in value]) if isinstance(value, list) else value
