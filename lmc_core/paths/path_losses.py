"""Losses of examples at points of a path, however the models at its ends are held.

Where they are held, each point's parameters are written into one module (`tasks.evaluator`). A line
between lazily read models is measured part by part, all points at once (`tasks.streamed_losses`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from torch import Tensor

from lmc_core.models.lazy import is_lazy
from lmc_core.paths.line import Line, ModelPath
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import EXACT, Evaluator, Mode, States
from lmc_core.tasks.streamed_losses import StreamedLosses


class PathLosses:
    """Measures points of a path on some examples.

    Args:
        path: between two models.
        examples: what to measure on.
        device: where to run.
        mode: how to run; other modes than the usual hold a mixture of lazily read models.
    """

    def __init__(
        self, path: ModelPath, examples: Examples, device: str = "cpu", mode: Mode = EXACT
    ) -> None:
        self.path, self._streamed, self._evaluator = path.on(device), None, None
        if is_streamed(self.path, mode):
            self._streamed = StreamedLosses((self.path.a, self.path.b), examples)
        else:
            self._evaluator = Evaluator(self.path.a, examples, device, mode)

    @property
    def together(self) -> int | None:
        """Pairs of a point and an example that cost little more at once than one of them alone;
        None where each costs as much as any other.
        """
        return None if self._streamed is None else self._streamed.together

    def on(self, examples: Examples) -> PathLosses:
        """The same on other examples."""
        other = copy.copy(self)
        if self._streamed is not None:
            other._streamed = StreamedLosses(self._streamed.models, examples)
        if self._evaluator is not None:
            other._evaluator = self._evaluator.on(examples)
        return other

    def measure(
        self,
        lam: Sequence[float],
        progress: Callable[[float], None] = lambda share: None,
        temperatures: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Loss in nats and share correct of every example at every point, float32
        `[points, examples]`.

        Args:
            lam: the points.
            progress: called with the share done; may raise to stop.
            temperatures: what logits are divided by at each point, `[points]`; 1 by default.
        """
        if self._streamed is not None:
            return self._streamed.losses([(1 - t, t) for t in lam], progress, temperatures)
        assert self._evaluator is not None
        return self._evaluator.losses(States(self.path.state, lam), progress, temperatures)


def is_streamed(path: ModelPath, mode: Mode = EXACT) -> bool:
    """Whether a path is measured part by part: a line between two lazily read models."""
    lazy = is_lazy(path.a.state) and is_lazy(path.b.state)
    return isinstance(path, Line) and lazy and mode == EXACT
