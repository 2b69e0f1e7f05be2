"""What is asked for, as a frozen value; equal requests have equal keys and are one computation.

The key is the SHA-256 of the request's canonical JSON (sorted keys, no spaces). It holds everything
the numbers depend on: the models and a person's own data by digest, the task, the classes, the
method with its settings, and the version of the algorithm; references to models and files are only
for finding them and are left out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

ALGORITHM = 2  # raised whenever the same request would give other numbers
LEARNING = 3  # the same of requests that learn from training examples, whatever learns from them


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
        precision: of the evaluation.
        device: kind of device, ``cpu``, ``cuda`` or ``mps``.
        learn: how many training examples are learned from (by the method, a temperature, a
            renormalisation); None for none.
        learn_data: digest of these, if they are one's own.
        algorithm: version of the computation; None for today's: `LEARNING` for what learns from
            examples, else `ALGORITHM`.
        what: which computation, a key of `computations.COMPUTE`.
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
    settings: tuple[tuple[str, Any], ...] = ()
    precision: str = "float32"
    device: str = "cpu"
    learn: int | None = None
    learn_data: str = ""
    algorithm: int | None = None
    orders: tuple[str, ...] = ()
    what: str = ""

    def __post_init__(self) -> None:
        if not any(self.orders):
            object.__setattr__(self, "orders", ())
        if self.algorithm is None:
            object.__setattr__(self, "algorithm", self.current)

    @property
    def current(self) -> int:
        """Today's version of what it asks for."""
        return ALGORITHM if self.learn is None else LEARNING

    @classmethod
    def of(cls, other: ModelsRequest, **own: Any) -> Self:
        """The request of this kind about what another one is about: the same models, data, method
        and device.

        Its version is today's, whatever version the other is of.

        Args:
            other: a request that was checked.
            own: what this kind asks for besides, and whatever should differ.
        """
        names = {field.name for field in fields(ModelsRequest)} - {"what", "algorithm"}
        shared = {name: getattr(other, name) for name in names}
        return cls(**(shared | own))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{name: _frozen(value) for name, value in content.items()})

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values, for `request.json`."""
        return json.loads(json.dumps(asdict(self)))

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

    @property
    def key(self) -> str:
        """64 hexadecimal digits that name the result."""
        content = {
            name: value for name, value in self.to_json().items() if name not in ("models", "names")
        }
        if not self.orders:  # as it was before there were any
            del content["orders"]
        if self.data:  # the same data under another name
            content["task"] = self.task.partition(":")[0]
        return digest_of(content)


@dataclass(frozen=True, kw_only=True)
class PairRequest(ModelsRequest):
    """Something asked of two models, the second of which moves onto the first."""


def digest_of(content: Any) -> str:
    """SHA-256 of canonical JSON, as 64 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _frozen(value: Any) -> Any:
    """JSON values with tuples in place of lists."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
