"""The orders of experts: its request, its numbers, and its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation
from lmc_core.runs.kinds import CurveSummary, ModelsNumbers, RoutingNumbers, Seconds
from lmc_core.runs.request import PairRequest

POINTS = (5, 7, 9, 13, 25)  # that the app offers; odd, so that the middle is one of them


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

    @property
    def numbers(self) -> type[OrdersNumbers]:
        """The type of its results."""
        return OrdersNumbers

    points: int = 7
    draws: int = 24
    what: str = "orders"


COMPUTATION = Computation(
    "orders",
    OrdersRequest,
    import_later("lmc_core.runs.kinds.orders:compute"),
    passes=lambda request, workload: 2 + request.points + workload.orders * (request.points - 2),
    summarize=import_later("lmc_core.runs.kinds.orders:summarize"),
)
