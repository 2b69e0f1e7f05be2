"""A training towards equivariance: its request, its numbers, and its record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NotRequired, Self, TypedDict, cast

from lmc_core.equivariance.groups import group as group_of
from lmc_core.equivariance.networks import find_network
from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation
from lmc_core.runs.kinds import Seconds, Stamp
from lmc_core.runs.request import hash_json

ALGORITHM = 1  # raised whenever the same request would give other numbers


class GroupScore(TypedDict):
    """What a network does on one split."""

    loss: float
    stderr: float
    accuracy: float


class CopyCurve(TypedDict):
    """The loss on the line from a network to a moved copy of it."""

    loss: list[float]
    stderr: list[float]
    barrier: float
    barrier_stderr: float


class Agreement(TypedDict):
    """How well an alignment agrees with the action of a group element, as a share of the units."""

    first: float
    second: float


class CopiesNumbers(TypedDict):
    """Lines from a network to a moved copy, and merges of all copies; see
    `equivariance.copies.measure_copies`.
    """

    element: str
    lam: list[float]
    curves: dict[str, CopyCurve]  # by way to align
    merges: dict[str, GroupScore]
    group_is_projection: float
    agree: Agreement
    agree_activation: NotRequired[Agreement]
    function_error: float


class EquivarianceFacts(TypedDict):
    """What is known of a network before it is trained, with the settings of the request."""

    source: str
    kind: str
    group: str
    network: str
    form: str
    primal_rate: float
    dual_rate: float
    augmented: float
    price: float
    steps: int
    rate: float
    decay: float
    batch: int
    examples: int
    split: str
    seed: int
    device: str
    algorithm: int
    what: str
    models: list[str]
    network_label: str
    form_label: str
    source_label: str
    kind_label: str
    group_labels: list[str]
    group_sentence: str
    acts: str
    task: str
    unit: str
    method: str
    classes: dict[str, str]
    layers: list[str]
    dimensions: list[list[int]]  # of each layer those of equivariant weights, and of all
    parameters: int
    trained_on: int
    held_out: int
    step: NotRequired[int]  # of a run that is not done


class _TraceEnd(TypedDict):
    """The end of the record, with the free branch ``on`` and ``off``; lists are over layers."""

    train_on: GroupScore
    train_off: GroupScore
    on: GroupScore
    off: GroupScore
    error_on: float  # of equivariance
    error_off: float
    gamma: list[float]
    multiplier: list[float]
    slack: list[float]
    gauge: list[float]
    asymmetry: list[float]


class _End(_TraceEnd):
    """What is measured once the training is over."""

    plane_layers: list[int]
    plane_examples: int
    function_error: float
    copies: NotRequired[CopiesNumbers]


class EquivarianceNumbers(EquivarianceFacts, _End, Stamp):
    """The numbers of an `EquivarianceRequest`."""

    key: str
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class EquivarianceRequest:
    """One network trained towards equivariance.

    Attributes:
        source: of the data, a key of `equivariance.data.SOURCES`.
        kind: of the data, a key of `equivariance.data.KINDS`.
        group: a key of `equivariance.groups.GROUPS`.
        network: a key of `equivariance.networks.NETWORKS`.
        form: of the constraint, a key of `equivariance.forms.FORMS`.
        primal_rate: eta_p; 0 for forms that keep gamma.
        dual_rate: eta_d; likewise.
        augmented: c of the equality form, else 0.
        price: rho of the resilient form, else 0.
        steps: of training.
        rate: learning rate of the weights.
        decay: of the weights.
        batch: examples a step; 0 for all.
        examples: to train on, before they are moved.
        split: that losses are measured on.
        seed: of the draw of the data, the start of the weights, and the order of batches.
        device: kind of device.
        algorithm: version of the computation.
        what: which computation.
    """

    @property
    def numbers(self) -> type[EquivarianceNumbers]:
        """The type of its results."""
        return EquivarianceNumbers

    source: str = "digits"
    kind: str = "orbit"
    group: str = "C4"
    network: str = "perceptron"
    form: str = "equality"
    primal_rate: float = 0.0
    dual_rate: float = 0.0
    augmented: float = 0.0
    price: float = 0.0
    steps: int = 600
    rate: float = 0.01
    decay: float = 1.0
    batch: int = 0
    examples: int = 400
    split: str = "validation"
    seed: int = 0
    device: str = "cpu"
    algorithm: int = ALGORITHM
    what: str = "equivariance"

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Self:
        """The inverse of `to_json`."""
        return cls(**cast("dict", content))

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @property
    def key(self) -> str:
        """64 hexadecimal digits that name the result."""
        return hash_json(self.to_json())

    @property
    def model_names(self) -> tuple[str, ...]:
        """What the result calls its network.

        Raises:
            UnknownName: there is no such network or group.
        """
        label = find_network(self.network).label
        return (f"{label}, {group_of(self.group).name} on {self.source} ({self.kind})",)


COMPUTATION = Computation(
    "equivariance",
    EquivarianceRequest,
    import_later("lmc_core.equivariance.run:compute"),
    summarize=import_later("lmc_core.equivariance.run:summarize"),
)
