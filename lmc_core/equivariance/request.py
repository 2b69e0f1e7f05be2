"""From what a person asks for to a checked `EquivarianceRequest`."""

from __future__ import annotations

from lmc_core.equivariance.data import KINDS, MOST, domain_of
from lmc_core.equivariance.forms import make_form
from lmc_core.equivariance.groups import group as group_of
from lmc_core.equivariance.networks import Network, build, find_network
from lmc_core.equivariance.numbers import EquivarianceRequest
from lmc_core.equivariance.training import Schedule
from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts
from lmc_core.runs.inputs import find_device


def make_equivariance_request(
    *,
    source: str = "digits",
    kind: str = "orbit",
    group: str = "C4",
    network: str = "perceptron",
    form: str = "equality",
    primal_rate: float = 0.02,
    dual_rate: float = 0.02,
    augmented: float = 2.0,
    price: float = 0.1,
    steps: int | None = None,
    rate: float | None = None,
    decay: float | None = None,
    batch: int | None = None,
    examples: int = 400,
    split: str = "validation",
    seed: int = 0,
    device: str | None = None,
) -> EquivarianceRequest:
    """Turn what a person asked for into a request, after checking everything that is cheap to
    check.

    Args are those of `EquivarianceRequest`; settings that a form has no use for are left out of its
    key, and what is None is the network's own (`equivariance.networks.NETWORKS`). The device is
    ``cpu`` unless another is asked for: on networks this small one core is busy with arithmetic, a
    graphics card with waiting.

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    if kind not in KINDS:
        raise UnknownName.of("kind of data", kind, KINDS)
    if split not in ("validation", "test"):
        raise BadInput(f"Losses are measured on the validation or the test split; {split!r} came.")
    own = find_network(network)
    make_form(form, primal_rate, dual_rate, augmented, price)
    _require_data(source, group, network, examples)
    schedule = _make_schedule(own, steps, rate, decay, batch, seed)
    moves = form in ("equality", "resilient")
    return EquivarianceRequest(
        source=source,
        kind=kind,
        group=group,
        network=network,
        form=form,
        primal_rate=float(primal_rate) if moves else 0.0,
        dual_rate=float(dual_rate) if moves else 0.0,
        augmented=float(augmented) if form == "equality" else 0.0,
        price=float(price) if form == "resilient" else 0.0,
        steps=schedule.steps,
        rate=float(schedule.rate),
        decay=float(schedule.decay),
        batch=schedule.batch,
        examples=examples,
        split=split,
        seed=seed,
        device=find_device(device or "cpu"),
    )


def _require_data(source: str, group: str, network: str, examples: int) -> None:
    """Refuse data that the group cannot act on or the network cannot read, and too many of them."""
    build(network, domain_of(source, group_of(group)), 0)
    require_counts(examples=examples)
    if not 10 <= examples <= MOST[source]:
        raise BadInput(
            f"10 to {MOST[source]:,} training examples of {source} are expected; {examples:,} came."
        )


def _make_schedule(
    own: Network,
    steps: int | None,
    rate: float | None,
    decay: float | None,
    batch: int | None,
    seed: int,
) -> Schedule:
    """Return what was asked for, and for what is None the network's own."""
    return Schedule(
        own.steps if steps is None else steps,
        own.rate if rate is None else rate,
        own.decay if decay is None else decay,
        own.batch if batch is None else batch,
        seed,
    )
