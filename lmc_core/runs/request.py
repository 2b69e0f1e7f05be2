"""What is asked for, as a frozen value; equal requests have equal keys and are one computation.

The key is the SHA-256 of the request's canonical JSON (sorted keys, no spaces). It holds everything the numbers depend on: the
models and a person's own data by digest, the task, the classes, the method with its settings, and the version of the
algorithm; references to models and files are only for finding them and are left out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

ALGORITHM = 2  # raised whenever the same request would give other numbers


@dataclass(frozen=True)
class BarrierRequest:
    """The barrier between two models along the straight line, after an alignment or without one.

    Attributes:
        models: references of the two models, as given by the person ("zoo:vit-fashion-s0").
        names: their names, for display.
        digests: their content digests.
        task: name of a shipped task, or a reference to data of one's own ("text:/home/me/letters.txt").
        split: of its data.
        examples: how many of them; None for all.
        seed: of the draw of examples, of masked positions, and of the matcher's random starts.
        length: of a window of text, in tokens; None for images.
        data: digest of the examples of one's own data; "" for a shipped task.
        method: ``none`` (plain average) or a matcher ("weight").
        classes: (kind of space, class) for every kind, in alphabetical order; empty for ``none``.
        points: of the uniform grid on [0, 1].
        refine: further points around the maximum.
        settings: of the matcher, (name, value) in alphabetical order.
        precision: of the evaluation.
        device: kind of device, ``cpu``, ``cuda`` or ``mps``.
        learn: how many training examples are learned from (by the method, a temperature, a renormalisation); None for none.
        learn_data: digest of these, if they are one's own.
        temperature: whether the curve is also measured at the best softmax temperature of each point.
        repair: whether the interpolated network is renormalised (networks without norms alone).
        algorithm: version of the computation.
    """

    models: tuple[str, str]
    names: tuple[str, str]
    digests: tuple[str, str]
    task: str
    split: str = "test"
    examples: int | None = None
    seed: int = 0
    length: int | None = None
    data: str = ""
    method: str = "weight"
    classes: tuple[tuple[str, str], ...] = ()
    points: int = 25
    refine: int = 4
    settings: tuple[tuple[str, Any], ...] = field(default=())
    precision: str = "float32"
    device: str = "cpu"
    learn: int | None = None
    learn_data: str = ""
    temperature: bool = False
    repair: bool = False
    algorithm: int = ALGORITHM
    what: str = "barrier"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values, for `request.json`."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> BarrierRequest:
        """The inverse of `to_json`."""
        return cls(**_frozen(content))

    @property
    def key(self) -> str:
        """64 hexadecimal digits that name the result."""
        return _key(self)


@dataclass(frozen=True)
class GroupRequest:
    """Several models in one frame: their centre, the midpoints of their pairs, and of three the loss over the simplex.

    Attributes:
        models: references of the models, as given by the person; the first stays.
        names: their names, for display.
        digests: their content digests.
        task: name of a shipped task, or a reference to data of one's own.
        split: of its data.
        examples: how many of them; None for all.
        seed: of the draw of examples, of masked positions, and of learning.
        length: of a window of text, in tokens; None for images.
        data: digest of the examples of one's own data; "" for a shipped task.
        method: ``none`` (plain average) or a method for several models ("universe").
        classes: (kind of space, class) for every kind, in alphabetical order; empty for ``none``.
        resolution: of the grid on the simplex of three models; None for other numbers of models.
        settings: of the method, (name, value) in alphabetical order.
        precision: of the evaluation.
        device: kind of device, ``cpu``, ``cuda`` or ``mps``.
        learn: how many training examples the method learns from; None for methods that use no data.
        learn_data: digest of these, if they are one's own.
        algorithm: version of the computation.
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
    method: str = "universe"
    classes: tuple[tuple[str, str], ...] = ()
    resolution: int | None = None
    settings: tuple[tuple[str, Any], ...] = field(default=())
    precision: str = "float32"
    device: str = "cpu"
    learn: int | None = None
    learn_data: str = ""
    algorithm: int = ALGORITHM
    what: str = "group"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values, for `request.json`."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> GroupRequest:
        """The inverse of `to_json`."""
        return cls(**_frozen(content))

    @property
    def key(self) -> str:
        """64 hexadecimal digits that name the result."""
        return _key(self)


def _frozen(content: dict[str, Any]) -> dict[str, Any]:
    """JSON values with tuples in place of lists."""

    def frozen(value: Any) -> Any:
        return tuple(frozen(item) for item in value) if isinstance(value, list) else value

    return {name: frozen(value) for name, value in content.items()}


def _key(request: BarrierRequest | GroupRequest) -> str:
    content = {k: v for k, v in request.to_json().items() if k not in ("models", "names")}
    if request.data:  # the same data under another name
        content["task"] = request.task.partition(":")[0]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
