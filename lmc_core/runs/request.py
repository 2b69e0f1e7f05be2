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

ALGORITHM = 1  # raised whenever the same request would give other numbers


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
        learn: how many training examples the method learns from; None for methods that use no data.
        learn_data: digest of these, if they are one's own.
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
    algorithm: int = ALGORITHM
    what: str = "barrier"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values, for `request.json`."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> BarrierRequest:
        """The inverse of `to_json`."""

        def frozen(value: Any) -> Any:
            return tuple(frozen(item) for item in value) if isinstance(value, list) else value

        return cls(**{name: frozen(value) for name, value in content.items()})

    @property
    def key(self) -> str:
        """64 hexadecimal digits that name the result."""
        content = {k: v for k, v in self.to_json().items() if k not in ("models", "names")}
        if self.data:  # the same data under another name
            content["task"] = self.task.partition(":")[0]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
