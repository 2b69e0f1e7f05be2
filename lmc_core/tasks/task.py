"""What a task is: data in three splits, and the loss of each example.

Conventions: a loss is a cross-entropy in nats. One *example* is one image, or one window of characters; the loss of a
window is the mean over its characters, so that averages over examples are nats per character. Examples are what standard
errors are taken over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lmc_core.errors import BadInput, UnknownName

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Inputs and targets of one split, row by row.

    Attributes:
        inputs: images `[n, channels, height, width]` in float32, or token numbers `[n, length]`.
        targets: class numbers `[n]`, or the next tokens `[n, length]`.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, count: int | None, seed: int = 0) -> Examples:
        """Return `count` rows drawn without replacement, in their original order (all of them for None or too many)."""
        if count is None or count >= len(self):
            return self
        if count < 2:
            raise BadInput(f"At least 2 examples are needed for a standard error; {count} came.")
        chosen = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:count].sort().values
        return Examples(self.inputs[chosen], self.targets[chosen])

    def batches(self, size: int) -> Iterator[Examples]:
        """Yield the rows in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield Examples(self.inputs[start : start + size], self.targets[start : start + size])


@dataclass(frozen=True)
class Task:
    """A data set together with the loss and the score measured on it.

    Attributes:
        name: how it is asked for, e.g. ``plays``.
        sentence: what it is, for lists in the app.
        kind: ``images`` (one label each) or ``text`` (next token at every position).
        unit: what the loss counts, "nats" or "nats per character".
        classes: number of labels or of distinct tokens.
        licence: under which the data is shipped.
        read: returns the examples of a split; `length` is the window of text tasks, in tokens.
        stream: of a text task, returns all tokens `[n]` of a split, which training cuts windows from; None for images.
    """

    name: str
    sentence: str
    kind: Literal["images", "text"]
    unit: str
    classes: int
    licence: str
    read: Callable[[str, int], Examples]
    stream: Callable[[str], Tensor] | None = None

    @property
    def score(self) -> Literal["accuracy", "perplexity"]:
        """The second number shown beside the loss."""
        return "accuracy" if self.kind == "images" else "perplexity"

    def examples(self, split: str = "test", count: int | None = None, seed: int = 0, length: int = 128) -> Examples:
        """Return `count` examples of a split.

        Args:
            split: train, validation or test.
            count: how many, drawn by `seed` without replacement; None for all.
            seed: of the draw.
            length: the window of a text task, in tokens; no effect on images.

        Raises:
            UnknownName: if the split does not exist.
            BadInput: if fewer than two examples are asked for.
        """
        if split not in SPLITS:
            raise UnknownName.of("split", split, SPLITS)
        return self.read(split, length).take(count, seed)


def losses(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy and share of correct predictions of each example.

    Args:
        logits: `[n, classes]` or `[n, length, classes]`.
        targets: `[n]` or `[n, length]`.

    Returns:
        Two float tensors `[n]`: the loss in nats (mean over the positions of a window), and the share predicted correctly.
    """
    flat = F.cross_entropy(logits.flatten(0, -2).float(), targets.flatten(), reduction="none").view(targets.shape)
    correct = (logits.argmax(-1) == targets).float()
    return flat.reshape(len(targets), -1).mean(1), correct.reshape(len(targets), -1).mean(1)
