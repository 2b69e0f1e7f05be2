"""No data: random inputs, on which a function check runs where nothing is measured and nothing is
learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lmc_core.models.forward import random_inputs
from lmc_core.models.model import Model
from lmc_core.models.rows import in_shared_rows
from lmc_core.tasks.task import Examples, InMemory, Task

RANDOM = "random inputs"  # the name of the task, which nobody types
COUNT = 16
NOTE = "No data was given, and none is needed: the function check ran on random inputs."


def random_task(models: Sequence[Model]) -> Task:
    """Return inputs drawn at random, that all models take.

    Args:
        models: of one family.
    """
    kind = models[0].family.takes

    def read(split: str, length: int) -> InMemory:
        first = in_shared_rows(models)[0]
        inputs = random_inputs(first, COUNT)
        if kind == "text" and first.family.probe is None:
            contexts = [model.family.sizes(model.config).get("context", length) for model in models]
            inputs = inputs[:, : min(length, *contexts)].clone()
        return InMemory(Examples(inputs, torch.zeros(COUNT, dtype=torch.int64)))

    return Task(
        name=RANDOM,
        sentence="inputs drawn at random, for the function check alone",
        kind="text" if kind == "text" else "images",
        unit="nats",
        classes=0,
        licence="",
        read=read,
        splits=("test",),
        notes=(NOTE,),
    )
