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
from lmc_core.matching.learned.learner import LARGE, Learner, LearnerState
from lmc_core.matching.learned.predictions import Predictions, few_enough
from lmc_core.matching.learned.steps import Steps
from lmc_core.models.common import in_float32
from lmc_core.models.model import Model
from lmc_core.progress import Progress
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import Classes, class_of
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.task import Examples, InMemory
from lmc_core.tasks.training_state import read_state, save_state

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
LARGE_EVALUATED = 16  # the same of models that run layer by layer
TICK = 0.5  # seconds between two times that a step of a large model says it is alive
FEWEST = 8  # held-out examples at the least
MARGIN = 1.05  # that a step may take longer than those before it
PLANNED = (
    0.25  # share of a budget after which the steps that fit are counted, however few were made
)
CHECKING = 0.1  # share of a budget that checks may take, where more than two fit
# what a checkpoint holds besides the learner
KEPT = ("best", "done", "steps", "history", "running", "spent", "refused", "checked", "returned")
# Of large models, what the rate is multiplied by where a check is worse than the best, from which
# the run then goes on. A step turns every direction of a space alike, also those that the tokens of
# one batch say nothing of, and there are the more of these the wider the model is.
SLOWER = 1 / 3

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
        make: makes the learner, of the arguments of `Learner`.
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
        make: Callable[..., Learner] = Learner,
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
        small = models[0].parameters < LARGE
        held = [in_float32(model, "cpu") if small else model for model in models]
        self.learner = make(held, classes, moves, settings.rate, rows_rate, learning.device)
        self.evaluated = EVALUATED if small else LARGE_EVALUATED
        self.said, self.told = (0.0, "measuring the start"), 0.0
        if not small:
            self.learner.tick = self._tick
        images = self.train.inputs.is_floating_point()
        self.batch = settings.batch or (
            64 if images else max(1, 1024 // self.train.inputs.shape[1])
        )
        self.held = few_enough(models[0], self.train.inputs, len(models))
        self.done, self.spent, self.steps = 0, 0.0, settings.steps
        # step, training loss since the last check, held-out loss
        self.history: list[list[float]] = []
        self.best: Best | None = None
        self.refused: list[int] = []  # steps whose maps did not keep the function
        self.returned: list[int] = []  # steps after which the best maps were taken up again
        self.running: list[float] = []
        self.whole = False  # whether there is a state, and no step is half done
        self.checked: int | None = None  # held-out examples of a check
        self.saving = 0.0  # seconds that the last save took
        self.checking = 0.0  # seconds that the last check took
        self.predictions: Predictions | None = None
        if settings.targets == "ends" and self.held:
            self.predictions = Predictions(
                lambda inputs: self.learner.probabilities(inputs, self.evaluated),
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
        returned = {"returned": self.returned} if self.returned else {}
        return self.learner.alignments(), {
            **returned,
            "history": self.history,
            "held_out": self.checked,
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
        while True:
            if self._due() and self.history[-1][0] != self.done:
                self._check()
                checking += self.checking
            if self.done >= self.steps or self._stale() >= settings.patience:
                return
            loss = self._step()
            now = time.perf_counter()
            if settings.seconds is not None:
                asked = 0.0 if self.predictions is None else self.predictions.seconds
                made = self.done - first
                pace = (now - timed - checking - asked) / max(1, made - 1)
                self._plan(pace, settings.seconds - (now - begun), made)
                if made == 1:  # the first is slower than the rest
                    timed, checking = now - asked, 0.0
            words = f"step {self.done} of {self.steps}, loss {loss:.3f} nats between the models"
            self.said = (self.done / self.steps, words)
            self.progress(*self.said)
            now = time.perf_counter()
            if now - saved > max(SAVE_LEAST, SAVE_SHARE * self.saving):
                saved, self.spent = now, now - begun
                self._save()

    def _tick(self) -> None:
        """Say again what was said last, so that a long step can be stopped in its midst."""
        now = time.perf_counter()
        if now - self.told > TICK:
            self.told = now
            self.progress(*self.said)

    def _due(self) -> bool:
        """Whether it is time for a check; of large models also after 2, 4, 8, ... steps until the
        first regular one, so that a rate that is too high costs no more than was gained before.
        """
        every = self._every()
        if self.done % every == 0 or self.done == self.steps:
            return True
        early = self.learner.by_layer is not None and 1 < self.done < every
        return early and self.done & (self.done - 1) == 0

    def _every(self) -> int:
        """Steps between two checks; of a budget they take no more than their share."""
        checks = self.settings.checks
        if self.settings.seconds is not None and self.checking > 0:
            fit = int(CHECKING * self.settings.seconds / self.checking)
            checks = min(checks, max(2, fit))
        return max(1, self.steps // checks)

    def _plan(self, pace: float, left: float, made: int) -> None:
        """Set how many steps fit into a budget: once enough of them were made, of large models
        once a share of the budget is gone, and at every check after that, as a machine does not
        stay as fast as it was.

        Args:
            pace: seconds of a step, without asking the ends.
            left: seconds of the budget that are left.
            made: steps that were made since the run began, or went on.
        """
        seconds = self.settings.seconds
        assert seconds is not None
        if made < CALIBRATION:
            due = self.learner.by_layer is not None and left < (1 - PLANNED) * seconds
        else:
            due = made == CALIBRATION or self.done % self._every() == 0
        if due:
            least = int(left > 0 or made <= CALIBRATION)
            self.steps = self.done + max(least, self._fit(pace, left))

    def _fit(self, pace: float, left: float) -> int:
        """How many steps fit into some seconds, with their checks and with asking the ends for
        examples that were not drawn before, which becomes rare.
        """
        left -= self.checking  # that at the end
        each = 0.0
        if self.predictions is not None:
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
        share *= SLOWER ** len(self.returned)
        batch = Examples(self.train.inputs[rows], self.train.targets[rows])
        alone = self.learner.optimiser is None
        rows_move = alone or (self.done < ROWS_UNTIL * self.steps and self.done % ROWS_EVERY == 0)
        found, slopes = self.learner.find_slopes(batch, soft, weights, rows_move)
        loss = float(found)
        self.whole = False
        self.learner.follow(slopes, share, rows_move)
        self.running.append(loss)
        self.done += 1
        self.whole = True
        return loss

    def _check(self) -> None:
        """Measure the held-out loss at the centre, and keep the maps if it is the best so far and
        no function has changed.
        """
        if self.checked is None:
            self.checked = self._affordable()
        begun = time.perf_counter()
        loss = self.learner.loss(self.held_out.first(self.checked), self.evaluated)
        self.checking = time.perf_counter() - begun
        trained = sum(self.running) / len(self.running) if self.running else loss
        self.whole = False
        self.running = []
        self.history.append([self.done, trained, loss])
        if self.best is None or loss < self.best["loss"]:
            # the start is what there is
            if self.best is None or self.keeps(self.learner.alignments()):
                state = _copied(self.learner.state())
                self.best = {"loss": loss, "step": self.done, "learner": state}
            else:
                self.refused.append(self.done)
        elif self.learner.by_layer is not None and loss > self.best["loss"]:
            self.learner.restore(_copied(self.best["learner"]))
            self.returned.append(self.done)
        self.whole = True

    def _affordable(self) -> int:
        """How many held-out examples a budget has time for, three times over; all without one."""
        count, seconds = len(self.held_out), self.settings.seconds
        if seconds is None or count <= FEWEST:
            return count
        begun = time.perf_counter()
        self.learner.loss(self.held_out.first(FEWEST), self.evaluated)
        each = (time.perf_counter() - begun) / FEWEST
        return count if each <= 0 else max(FEWEST, min(count, int(CHECKING * seconds / 3 / each)))

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
            setattr(self, name, state.get(name, getattr(self, name)))
        self.whole = True
        self.learner.restore(cast("LearnerState", state["learner"]))


def _copied(value: T) -> T:
    """A copy of nested dicts and lists with their tensors."""
    if isinstance(value, Tensor):
        return cast("T", value.detach().clone())
    if isinstance(value, dict):
        return cast("T", {key: _copied(each) for key, each in value.items()})
    return cast("T", [_copied(each) for each in value]) if isinstance(value, list) else value
