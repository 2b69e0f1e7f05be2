"""Learned matching: go on from another method by following the gradient of the task's loss on the line.

    minimise  E_lam E_(x, y)  loss( f[(1 - lam) g_A A + lam g_B g_0 B](x), y ),     lam ~ U(1/2 - s, 1/2 + s)

over maps g near the identity (`charts`) and permutations (`rows`); g_0 is what the other method found. One-sided learning moves
B alone. Dual learning moves both ends towards a common line; its path has an exact one-sided twin, because every move
multiplies weights by fixed matrices: (1 - lam) g_A A + lam g_B g_0 B = g_A [(1 - lam) A + lam g_A^-1 g_B g_0 B] computes what
the bracket computes. So what is returned is one alignment of B either way.

The targets are by default what the end models themselves predict, mixed like their weights. They are known for nothing, as
no map changes them, and carry less noise than labels (see docs/LOG.md).

Theus et al. 2025 (arXiv 2506.22712) for learned maps (with projections, one-sided, lam in U(0.4, 0.6)), arXiv 2606.23607 (2026)
for both ends.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.charts import SMOOTH
from lmc_core.matching.given import Given
from lmc_core.matching.learner import Learner
from lmc_core.matching.trace import Trace
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import class_of
from lmc_core.tasks.task import Examples

SOFT = 2**27  # numbers of the ends' predictions that are held: 512 MB; with more the labels are the targets
WARM = 10  # steps until the full rate
CALIBRATION = 8  # steps that tell how long one takes
SAVE_EVERY = 20.0  # seconds
ROWS_ALONE, ROWS_BESIDE = 0.05, 0.003  # rates of permutations without and with smooth maps beside them
ROWS_UNTIL = 0.6  # share of the steps in which permutations move; afterwards smooth maps settle around them
ROWS_EVERY = 2  # steps between two moves
EVALUATED = 128  # examples at once without gradients


@dataclass(frozen=True)
class LearnedSettings:
    """How maps are learned.

    Attributes:
        steps: at the most; the rate falls to zero over them.
        seconds: in place of `steps`, a budget for everything after the start; how many steps fit is measured first.
        batch: examples a step; 0 for 64 images, or as many windows as make 1,024 tokens.
        rate: how far a vector turns in one step at the full rate, in radians.
        rows_rate: how far the latents of permutations move in one step, in units of a cosine; 0 keeps the permutations. By
            default 0.003 beside smooth maps, and 0.05 where permutations are all there is.
        spread: s; lam is drawn from U(1/2 - s, 1/2 + s).
        targets: ``ends`` (what the end models predict) or ``labels``.
        checks: how often the held-out loss is measured; the best is kept.
        patience: checks without a better held-out loss after which learning stops.
    """

    steps: int = 600
    seconds: float | None = None
    batch: int = 0
    rate: float = 0.05
    rows_rate: float | None = None
    spread: float = 0.1
    targets: str = "ends"
    checks: int = 12
    patience: int = 6

    def __post_init__(self) -> None:
        for name, low in (("steps", 1), ("batch", 0), ("checks", 1), ("patience", 1)):
            if getattr(self, name) < low:
                raise BadInput(f"{name} should be {low} or more; {getattr(self, name)} came.")
        if self.seconds is not None and self.seconds <= 0:
            raise BadInput(f"seconds should be above 0; {self.seconds} came.")
        if not (self.rate > 0 and (self.rows_rate is None or self.rows_rate >= 0)):
            raise BadInput(f"Rates should be positive; rate {self.rate} and rows_rate {self.rows_rate} came.")
        if not 0 <= self.spread <= 0.5:
            raise BadInput(f"spread should lie between 0 and 0.5; {self.spread} came.")
        if self.targets not in ("ends", "labels"):
            raise BadInput(f"targets should be 'ends' or 'labels'; {self.targets!r} came.")


def learn(
    given: Given, start: Alignment, trace: Trace, settings: LearnedSettings, both: bool = False
) -> tuple[Alignment, Trace]:
    """Go on from `start` by gradient.

    Args:
        given: both models in canonical form, and examples of the training split.
        start: what brings B over before anything is learned.
        trace: of the method that found it.
        settings: how to learn.
        both: whether both ends move.

    Returns:
        The alignment of B alone, and the trace with what was learned in `about`. Never worse than the start on the held-out
        examples.

    Raises:
        BadInput: if there are no examples to learn from.
    """
    if given.train is None or given.held_out is None:
        raise BadInput("Learned matching needs examples of a training split; choose a task that has one.")
    return _Run(given, start, settings, both).finish(trace)


class _Run:
    """One run of learning, which can be saved and gone on from."""

    def __init__(self, given: Given, start: Alignment, settings: LearnedSettings, both: bool):
        assert given.train is not None and given.held_out is not None
        self.given, self.start, self.settings, self.both = given, start, settings, both
        self.train, self.held_out = given.train, given.held_out
        a = given.a.with_state({name: tensor.float() for name, tensor in given.a.state.items()})
        moved = start.apply(given.layout, given.b.state)
        b = given.b.with_state({name: tensor.float() for name, tensor in moved.items()})
        rows_rate = settings.rows_rate
        if rows_rate is None:
            smooth = any(class_of(space, given.classes) in SMOOTH for space in given.layout.spaces.values())
            rows_rate = ROWS_BESIDE if smooth else ROWS_ALONE
        self.learner = Learner(a, b, given.classes, both, settings.rate, rows_rate, given.device)
        length = 1 if self.train.inputs.is_floating_point() else self.train.inputs.shape[1]
        self.batch = settings.batch or (64 if self.train.inputs.is_floating_point() else max(1, 1024 // length))
        self.done, self.spent, self.steps = 0, 0.0, settings.steps
        self.history: list[list[float]] = []  # step, training loss since the last check, held-out loss
        self.best: dict[str, Any] = {}
        self.running: list[float] = []
        self.soft: tuple[Tensor, Tensor] | None = None
        self.fingerprint = hashlib.sha256(
            json.dumps([asdict(settings), both, given.a.digest, given.b.digest, given.seed, len(self.train)]).encode()
        ).hexdigest()

    def finish(self, trace: Trace) -> tuple[Alignment, Trace]:
        """Learn to the end; what is there is saved if anything interrupts."""
        self._restore()
        begun = time.perf_counter() - self.spent
        try:
            self._learn(begun)
        except BaseException:
            self.spent = time.perf_counter() - begun
            self._save()
            raise
        self.spent = time.perf_counter() - begun
        self.learner.restore(self.best["learner"], optimiser=False)
        of_a, of_b = self.learner.alignments()
        found = of_a.inverse().compose(of_b).compose(self.start)
        if self.given.checkpoint is not None:
            self.given.checkpoint.unlink(missing_ok=True)
        moved = self.learner.rows.moved()
        about = dict(trace.about) | {
            "history": self.history,
            "held_out": len(self.held_out),
            "steps": self.done,
            "best_step": self.best["step"],
            "batch": self.batch,
            "examples": len(self.train),
            "targets": "labels" if self.soft is None else "ends",
            "rows_moved": sum(moved.values()),
            "rows": sum(z.shape.numel() // z.shape[-1] for z in self.learner.rows.latents.values()),
            "learn_seconds": self.spent,
        }
        return found, Trace(trace.objective, trace.before, trace.start, trace.starts, trace.rounds, about)

    def _learn(self, begun: float) -> None:
        settings, learner = self.settings, self.learner
        if not self.history:
            self._check()
        if settings.targets == "ends" and self._outputs() <= SOFT:
            self.given.progress(0.0, "asking both models what they predict")
            self.soft = learner.probabilities(self.train.inputs, EVALUATED)
        saved = timed = time.perf_counter()
        stale = 0
        while self.done < self.steps:
            if settings.seconds is not None and self.done == CALIBRATION:
                now = time.perf_counter()
                per_step = (now - timed) / CALIBRATION
                self.steps = max(CALIBRATION + 1, self.done + int((settings.seconds - (now - begun)) / (1.1 * per_step)))
            self._step()
            now = time.perf_counter()
            if self.done % max(1, self.steps // settings.checks) == 0 or self.done == self.steps:
                stale = 0 if self._check() else stale + 1
                if stale >= settings.patience:
                    break
            if now - saved > SAVE_EVERY:
                saved, self.spent = now, now - begun
                self._save()

    def _step(self) -> None:
        generator = torch.Generator().manual_seed(self.given.seed * 1_000_003 + self.done)  # of this step alone
        rows = torch.randint(len(self.train), (self.batch,), generator=generator)
        lam = 0.5 + self.settings.spread * (2 * float(torch.rand((), generator=generator)) - 1)
        soft = None if self.soft is None else (self.soft[0][rows], self.soft[1][rows])
        share = min((self.done + 1) / WARM, 1.0) * (1 - self.done / self.steps)
        batch = Examples(self.train.inputs[rows], self.train.targets[rows])
        alone = self.learner.optimiser is None
        rows_move = alone or (self.done < ROWS_UNTIL * self.steps and self.done % ROWS_EVERY == 0)
        self.running.append(self.learner.step(batch, soft, lam, share, rows_move))
        self.done += 1
        words = f"step {self.done} of {self.steps}, loss {self.running[-1]:.3f} nats on the line"
        self.given.progress(self.done / self.steps, words)

    def _check(self) -> bool:
        """Measure the held-out loss in the middle; whether it is the best so far."""
        loss = self.learner.loss(self.held_out, EVALUATED)
        trained = sum(self.running) / len(self.running) if self.running else float("nan")
        self.running = []
        self.history.append([self.done, trained if trained == trained else loss, loss])
        if self.best and loss >= self.best["loss"]:
            return False
        self.best = {"loss": loss, "step": self.done, "learner": _copied(self.learner.state())}
        return True

    def _outputs(self) -> int:
        sizes = self.given.a.family.sizes(self.given.a.config)
        each = self.train.inputs.shape[1] * sizes["tokens"] if "tokens" in sizes else sizes.get("classes", 1)
        return 2 * each * len(self.train)

    def _save(self) -> None:
        path = self.given.checkpoint
        if path is None or not self.best:
            return
        state = {
            "fingerprint": self.fingerprint,
            "learner": self.learner.state(),
            **{name: getattr(self, name) for name in ("best", "done", "steps", "history", "running", "spent")},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        torch.save(state, draft)
        draft.replace(path)

    def _restore(self) -> None:
        path: Path | None = self.given.checkpoint
        if path is None or not path.is_file():
            return
        try:
            state: Mapping[str, Any] = torch.load(path, weights_only=True)
        except Exception:  # a file that cannot be read is one that is not there
            return
        if state.get("fingerprint") != self.fingerprint:
            return
        for name in ("best", "done", "steps", "history", "running", "spent"):
            setattr(self, name, state[name])
        self.learner.restore(state["learner"])


def _copied(value: Any) -> Any:
    """A copy of nested dicts and lists with their tensors."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value
