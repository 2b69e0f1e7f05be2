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
from lmc_core.matching.learned.predictions import Predictions
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
MARGIN = 1.05  # that a step may take longer than those before it
PLANNED = (
    0.25  # share of a budget after which the steps that fit are counted, however few were made
)
CHECKING = 0.1  # share of a budget that checks may take, where more than two fit
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
        self.checking = 0.0  # seconds that the last check took
        self.predictions: Predictions | None = None
        if settings.targets == "ends" and self.held:
            self.predictions = Predictions(
                lambda inputs: self.learner.probabilities(inputs, EVALUATED),
                self.train.inputs.to(learning.device),
            )
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
            "targets": "labels" if self.predictions is None else "ends",
            "rows_moved": moved,
            "rows": rows,
            "learn_seconds": self.spent,
        }

    def _learn(self, begun: float) -> None:
        settings = self.settings
        if not self.history:
            self._check()
            self._save()
        if self.predictions is not None:
            for step in range(self.done):  # as they were drawn before the run stopped
                self.predictions.draw(self._draw(step)[0])
        saved = timed = time.perf_counter()
        checking, first = 0.0, self.done
        while self.done < self.steps and self._stale() < settings.patience:
            self.whole = False
            loss = self._step()
            now = time.perf_counter()
            if settings.seconds is not None:
                pace = (now - timed - checking) / (self.done - first)
                self._plan(pace, settings.seconds - (now - begun), self.done - first)
            if self.done % self._every() == 0 or self.done == self.steps:
                self._check()
                checking += self.checking
            self.whole = True
            words = f"step {self.done} of {self.steps}, loss {loss:.3f} nats between the models"
            self.progress(self.done / self.steps, words)
            now = time.perf_counter()
            if now - saved > max(SAVE_LEAST, SAVE_SHARE * self.saving):
                saved, self.spent = now, now - begun
                self._save()

    def _every(self) -> int:
        """Steps between two checks; of a budget they take no more than their share."""
        checks = self.settings.checks
        if self.settings.seconds is not None and self.checking > 0:
            fit = int(CHECKING * self.settings.seconds / self.checking)
            checks = min(checks, max(2, fit))
        return max(1, self.steps // checks)

    def _plan(self, pace: float, left: float, measured: int) -> None:
        """Set how many steps fit into a budget: once enough of them were made, and at every check
        after that, as a machine does not stay as fast as it was.

        Args:
            pace: seconds of a step so far, with what the ends were asked for.
            left: seconds of the budget that are left.
            measured: steps that the pace is the mean of.
        """
        seconds = self.settings.seconds
        assert seconds is not None
        planned = self.steps != self.settings.steps  # a run that goes on may have it already
        due = measured == CALIBRATION or left < (1 - PLANNED) * seconds
        if due if not planned else measured >= CALIBRATION and self.done % self._every() == 0:
            self.steps = self.done + max(0 if left <= 0 else 1, self._fit(pace, left, measured))

    def _fit(self, pace: float, left: float, measured: int) -> int:
        """How many steps fit into some seconds, with their checks and with asking the ends for
        examples that were not drawn before, which becomes rare.
        """
        left -= self.checking  # that at the end
        each = 0.0
        if self.predictions is not None:
            pace -= self.predictions.seconds / measured
            each = self.predictions.seconds / max(1, self.predictions.asked)

        def take(steps: int) -> float:
            asking = 0.0
            if self.predictions is not None:
                asking = each * self.predictions.count_missing(steps * self.batch)
            return MARGIN * steps * (pace + self.checking / self._every()) + asking

        low, high = 0, max(0, int(left / max(pace, 1e-9)))
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if take(middle) <= left else (low, middle - 1)
        return low

    def _stale(self) -> int:
        """How many checks there were since the best one."""
        best = self.best
        return 0 if best is None else sum(step > best["step"] for step, *_ in self.history)

    def _draw(self, step: int) -> tuple[Tensor, list[float]]:
        """The examples of a step, by their numbers, and the weights of its mixture."""
        # of this step alone
        generator = torch.Generator().manual_seed(self.learning.seed * 1_000_003 + step)
        rows = torch.randint(len(self.train), (self.batch,), generator=generator)
        return rows, self.draw(generator)

    def _step(self) -> float:
        """One step; returns its loss in nats."""
        rows, weights = self._draw(self.done)
        soft = None if self.predictions is None else self.predictions.read(rows)
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
        begun = time.perf_counter()
        loss = self.learner.loss(self.held_out, EVALUATED)
        self.checking = time.perf_counter() - begun
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
