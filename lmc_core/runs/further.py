"""What a barrier's result holds beside the curve: its best temperatures, and where a mixture's
tokens go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmc_core.paths.curve import Curve
    from lmc_core.paths.line import Line, ModelPath
    from lmc_core.progress import Progress
    from lmc_core.tasks import Examples

ROUTED = 64  # examples whose tokens are followed through the routers
ROUTED_POINTS = 11


def at_best_temperature(
    path: ModelPath,
    found: Curve,
    train: Examples,
    examples: Examples,
    device: str,
    report: Progress,
) -> dict[str, Any]:
    """The curve once more, with a softmax temperature fitted on training examples at each of its
    points.

    Returns:
        The temperatures, and loss, excess and barrier of the curve with them, as plain JSON values.
    """
    from lmc_core.analysis.temperature import tempered
    from lmc_core.paths.barrier import excess

    fitted, curve = tempered(
        path,
        found.lam,
        train,
        examples,
        device,
        lambda share: report(share, "fitting a temperature at every point"),
    )
    top, above = curve.barrier, excess(curve.lam, curve.losses)
    return {
        "temperatures": fitted.tolist(),
        "loss": curve.mean.tolist(),
        "excess": above.mean(1).tolist(),
        "barrier": top.value,
        "barrier_stderr": top.stderr,
        "barrier_lam": top.lam,
        "examples": len(train),
    }


def routes(line: Line, examples: Examples, device: str, report: Progress) -> dict[str, Any] | None:
    """Routing agreement and load of the experts along the line; None for a network without
    experts.
    """
    from lmc_core.analysis.routing import routing

    if not any(space.kind == "experts" for space in line.a.layout.spaces.values()):
        return None
    few = examples.first(ROUTED)
    followed = routing(
        line,
        few,
        ROUTED_POINTS,
        device,
        lambda share: report(share, "following the routers' choices"),
    )
    return {**followed.listed(), "examples": len(few)}
