"""What a task is: data in three splits, and the loss of each example.

Conventions: a loss is a cross-entropy in nats. One *example* is one image, or one window of tokens;
the loss of a window is the mean over its targets, so that averages over examples are nats per
token. Standard errors are taken over examples, of a text over groups of them (`windows.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from lmc_core.errors import BadInput, UnknownName
from lmc_core.tasks.draws import drawn, mixed
from lmc_core.tasks.preparation import Preparation

SPLITS = ("train", "validation", "test")
IGNORED = -100  # a target that no loss is taken of
PIECE = 2**22  # logits whose logarithms of probabilities are held at once: 16 MB


@dataclass(frozen=True)
class Examples:
    """Inputs and targets, row by row.

    Attributes:
        inputs: images `[n, channels, height, width]` in float32, or token numbers `[n, length]`;
            behind the end of texts that are shorter than others stands `texts.END`.
        targets: class numbers `[n]`, or tokens `[n, length]`; `IGNORED` where there is nothing to
            predict.
        groups: equal for rows that are not independent, as windows of one play are, int64 `[n]`;
            None where all are.
    """

    inputs: Tensor
    targets: Tensor
    groups: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def rows(self, start: int, stop: int) -> Examples:
        """The rows from `start` up to `stop`, in memory."""
        groups = None if self.groups is None else self.groups[start:stop]
        return Examples(self.inputs[start:stop], self.targets[start:stop], groups)

    def take(self, indices: Tensor) -> Examples:
        """The rows at `indices` `[n]`, in that order; what is not in memory yet is read when it is
        asked for.
        """
        groups = None if self.groups is None else self.groups[indices]
        return Examples(self.inputs[indices], self.targets[indices], groups)

    def mixed_order(self, seed: int) -> Tensor:
        """A random order of the rows, `[n]`, of which every part in a row holds the labels of
        images nearly in proportion.
        """
        return mixed(self.targets if self.targets.ndim == 1 else torch.zeros(len(self)), seed)

    def read(self) -> Examples:
        """All rows, in memory."""
        return self.rows(0, len(self))

    def first(self, count: int) -> Examples:
        """The first `count` rows, in memory."""
        return self.rows(0, min(count, len(self)))

    def batches(self, size: int) -> Iterator[Examples]:
        """Yield the rows in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.rows(start, min(start + size, len(self)))


class Source(Protocol):
    """All examples of one split, of which only those that are asked for are read.

    One that also has `labels`, the class numbers of all of them, is drawn from in proportion to
    these. Shipped data has none: it is not sorted by class, and what is drawn of it stays what it
    was.
    """

    def __len__(self) -> int:
        """How many there are."""
        ...

    def take(self, indices: Tensor, seed: int) -> Examples:
        """Return the examples at `indices` `[n]`; the seed is for what is random about them."""
        ...

    def digest(self, indices: Tensor) -> str:
        """SHA-256 of the content of the examples at `indices`, as 64 hexadecimal digits."""
        ...


@dataclass(frozen=True)
class InMemory:
    """A source whose examples lie in memory."""

    examples: Examples

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, indices: Tensor, seed: int) -> Examples:
        """Return the examples at `indices`."""
        return self.examples.take(indices)

    def digest(self, indices: Tensor) -> str:
        """SHA-256 of the numbers."""
        part = self.take(indices, 0)
        return hashlib.sha256(
            part.inputs.numpy().tobytes() + part.targets.numpy().tobytes()
        ).hexdigest()


@dataclass(frozen=True)
class Task:
    """A data set together with the loss and the score measured on it.

    Attributes:
        name: how it is shown, e.g. ``plays`` or ``text:letters.txt``.
        sentence: what it is, for lists in the app.
        kind: ``images`` (one label each) or ``text`` (tokens in windows).
        unit: what the loss counts: "nats", "nats per character", "nats per token" or "nats per
            masked token".
        classes: number of labels or of distinct tokens.
        licence: under which the data is shipped.
        read: returns the source of a split; `length` is the window of text tasks, in tokens.
        stream: of a text task, returns all tokens `[n]` of a split, which training cuts windows
            from; None for images.
        alphabet: of a shipped text task, returns the characters that its tokens are; None for other
            tasks.
        labels: of a shipped image task, the names of the classes.
        preparation: of a shipped image task, how its images were prepared.
        splits: that can be asked for.
        reference: what names the data anywhere on this machine, with whole paths; empty for shipped
            tasks.
        notes: sentences on how the data is given to the models, for captions, where that is not as
            usual.
        labelled: of texts, whether each has one label.
        said: (split, length) -> further notes, which depend on what is asked for; None for none.
    """

    name: str
    sentence: str
    kind: Literal["images", "text"]
    unit: str
    classes: int
    licence: str
    read: Callable[[str, int], Source]
    stream: Callable[[str], Tensor] | None = None
    alphabet: Callable[[], str] | None = None
    labels: Sequence[str] = ()
    preparation: Preparation | None = None
    splits: tuple[str, ...] = SPLITS
    reference: str = ""
    notes: tuple[str, ...] = ()
    labelled: bool = False
    said: Callable[[str, int], tuple[str, ...]] | None = None

    @property
    def score(self) -> Literal["accuracy", "perplexity"]:
        """The second number shown beside the loss."""
        return "accuracy" if self.kind == "images" or self.labelled else "perplexity"

    def source(self, split: str = "test", length: int = 128) -> Source:
        """Return what the examples of a split are taken from.

        Raises:
            UnknownName: if the split does not exist.
            BadInput: if it has fewer than two examples, or the data cannot be read.
        """
        if split not in self.splits:
            raise UnknownName.of("split", split, self.splits)
        if self.kind == "text" and length < 2:
            raise BadInput(f"A window should have 2 tokens or more; a length of {length} came.")
        source = self.read(split, length)
        if len(source) < 2:
            windows = self.kind == "text" and not self.labelled
            what = (
                f"windows of {length} tokens" if windows else "texts" if self.labelled else "images"
            )
            raise BadInput(
                f"At least 2 {what} are needed and the {split} split of {self.name} has "
                f"{len(source)}; "
                f"give more data{' or a shorter length' if windows else ''}."
            )
        return source

    def examples(
        self, split: str = "test", count: int | None = None, seed: int = 0, length: int = 128
    ) -> Examples:
        """Return `count` examples of a split.

        Args:
            split: one of `splits`.
            count: how many, drawn by `seed` without replacement; None for all. Images of one's own
                are drawn in proportion to their labels and come mixed, so that the first of them
                are of all classes.
            seed: of the draw, of the order, and of the positions that are masked.
            length: the window of a text task, in tokens; no effect on images.

        Raises:
            UnknownName: if the split does not exist.
            BadInput: if there are fewer than two examples, or the data cannot be read.
        """
        source = self.source(split, length)
        return source.take(_chosen(source, count, seed), seed)

    def digest(
        self, split: str = "test", count: int | None = None, seed: int = 0, length: int = 128
    ) -> str:
        """SHA-256 of the content of the examples that the same arguments give; "" for shipped data,
        which does not change.
        """
        if not self.reference:
            return ""
        source = self.source(split, length)
        return source.digest(_chosen(source, count, seed))


def _chosen(source: Source, count: int | None, seed: int) -> Tensor:
    """The indices that are drawn of a source."""
    labels = getattr(source, "labels", None)
    return drawn(len(source), count, seed, None if labels is None else torch.as_tensor(labels))


def losses(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy and share of correct predictions of each example.

    Args:
        logits: `[n, classes]` or `[n, length, classes]`.
        targets: `[n]` or `[n, length]`; where they are `IGNORED`, nothing is counted.

    Returns:
        Two float tensors `[n]`: the loss in nats (mean over the targets of a window), and the share
            predicted correctly.
    """
    rows, wanted = logits.flatten(0, -2), targets.flatten()
    size = max(1, PIECE // rows.shape[-1])
    each = torch.cat(
        [
            F.cross_entropy(part.float(), own, ignore_index=IGNORED, reduction="none")
            for part, own in zip(rows.split(size), wanted.split(size), strict=True)
        ]
    )
    correct = (logits.argmax(-1) == targets).float()  # no class is IGNORED
    counted = (targets != IGNORED).reshape(len(targets), -1).sum(1)
    return each.view(len(targets), -1).sum(1) / counted, correct.reshape(len(targets), -1).sum(
        1
    ) / counted
