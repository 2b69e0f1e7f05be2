"""What the plain average of two models loses where an aligned line's barrier is: an alignment may
leave more than it found.

Independent weights cancel in an average, so that what it computes is faint and little confident.
Aligned weights do not, and where models agree in their coordinates but not in what they compute,
the average is confidently wrong and loses more.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.matching.common_form import common_form
from lmc_core.models.model import Model
from lmc_core.paths.curve import Curve
from lmc_core.paths.line import Line
from lmc_core.paths.path_losses import PathLosses
from lmc_core.progress import Progress
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import EXACT, Mode

NOTICED = 1e-3  # nats; less is no difference, however small its error


def choose_places(found: Curve) -> list[float]:
    """Where the plain average is measured: at the barrier of an aligned line, and in the middle."""
    return list(dict.fromkeys([found.barrier.lam, nearest_half(found.lam)]))


def nearest_half(lam: Tensor) -> float:
    """The point next to 1/2."""
    return float(lam[(lam - 0.5).abs().argmin()])


def plain_losses(
    models: tuple[Model, Model],
    lam: Sequence[float],
    examples: Examples,
    device: str,
    report: Progress,
    mode: Mode = EXACT,
) -> tuple[list[float], Tensor]:
    """Losses of the plain averages of two models, as the method ``none`` takes them.

    Args:
        models: as they were read.
        lam: weights of the second.
        examples: to measure on.
        device: where to run.
        report: called with the share done; may raise to stop.
        mode: how to run.

    Returns:
        The weights, and the loss of every example in nats, `[lam, examples]`.
    """
    line = Line(*common_form(*models))
    words = "measuring the plain average"
    measured = PathLosses(line, examples, device, mode)
    losses, _ = measured.measure(lam, lambda share: report(share, words))
    return list(lam), losses


def against_plain(found: Curve, plain: tuple[list[float], Tensor]) -> dict[str, object]:
    """Entries of the result that compare an aligned line with the plain averages of the same
    models.

    ``plain`` holds where they were measured, their losses, and how much more the aligned line loses
    at the first of these places, with the standard error over examples of that difference;
    ``above_plain`` says whether that is more than two of these errors.

    Args:
        found: the curve of the aligned line.
        plain: what `plain_losses` returned, at points of that curve.
    """
    lam, losses = plain
    row = int((found.lam - lam[0]).abs().argmin())
    more = found.losses[row].double() - losses[0].double()
    mean, error = float(more.mean()), float(stderr(more, found.groups))
    facts = {
        "lam": lam,
        "loss": losses.double().mean(1).tolist(),
        "more": mean,
        "more_stderr": error,
    }
    return {"plain": facts, "above_plain": mean > max(NOTICED, 2 * error)}
