"""Training examples, split into those that a method learns from and those it chooses by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmc_core.errors import BadInput
from lmc_core.tasks.task import Examples

HELD_OUT, SHARE = 512, 16  # of the training examples one of 16 is held out, and no more than 512


@dataclass(frozen=True)
class Learning:
    """What a method that uses data learns from, and where.

    Attributes:
        train: examples of the training split to learn from.
        held_out: other examples of the training split, to choose and to stop by.
        device: where models run.
        checkpoint: file that an interrupted run goes on from; None to keep nothing.
        seed: of everything that is drawn.
    """

    train: Examples
    held_out: Examples
    device: str = "cpu"
    checkpoint: Path | None = None
    seed: int = 0

    @classmethod
    def split(
        cls,
        examples: Examples,
        held_out: int | None = None,
        seed: int = 0,
        device: str = "cpu",
        checkpoint: Path | None = None,
    ) -> Learning:
        """Hold some training examples out, drawn at random; of images every label in proportion.

        What is left to learn from is in random order too, so that its first examples stand for all
        of it. Nothing is read.

        Args:
            examples: of the training split, in any order.
            held_out: how many are held out; by default one of 16, at most 512, at least 2.
            seed: of the draw, and of everything that is drawn in learning.
            device: where models run.
            checkpoint: file that an interrupted run goes on from; None to keep nothing.

        Raises:
            BadInput: unless 2 examples or more are held out and 2 or more are left.
        """
        count = max(2, min(HELD_OUT, len(examples) // SHARE)) if held_out is None else held_out
        rest = len(examples) - count
        if min(count, rest) < 2:
            raise BadInput(
                f"At least 2 examples to hold out and 2 to learn from are needed; {count} of "
                f"{len(examples)} came."
            )
        order = examples.mixed_order(seed)
        return cls(
            examples.take(order[:rest]), examples.take(order[rest:]), device, checkpoint, seed
        )
