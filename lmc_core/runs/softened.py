"""What a barrier's result says of a line to a soft end, which is another function than B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from lmc_core.matching.aligned import AlignedPair
    from lmc_core.paths.curve import Curve
    from lmc_core.tasks import Examples


def own_losses(pair: AlignedPair | None, examples: Examples, device: str) -> Tensor | None:
    """What B itself loses on every example, `[examples]`; None for a line that leads to B itself.

    Args:
        pair: that was aligned, if any.
        examples: that the curve is measured on.
        device: where to measure.
    """
    if pair is None or pair.soft is None:
        return None
    from lmc_core.paths.curve import evaluate

    return evaluate(pair.b, [pair.b.state], examples, device)[0][0]


def soft_facts(pair: AlignedPair | None, found: Curve, own: Tensor | None) -> dict[str, Any]:
    """Entries of the result that differ for a line to a soft end; empty for one to B itself.

    Chord, excess and barrier are measured against what B itself loses, and the function error is
    that of the soft end.

    Args:
        pair: that was aligned, if any.
        found: the curve to the soft end.
        own: what B itself loses, see `own_losses`.
    """
    if pair is None or pair.soft is None or own is None:
        return {}
    about = pair.trace.about["soft"]
    return {
        "soft": {
            **{name: about[name] for name in ("temperature", "entropy", "sharp", "softened")},
            "loss": float(found.mean[-1]),
            "loss_of_b": float(own.double().mean()),
            "function_error": pair.soft.function_error,
            "hard_function_error": pair.function_error,
        },
        "function_error": pair.soft.function_error,
        **soft_curve_facts(found, own),
    }


def soft_curve_facts(found: Curve, own: Tensor) -> dict[str, Any]:
    """Chord, excess and barrier of a curve to a soft end; for the arguments see `soft_facts`."""
    from lmc_core.paths.above_chord import SINGLE, above_chord, crossfitted
    from lmc_core.paths.soft_end import against_true_ends, place_to_soft_end

    ends = against_true_ends(found, own)
    above = ends.excess
    return {
        "chord": ends.chord.tolist(),
        **above_chord(found.lam, above, found.groups, SINGLE * float(found.mean.abs().max())),
        "barrier": ends.barrier.value,
        "barrier_stderr": ends.barrier.stderr,
        "barrier_lam": ends.barrier.lam,
        **crossfitted(above, found.groups, place_to_soft_end, "barrier"),
    }
