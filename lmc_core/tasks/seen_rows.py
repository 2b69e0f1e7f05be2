"""Rows of tables that models saw in training: those of other tokens carry no information."""

from __future__ import annotations

import torch
from torch import Tensor

from lmc_core.models.common import untied
from lmc_core.models.model import Model
from lmc_core.models.rows import in_shared_rows
from lmc_core.tasks.shipped import find_shipped

TABLES = ("token.table", "head.weight", "head.bias")


def find_seen_rows(*models: Model) -> dict[str, Tensor]:
    """Find which rows of the token tables and heads all models saw in training.

    Known only for models whose cards name a shipped text task; empty for others.

    Returns:
        By parameter, bool `[tokens]`.
    """
    tasks = [find_shipped(model) for model in models]
    streams = [task.stream for task in tasks if task is not None and task.stream is not None]
    if len(streams) < len(models):
        return {}
    first = in_shared_rows(models)[0]
    tokens = first.family.sizes(first.config)["tokens"]
    seen = torch.ones(tokens, dtype=torch.bool)
    for stream in streams:
        seen &= torch.zeros(tokens, dtype=torch.bool).index_fill_(0, stream("train").unique(), True)
    layout = untied(first).layout
    tables = [block.parameter for block in layout.blocks if block.name in TABLES]
    return {name: seen for name in tables if layout.shapes[name][0] == tokens}
