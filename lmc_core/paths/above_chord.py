"""The entries of a result that say how far a curve lies from its chord, with intervals that hold.

``NAME``, ``NAME_stderr``        mean at every point, with its own standard error
``NAME_low``, ``NAME_high``      the band that holds the whole curve with 95 % confidence
                                 (`lmc_core.intervals.band`)
``NAME_factor``                  half its width in standard errors
``midpoint_NAME``, ``..._stderr``  half way, a place that nobody chose by its value

Where the name is ``excess`` these are nats of the loss above the chord, where it is ``drop`` shares
of the score below it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.band import band
from lmc_core.intervals.crossfit import crossfit
from lmc_core.paths.barrier import barrier, excess, place
from lmc_core.paths.curve import Curve

SINGLE = 1e-6  # relative error of a loss that single precision leaves, after some layers


def above_chord(
    lam: Tensor, above: Tensor, groups: Tensor | None, rounding: float, name: str = "excess"
) -> dict[str, object]:
    """Mean, errors, band and midpoint of what lies above a chord, and ``at_zero`` (of a drop
    ``drop_at_zero``).

    At zero means that the band contains zero everywhere: nothing seen at any point contradicts a
    curve that is its chord.

    Args:
        lam: the points, `[points]`.
        above: of each example, `[points, examples]`, at least two examples.
        groups: which examples belong together, `[examples]`; None for none.
        rounding: differences up to which are what arithmetic leaves.
        name: of the entries.
    """
    found = band(above, groups, rounding)
    middle = int((lam - 0.5).abs().argmin())
    return {
        name: found.mean.tolist(),
        f"{name}_stderr": found.stderr.tolist(),
        f"{name}_low": found.low.tolist(),
        f"{name}_high": found.high.tolist(),
        f"{name}_factor": found.factor if found.factor == found.factor else None,
        "at_zero" if name == "excess" else f"{name}_at_zero": found.at_zero,
        f"midpoint_{name}": float(found.mean[middle]),
        f"midpoint_{name}_stderr": float(found.stderr[middle]),
    }


def crossfitted(
    above: Tensor, groups: Tensor | None, choose: Callable[[Tensor], Tensor], name: str
) -> dict[str, object]:
    """The value at the maximum without the bias of having looked for it: ``NAME_crossfit``,
    ``NAME_crossfit_stderr``.

    Both are None for fewer than four examples, or groups of them, and for numbers that are not
    finite.

    Args:
        above: of each example, `[points, examples]`.
        groups: which examples belong together, `[examples]`; None for none.
        choose: means at every point `[..., points]` -> places `[...]`.
        name: of the entries.
    """
    value, error = None, None
    if bool(above.isfinite().all()):
        with suppress(BadInput):
            value, error = crossfit(above, choose, groups)
    return {f"{name}_crossfit": value, f"{name}_crossfit_stderr": error}


def drop_facts(found: Curve) -> dict[str, object]:
    """How far the accuracy lies below the chord of the ends: ``drop`` and the like, and
    ``largest_drop`` with its place.

    Args:
        found: the curve of an image task.
    """
    wrong = 1 - found.correct.double()
    top, below = barrier(found.lam, wrong, found.groups), excess(found.lam, wrong)
    return {
        **above_chord(found.lam, below, found.groups, 1e-12, "drop"),
        "largest_drop": top.value,
        "largest_drop_stderr": top.stderr,
        "largest_drop_lam": top.lam,
        **crossfitted(below, found.groups, place, "drop"),
    }
