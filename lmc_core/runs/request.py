"""What is asked for, as a frozen value; equal requests have equal keys and are one computation.

The key is the SHA-256 of the request's canonical JSON (sorted keys, no spaces). It holds everything
the numbers depend on: the models and a person's own data by digest, the task, the classes, the
method with its settings, and the version of the algorithm; references to models and files are only
for finding them and are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Protocol, Self, TypedDict, cast

from lmc_core.models.handover import HANDOVER, Loaded

ALGORITHM = 2  # raised whenever the same request would give other numbers
# fields that came later: left out where they are not set, so that the keys of other requests stay
LATER = (
    *("stderr", "compiled", "bend", "bend_seconds", "reroute"),
    *("through", "through_digests"),
)
LEARNING = 3  # the same of requests that learn from training examples, whatever learns from them
# field with the digest of a person's own data -> field that names it
OWN_DATA = {"data": "task", "other_data": "other_task", "aligned_data": "aligned_on"}

DEVICES = ("cpu", "cuda", "mps")
WINDOW = 128  # tokens of a window when nothing else is asked for
# training examples that a method learns from when nothing else is asked for
LEARN = {"images": 8000, "text": 1500}
Scalar = str | int | float | bool | None


class RequestJson(TypedDict):
    """Entries of `request.json` that are read in that form; each kind of request has some of them,
    and further ones.
    """

    what: str
    models: list[str]
    names: list[str]
    digests: list[str]
    orders: list[str]
    task: str
    split: str
    examples: int | None
    seed: int
    length: int | None
    data: str
    method: str
    device: str
    points: int
    resolution: int | None
    ancestor: bool


class Request(Protocol):
    """What the store and the executors need of a request."""

    @property
    def key(self) -> str:
        """Name of the result."""
        ...

    @property
    def what(self) -> str:
        """Which computation, a name in `computation.COMPUTATIONS`."""
        ...

    @property
    def device(self) -> str:
        """Kind of device it runs on."""
        ...

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names that its result may give to models."""
        ...

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Self:
        """The inverse of `to_json`."""
        ...

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values."""
        ...


@dataclass(frozen=True)
class Models:
    """Which models a request is about, each by its place in all four.

    Attributes:
        references: as given by the person ("zoo:vit-fashion-s0").
        names: for display.
        digests: of their content.
        orders: see `ModelsRequest.orders`.
        loaded: the large ones, as they were read to make the request.
    """

    references: tuple[str, ...]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    orders: tuple[str, ...] = ()
    loaded: tuple[Loaded | None, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class Data:
    """What is measured on; before it is settled (`inputs.choose_data`), None stands for a default.

    Attributes:
        task: name of a shipped task or a reference to data of one's own; by default the task that
            all models were trained on.
        split: of its data; by default the test split, or the only one there is.
        examples: how many; None for all of the split.
        seed: of the draw of examples.
        length: of a window of text, in tokens; by default the models' context, at most 128. None
            for images.
        digest: of the examples of one's own data; "" for a shipped task.
    """

    task: str | None = None
    split: str | None = None
    examples: int | None = None
    seed: int = 0
    length: int | None = None
    digest: str = ""


@dataclass(frozen=True)
class Matching:
    """How models are brought together.

    Attributes:
        method: ``none``, or a name.
        classes: kind of space -> class; before it is settled (`inputs.choose_matching`), what is
            left out gets the largest admissible one.
        settings: of the method, by name.
        learn: training examples that are learned from; None for none, or before it is settled for
            the default.
        learn_data: digest of these, if they are one's own.
        through: see `ModelsRequest.through`.
        through_digests: see `ModelsRequest.through_digests`.
    """

    method: str = "weight"
    classes: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, Scalar], ...] = ()
    learn: int | None = None
    learn_data: str = ""
    through: tuple[tuple[str, ...], ...] = ()
    through_digests: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelsRequest:
    """What everything that is asked of models has in common: which models, how they are brought
    together, on what data.

    Attributes:
        models: references of the models, as given by the person ("zoo:vit-fashion-s0"); the first
            stays.
        names: their names, for display.
        digests: their content digests, as they are on disk.
        orders: of each model a digest of the order that its classes are brought into, which is by
            their names that of the first, "" for its own; () where all have their own.
        task: name of a shipped task, or a reference to data of one's own
            ("text:/home/me/letters.txt").
        split: of its data.
        examples: how many of them; None for all.
        seed: of the draw of examples, of masked positions, of random starts, and of learning.
        length: of a window of text, in tokens; None for images.
        data: digest of the examples of one's own data; "" for a shipped task.
        method: ``none`` (plain average) or a way to match ("weight", "universe").
        classes: (kind of space, class) for every kind, in alphabetical order; empty for ``none``.
        settings: of the method, (name, value) in alphabetical order.
        precision: of the evaluation, ``float32`` or ``bfloat16``.
        device: kind of device, ``cpu``, ``cuda`` or ``mps``.
        learn: how many training examples are learned from (by the method, a temperature, a
            renormalisation); None for none.
        learn_data: digest of these, if they are one's own.
        algorithm: version of the computation; None for today's: `LEARNING` for what learns from
            examples, else `ALGORITHM`.
        what: which computation, a name in `computation.COMPUTATIONS`.
        through: references of checkpoints along the runs that led to A and to B, the earliest
            first, which are matched before the ends (`matching.chain`); () for none.
        through_digests: content digests of these.
    """

    models: tuple[str, ...]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    task: str
    split: str = "test"
    examples: int | None = None
    seed: int = 0
    length: int | None = None
    data: str = ""
    method: str = "weight"
    classes: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, Scalar], ...] = ()
    precision: str = "float32"
    device: str = "cpu"
    learn: int | None = None
    learn_data: str = ""
    algorithm: int | None = None
    orders: tuple[str, ...] = ()
    what: str = ""
    through: tuple[tuple[str, ...], ...] = ()
    through_digests: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if not any(self.orders):
            object.__setattr__(self, "orders", ())
        if self.algorithm is None:
            object.__setattr__(self, "algorithm", self.current)

    @property
    def current(self) -> int:
        """Today's version of what it asks for."""
        return ALGORITHM if self.learn is None else LEARNING

    @property
    def bends(self) -> tuple[str, ...]:
        """The ends that a bend is trained to, by the methods that bring them there; () for none."""
        return ()

    @property
    def partners(self) -> tuple[int, ...]:
        """Numbers of the models that are aligned with the first, each as a pair."""
        return tuple(range(1, len(self.models)))

    @classmethod
    def make(
        cls, models: Models, data: Data, matching: Matching, device: str, **own: object
    ) -> Self:
        """The request of this kind about settled values.

        Args:
            models: which.
            data: what is measured on.
            matching: how the models are brought together.
            device: kind of device.
            own: what this kind asks for besides.
        """
        shared = {
            "models": models.references,
            "names": models.names,
            "digests": models.digests,
            "orders": models.orders,
            "task": data.task,
            "split": data.split,
            "examples": data.examples,
            "seed": data.seed,
            "length": data.length,
            "data": data.digest,
            **vars(matching),
            "device": device,
        }
        made = cls(**cast("dict", shared | own))
        HANDOVER.give(made, models.loaded)
        return made

    @classmethod
    def of(cls, other: ModelsRequest, **own: object) -> Self:
        """The request of this kind about what another one is about: the same models, data, method
        and device, measured in float32.

        Its version is today's, whatever version the other is of.

        Args:
            other: a request that was checked.
            own: what this kind asks for besides, and whatever should differ.
        """
        names = {field.name for field in fields(ModelsRequest)} - {"what", "algorithm", "precision"}
        shared = {name: getattr(other, name) for name in names}
        made = cls(**cast("dict", shared | own))
        if made.models == other.models:
            HANDOVER.pass_on(other, made)
        return made

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Self:
        """The inverse of `to_json`."""
        return cls(**cast("dict", {name: _frozen(value) for name, value in content.items()}))

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values, for `request.json`."""
        content = json.loads(json.dumps(asdict(self)))
        return {name: value for name, value in content.items() if value or name not in LATER}

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names that the result may give to models."""
        return tuple(self.names)

    def naming(self, number: int) -> dict[str, tuple[str, ...]]:
        """What it says of one of its models, each as a tuple of one."""
        orders = self.orders or ("",) * len(self.models)
        return {
            "models": (self.models[number],),
            "names": (self.names[number],),
            "digests": (self.digests[number],),
            "orders": (orders[number],),
        }

    def pair(self, second: int = 1) -> PairRequest:
        """What aligns the first model with another one.

        Args:
            second: number of the other model.
        """
        other = self.naming(second)
        return PairRequest.of(
            self, **{name: value + other[name] for name, value in self.naming(0).items()}
        )

    @property
    def key(self) -> str:
        """64 hexadecimal digits that name the result."""
        return find_key(self.to_json())


@dataclass(frozen=True, kw_only=True)
class PairRequest(ModelsRequest):
    """Something asked of two models, the second of which moves onto the first."""


@dataclass(frozen=True, kw_only=True)
class ManyRequest(ModelsRequest):
    """Something asked of several models that are brought into one frame."""


def find_key(content: Mapping[str, object]) -> str:
    """The key of a request, from its JSON values.

    Names and references of models are left out, as is the name of a person's own data; requests
    that name no models are taken as they are.
    """
    kept = dict(content)
    if "models" in content:
        del kept["models"], kept["names"]
        kept.pop("through", None)  # references; their digests stay
        if not kept.get("orders"):  # as it was before there were any
            kept.pop("orders", None)
        for digest, name in OWN_DATA.items():
            if content.get(digest):  # the same data under another name
                kept[name] = str(content[name]).partition(":")[0]
    return hash_json(kept)


def hash_json(content: object) -> str:
    """SHA-256 of canonical JSON, as 64 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _frozen(value: object) -> object:
    """JSON values with tuples in place of lists."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
