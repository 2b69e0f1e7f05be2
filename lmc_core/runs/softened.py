"""What a barrier's result says of a line to a soft end, which is another function than B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmc_core.matching.pair import AlignedPair
    from lmc_core.paths.curve import Curve
    from lmc_core.tasks import Examples


def soft_facts(pair: AlignedPair | None, found: Curve, examples: Examples, device: str) -> dict[str, Any]:
    """Entries of the result that differ for a line to a soft end; empty for one to B itself.

    Chord, excess and barrier are measured against what B itself loses, and the function error is that of the soft end.

    Args:
        pair: that was aligned, if any.
        found: the curve to the soft end.
        examples: it was measured on.
        device: where to measure B itself.
    """
    if pair is None or pair.soft is None:
        return {}
    from lmc_core.paths.curve import evaluate
    from lmc_core.paths.soft import against_true_ends, place_to_soft_end
    from lmc_core.runs.above_chord import SINGLE, above_chord, crossfitted

    own, _ = evaluate(pair.b, [pair.b.state], examples, device)
    ends = against_true_ends(found, own[0])
    above = ends.excess
    about = pair.trace.about["soft"]
    return {
        "soft": {
            **{name: about[name] for name in ("temperature", "entropy", "sharp", "softened")},
            "loss": float(found.mean[-1]),
            "loss_of_b": ends.own,
            "function_error": pair.soft.function_error,
            "hard_function_error": pair.function_error,
        },
        "function_error": pair.soft.function_error,
        "chord": ends.chord.tolist(),
        **above_chord(found.lam, above, found.groups, SINGLE * float(found.mean.abs().max())),
        "barrier": ends.barrier.value,
        "barrier_stderr": ends.barrier.stderr,
        "barrier_lam": ends.barrier.lam,
        **crossfitted(above, found.groups, place_to_soft_end, "barrier"),
    }
