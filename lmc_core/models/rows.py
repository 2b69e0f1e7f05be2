"""Rows of tables that hold one row per token or position: a model with fewer of them, and with its
own again.

No symmetry touches these axes, so that a model computes the same on inputs that use the first rows
alone, whatever the rest holds; of a head the outputs are those of the first rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lmc_core.models.model import Model, token_tables
from lmc_core.symmetry.settings import NAMED

TOKENS = "vocab_size"


@dataclass(frozen=True)
class Rows:
    """How many rows of their tables some models have in common.

    Attributes:
        tokens: of tables and heads; None for models without tokens.
        positions: by name of the configuration's entry, of learned tables of positions; empty where
            none differ.
    """

    tokens: int | None = None
    positions: tuple[tuple[str, int], ...] = ()


def usable_rows(model: Model) -> int | None:
    """Rows of a model's token tables, those of no finite values left out; None for a model without
    tokens.
    """
    tokens = model.config.get(TOKENS)
    if model.family.takes != "text" or not isinstance(tokens, int):
        return None
    return tokens if model.rows is None else min(tokens, model.rows)


def usable(model: Model) -> Model:
    """The same model without rows that hold no finite numbers; most often the model itself."""
    return model if model.rows is None else restricted(model, Rows(usable_rows(model)))


def restricted(model: Model, rows: Rows) -> Model:
    """The model with the first rows of its tables alone, which are views of the model's own.

    Args:
        model: with as many rows or more.
        rows: that are kept.
    """
    changes: dict[str, Any] = dict(rows.positions)
    if rows.tokens is not None:
        changes[TOKENS] = rows.tokens
    changes = {key: value for key, value in changes.items() if model.config[key] != value}
    if not changes:
        return model
    shapes = model.family.layout({**model.config, **changes}).shapes
    if rows.tokens is not None:
        for name in NAMED:
            token = model.config.get(name)
            if isinstance(token, int) and token >= rows.tokens:
                changes[name] = None  # a table has no such row
    state = {
        name: tensor
        if tuple(tensor.shape) == shapes[name]
        else tensor[tuple(slice(size) for size in shapes[name])]
        for name, tensor in model.state.items()
    }
    left = (
        None
        if model.rows is None or rows.tokens is None or rows.tokens <= model.rows
        else model.rows
    )
    return replace(model, config={**model.config, **changes}, state=state, rows=left)


def extended(model: Model, whole: Model) -> Model:
    """The model with further rows, those of another.

    Args:
        model: a model with fewer rows.
        whole: the model whose configuration and further rows are taken; its parameters have the
            same names.
    """
    if all(tensor.shape == model.state[name].shape for name, tensor in whole.state.items()):
        return model
    state: dict[str, Tensor] = {}
    for name, tensor in whole.state.items():
        part = model.state[name]
        if part.shape != tensor.shape:
            longer = tensor.to(part.dtype, copy=True)
            longer[tuple(slice(size) for size in part.shape)] = part
            part = longer
        state[name] = part
    return replace(model, config=whole.config, state=state, rows=whole.rows)


def finite_rows(model: Model) -> int | None:
    """How many rows of the token tables come before the first that holds a value that is no number;
    None where all are finite.

    Args:
        model: of text.
    """
    tokens = usable_rows(model)
    if tokens is None or tokens < 2:
        return None
    first = tokens
    for name in token_tables(model):
        parts = model.state[name].reshape(tokens, -1).split(2**12)
        bad = torch.cat([~torch.isfinite(part).all(1) for part in parts]).nonzero()
        first = min(first, int(bad[0]) if len(bad) else tokens)
    return None if first == tokens else first
