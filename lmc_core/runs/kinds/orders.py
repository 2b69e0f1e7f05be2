"""What the experts of two mixtures cost each other, and the fan of curves of their orders: the
request, its numbers, and how they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TypedDict, cast

import torch
from torch import Tensor

from lmc_core.analysis.expert_orders import require_mixture
from lmc_core.analysis.fans import Fan, Orders, fans
from lmc_core.analysis.routing import routing
from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.limits import require_counts
from lmc_core.matching.common_form import common_form
from lmc_core.matching.methods import METHODS
from lmc_core.paths.barrier import barrier
from lmc_core.paths.curve import measure
from lmc_core.paths.line import Line
from lmc_core.progress import Part, Progress, ignore, part
from lmc_core.runs.cache import aligned_pair
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.inputs import (
    describe_request,
    describe_size,
    make_group_array,
    make_stamp,
    open_inputs,
    read_groups,
    read_tensor,
)
from lmc_core.runs.kinds import CurveSummary, RoutingNumbers
from lmc_core.runs.kinds.curve_facts import above_means
from lmc_core.runs.request import RequestJson
from lmc_core.runs.requests.orders import FanNumbers, MixtureNumbers, OrdersNumbers, OrdersRequest
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks import Examples

ROUTED = 16  # examples whose tokens are followed through the routers
ROUTED_POINTS = 11
START = {"align": 0.0, "plain": 0.1, "fans": 0.12, "routing": 0.9}  # shares of the progress


def compute(
    request: OrdersRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[OrdersNumbers, Arrays]:
    """Compute the fans of a request.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align also what was aligned before.

    Returns:
        The numbers, and for each fan the array ``losses.<mixture>`` (nats,
        `[orders, points, examples]`).

    Raises:
        BadInput: for networks without experts, methods that order no experts, an even number of
            points, or models that are no longer those of the request.
    """
    _require(request)
    progress(0.0, "loading the models")
    models, task, examples = open_inputs(request)
    require_mixture(models[0])
    device = request.device
    aligning = part(progress, START["align"], START["plain"])
    pair = aligned_pair(request, (models[0], models[1]), examples, task, aligning, refresh)
    lam = torch.linspace(0, 1, request.points, dtype=torch.float64)
    tell = part(progress, START["plain"], START["fans"], "measuring the plain average")
    plain = measure(Line(*common_form(*models)), lam, examples, device, tell)
    progress(START["fans"], "comparing the experts pair by pair")
    classes = choose_classes(pair.a.layout.spaces, dict(request.classes))
    begin = perf_counter()
    # which orders experts and units by other means than those of this page
    own = request.method != "weight"
    orders = Orders(pair.a, pair.b, pair.alignment, classes, own)
    compared = perf_counter() - begin
    matched = measure(Line(pair.a, pair.b), lam, examples, device) if own else None
    tell = part(progress, START["fans"], START["routing"], "measuring the loss of every order")
    found = fans(orders, examples, lam, request.draws, request.seed, device, tell)
    measured = perf_counter() - begin - compared
    groups, ends = examples.groups, (plain.mean[0], plain.mean[-1])
    numbers: OrdersNumbers = {
        **describe_request(request, task, len(examples)),
        **describe_size(models),
        "function_error": pair.function_error,
        "lam": lam.tolist(),
        "chord": [float((1 - x) * ends[0] + x * ends[1]) for x in lam],
        "plain": summarize_curve(lam, plain.losses, groups),
        "matched": None if matched is None else summarize_curve(lam, matched.losses, groups),
        "mixtures": _mixtures(orders),
        "fans": [_listed(fan, lam, groups) for fan in found],
        "routing": _follow_routes(orders, examples, device, part(progress, START["routing"], 1.0)),
        "seconds": {"align": pair.seconds, "compare": compared, "evaluate": measured},
        **make_stamp(),
    }
    return numbers, {
        **{f"losses.{fan.mixture}": fan.losses.numpy() for fan in found},
        **make_group_array(examples),
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


def summarize_curve(lam: Tensor, losses: Tensor, groups: Tensor | None = None) -> CurveSummary:
    """A curve as plain JSON values: mean loss, its standard error, and the barrier."""
    rows = losses.double()
    top = barrier(lam, losses, groups)
    return {
        "loss": rows.mean(1).tolist(),
        "loss_stderr": stderr(rows, groups).tolist(),
        "barrier": top.value,
        "barrier_stderr": top.stderr,
        "barrier_lam": top.lam,
    }


class _Curves(TypedDict):
    loss: list[list[float]]
    loss_stderr: list[list[float]]
    barrier: list[float]
    barrier_stderr: list[float]
    barrier_lam: list[float]


def _summarize_curves(lam: Tensor, losses: Tensor, groups: Tensor | None) -> _Curves:
    curves = [summarize_curve(lam, each, groups) for each in losses]
    return {
        "loss": [curve["loss"] for curve in curves],
        "loss_stderr": [curve["loss_stderr"] for curve in curves],
        "barrier": [curve["barrier"] for curve in curves],
        "barrier_stderr": [curve["barrier_stderr"] for curve in curves],
        "barrier_lam": [curve["barrier_lam"] for curve in curves],
    }


def _listed(fan: Fan, lam: Tensor, groups: Tensor | None) -> FanNumbers:
    return {
        "mixture": fan.mixture,
        "orders": fan.orders.tolist(),
        "named": dict(fan.named),
        "there": fan.there,
        **_summarize_curves(lam, fan.losses, groups),
    }


def _mixtures(orders: Orders) -> list[MixtureNumbers]:
    """Costs and orders of every mixture, with the number of its groups."""
    found: list[MixtureNumbers] = []
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


def _follow_routes(
    orders: Orders, examples: Examples, device: str, progress: Part
) -> dict[str, RoutingNumbers | int]:
    """Load and agreement along the line for all mixtures in one way; ways of equal orders share one
    entry's numbers.
    """
    few = examples.first(ROUTED)
    words = "following the routers' choices"
    lines: dict[str, Line] = {way: orders.line(orders.chosen(way)) for way in orders.ways}
    known: list[tuple[Mapping[str, Tensor], RoutingNumbers]] = []
    result: dict[str, RoutingNumbers | int] = {"examples": len(few)}
    for number, (way, line) in enumerate(lines.items()):
        chosen = orders.chosen(way)
        tell = progress.part(number / len(lines), (number + 1) / len(lines), words)
        same = (found for other, found in known if _equal(chosen, other))
        if (found := next(same, None)) is None:
            followed = routing(line, few, ROUTED_POINTS, device, tell)
            found = cast(RoutingNumbers, followed.listed())
            known.append((chosen, found))
        result[way] = found
        tell(1.0)
    return result


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two choices of orders are the same."""
    return all(bool((one[name] == other[name]).all()) for name in one)


def summarize(request: RequestJson, numbers: OrdersNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the losses; see `runs.computation.summarize`."""
    lam = torch.linspace(0, 1, int(request["points"]), dtype=torch.float64)
    points = lam.tolist()

    def fan(said: FanNumbers) -> FanNumbers:
        losses = read_tensor(arrays, f"losses.{said['mixture']}", 3)
        if len(losses) != len(said["orders"]):
            raise ValueError("as many orders as curves are needed")
        found: FanNumbers = {**said, **_summarize_curves(lam, losses, read_groups(arrays))}
        if said["mixture"] != "all":  # where the best of all was put together from the best of each
            top = torch.tensor(found["barrier"])
            best, worst = int(top.argmin()), int(top.argmax())
            found["named"] = {**said["named"], "best": best, "worst": worst}
        return found

    def alone(curve: CurveSummary | None) -> dict[str, object] | None:
        if curve is None:
            return None
        found = above_means(points, curve["loss"])
        return {**curve, "barrier": found["barrier"], "barrier_lam": found["barrier_lam"]}

    ends = numbers["plain"]["loss"][0], numbers["plain"]["loss"][-1]
    # which earlier versions had not
    matched = {"matched": alone(numbers["matched"])} if "matched" in numbers else {}
    return matched | {
        "lam": points,
        "chord": [(1 - x) * ends[0] + x * ends[1] for x in points],
        "plain": alone(numbers["plain"]),
        "fans": [fan(each) for each in numbers["fans"]],
    }
