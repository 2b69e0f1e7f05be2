"""Compute an `OrdersRequest`: what the experts of two mixtures cost each other, and the fan of
curves of their orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from lmc_core.errors import BadInput
from lmc_core.limits import require_counts
from lmc_core.matching.methods import METHODS
from lmc_core.runs.kinds import CurveSummary, ModelsNumbers, RoutingNumbers, Seconds
from lmc_core.runs.request import PairRequest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lmc_core.analysis.fans import Fan, Orders
    from lmc_core.paths.line import Line
    from lmc_core.tasks import Examples

Report = Callable[[float, str], None]
POINTS = (5, 7, 9, 13, 25)  # that the app offers; odd, so that the middle is one of them
ROUTED = 16  # examples whose tokens are followed through the routers
ROUTED_POINTS = 11
START = {"align": 0.0, "plain": 0.1, "fans": 0.12, "routing": 0.9}  # shares of the progress


class MixtureNumbers(TypedDict):
    """The experts of one mixture: costs of every pair and orders, by the way they were found."""

    name: str
    layer: int
    groups: int
    costs: dict[str, list[list[float]]]
    orders: dict[str, list[int]]


class FanNumbers(TypedDict):
    """The curves of all orders of one mixture that were tried, or of all at once; lists are over
    orders.
    """

    mixture: str
    orders: list[list[list[int]]]
    named: dict[str, int]  # way -> which of the orders
    there: int  # orders that there are
    loss: list[list[float]]
    loss_stderr: list[list[float]]
    barrier: list[float]
    barrier_stderr: list[float]
    barrier_lam: list[float]


class OrdersNumbers(ModelsNumbers):
    """The numbers of an `OrdersRequest`."""

    function_error: float
    lam: list[float]
    chord: list[float]
    plain: CurveSummary
    matched: NotRequired[CurveSummary | None]
    mixtures: list[MixtureNumbers]
    fans: list[FanNumbers]
    routing: dict[str, RoutingNumbers | int]  # by way; "examples" says how many were followed
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class OrdersRequest(PairRequest):
    """The loss along the line for the orders of the experts, the rest of an alignment by weights or
    activations held.

    Attributes:
        points: of the uniform grid on [0, 1]; odd, so that the middle is one of them.
        draws: orders drawn at random where not all can be tried.
    """

    points: int = 7
    draws: int = 24
    what: str = "orders"


def compute(
    request: OrdersRequest, report: Report = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute the fans of a request.

    Args:
        request: what to do.
        report: called with the share done and a few words; may raise `Cancelled`.

    Returns:
        The result as plain JSON values, and for each fan the array ``losses.<mixture>`` (nats,
        `[orders, points, examples]`).

    Raises:
        BadInput: for networks without experts, methods that order no experts, an even number of
            points, or models that are no longer those of the request.
    """
    import torch

    from lmc_core.analysis.fans import Orders, fans
    from lmc_core.matching.common_form import common_form
    from lmc_core.paths.curve import measure
    from lmc_core.paths.line import Line
    from lmc_core.runs.aligned import aligned_pair
    from lmc_core.runs.opened import asked, grouped, opened, size_of, stamped
    from lmc_core.symmetry.spaces import choose_classes

    _require(request)
    report(0.0, "loading the models")
    models, task, examples = opened(request)
    if not any(space.kind == "experts" for space in models[0].layout.spaces.values()):
        raise BadInput(
            f"{models[0].name} has no experts, so there are no orders to try; choose a mixture of "
            "experts."
        )
    pair = aligned_pair(
        request,
        (models[0], models[1]),
        examples,
        task,
        _within(report, START["align"], START["plain"], ""),
    )
    lam = torch.linspace(0, 1, request.points, dtype=torch.float64)
    tell = _within(report, START["plain"], START["fans"], "measuring the plain average")
    plain = measure(
        Line(*common_form(*models)), lam, examples, request.device, lambda share: tell(share, "")
    )
    report(START["fans"], "comparing the experts pair by pair")
    classes = choose_classes(pair.a.layout.spaces, dict(request.classes))
    begin = perf_counter()
    # which orders experts and units by other means than those of this page
    own = request.method != "weight"
    orders = Orders(pair.a, pair.b, pair.alignment, classes, own)
    compared = perf_counter() - begin
    tell = _within(report, START["fans"], START["routing"], "measuring the loss of every order")
    matched = measure(Line(pair.a, pair.b), lam, examples, request.device) if own else None
    found = fans(
        orders,
        examples,
        lam,
        request.draws,
        request.seed,
        request.device,
        lambda share: tell(share, ""),
    )
    measured = perf_counter() - begin - compared
    ends = plain.mean[0], plain.mean[-1]
    result = {
        **asked(request, task, len(examples)),
        **size_of(models),
        "function_error": pair.function_error,
        "lam": lam.tolist(),
        "chord": [float((1 - x) * ends[0] + x * ends[1]) for x in lam],
        "plain": curve_of(lam, plain.losses, examples.groups),
        "matched": None if matched is None else curve_of(lam, matched.losses, examples.groups),
        "mixtures": _mixtures(orders),
        "fans": [_listed(fan, lam, examples.groups) for fan in found],
        "routing": _followed(
            orders, examples, request.device, _within(report, START["routing"], 1.0, "")
        ),
        "seconds": {"align": pair.seconds, "compare": compared, "evaluate": measured},
        **stamped(),
    }
    return result, {
        **{f"losses.{fan.mixture}": fan.losses.numpy() for fan in found},
        **grouped(examples),
    }


def _require(request: OrdersRequest) -> None:
    if not METHODS[request.method].orders_experts:
        raise BadInput(
            "Orders of experts are compared within weight or activation matching. What is learned "
            "holds for one order alone, "
            f"and soft matching ends as weight matching; {request.method!r} came."
        )
    require_counts(points=request.points, draws=request.draws)
    if request.points < 3 or request.points % 2 == 0:
        raise BadInput(f"The number of points should be odd and at least 3; {request.points} came.")
    if request.draws < 1:
        raise BadInput(f"At least 1 order should be drawn; {request.draws} came.")


def _within(report: Report, low: float, high: float, said: str) -> Report:
    """The same report for a part of the work; `said` in the place of what is said there, if
    anything.
    """
    return lambda share, words: report(low + (high - low) * share, said or words)


def curve_of(lam: Tensor, losses: Tensor, groups: Tensor | None = None) -> dict[str, Any]:
    """A curve as plain JSON values: mean loss, its standard error, and the barrier."""
    from lmc_core.intervals.errors import stderr
    from lmc_core.paths.barrier import barrier

    rows = losses.double()
    top = barrier(lam, losses, groups)
    return {
        "loss": rows.mean(1).tolist(),
        "loss_stderr": stderr(rows, groups).tolist(),
        "barrier": top.value,
        "barrier_stderr": top.stderr,
        "barrier_lam": top.lam,
    }


def _listed(fan: Fan, lam: Tensor, groups: Tensor | None) -> dict[str, Any]:
    curves = [curve_of(lam, losses, groups) for losses in fan.losses]
    return {
        "mixture": fan.mixture,
        "orders": fan.orders.tolist(),
        "named": dict(fan.named),
        "there": fan.there,
        **{name: [curve[name] for curve in curves] for name in curves[0]},
    }


def _mixtures(orders: Orders) -> list[dict[str, Any]]:
    """Costs and orders of every mixture, with the number of its groups."""
    found = []
    for number, (root, costs) in enumerate(orders.costs.items()):
        space = orders.layout.spaces[root]
        found.append(
            {
                "name": root,
                "layer": number,
                "groups": 1 if space.kind == "experts" else space.size,
                "costs": {way: cost.tolist() for way, cost in costs.costs.items()},
                "orders": {way: order.tolist() for way, order in costs.orders.items()},
            }
        )
    return found


def _followed(orders: Orders, examples: Examples, device: str, report: Report) -> dict[str, Any]:
    """Load and agreement along the line for all mixtures in one way; ways of equal orders share one
    entry's numbers.
    """
    from lmc_core.analysis.routing import routing

    few = examples.first(ROUTED)
    lines: dict[str, Line] = {way: orders.line(orders.chosen(way)) for way in orders.ways}
    known: list[tuple[Mapping[str, Tensor], dict[str, Any]]] = []
    result: dict[str, Any] = {"examples": len(few)}
    for number, (way, line) in enumerate(lines.items()):
        chosen = orders.chosen(way)
        same = next(
            (
                found
                for other, found in known
                if all(bool((chosen[k] == other[k]).all()) for k in chosen)
            ),
            None,
        )
        if same is None:

            def tell(share: float, number: int = number) -> None:
                report((number + share) / len(lines), "following the routers' choices")

            same = routing(line, few, ROUTED_POINTS, device, tell).listed()
            known.append((chosen, same))
        result[way] = same
        report((number + 1) / len(lines), "following the routers' choices")
    return result
