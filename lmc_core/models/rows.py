"""Rows of tables that hold one row per token or position: a model with fewer of them, and with its
own again.

No symmetry touches these axes, so that a model computes the same on inputs that use the first rows
alone, whatever the rest holds; of a head the outputs are those of the first rows.

Between models, rows may differ in number where the first ones mean the same in all: then these are
compared. Tables of tokens are compared as far as the shortest reaches where the tokenizers agree,
or one model has none; learned positions as far as the shortest table reaches, since position 5 is
position 5 in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmc_core.errors import Incompatible
from lmc_core.models.config import Json
from lmc_core.models.files.vocabulary import disagreement, read_vocabulary, rows_needed
from lmc_core.models.lazy import join_states, map_state, shapes
from lmc_core.models.model import Model, token_tables
from lmc_core.models.settings import NAMED, POSITIONS

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
    changes: dict[str, Json] = dict(rows.positions)
    if rows.tokens is not None:
        changes[TOKENS] = rows.tokens
    changes = {key: value for key, value in changes.items() if model.config[key] != value}
    if not changes:
        return model
    sizes = model.family.layout(model.config | changes).shapes
    if rows.tokens is not None:
        for name in NAMED:
            token = model.config.get(name)
            if isinstance(token, int) and token >= rows.tokens:
                changes[name] = None  # a table has no such row

    def first(name: str, tensor: Tensor) -> Tensor:
        if tuple(tensor.shape) == sizes[name]:
            return tensor
        return tensor[tuple(slice(size) for size in sizes[name])]

    state = map_state(model.state, first)
    left = (
        None
        if model.rows is None or rows.tokens is None or rows.tokens <= model.rows
        else model.rows
    )
    return replace(model, config=model.config | changes, state=state, rows=left)


def extended(model: Model, whole: Model) -> Model:
    """The model with further rows, those of another.

    Args:
        model: a model with fewer rows.
        whole: the model whose configuration and further rows are taken; its parameters have the
            same names.
    """
    own = shapes(model.state)
    if all(tensor.shape == own[name].shape for name, tensor in shapes(whole.state).items()):
        return model

    def lengthen(part: Tensor, tensor: Tensor) -> Tensor:
        if part.shape == tensor.shape:
            return part
        longer = tensor.to(part.dtype, copy=True)
        longer[tuple(slice(size) for size in part.shape)] = part
        return longer

    state = join_states(model.state, whole.state, lengthen)
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


def shared_rows(models: Sequence[Model]) -> Rows:
    """The rows of their tables that all models have, and that mean the same in all.

    Args:
        models: of one family.

    Raises:
        Incompatible: if two tokenizers differ, or it is not known whether rows that one model lacks
            are padding.
    """
    rows = [count for model in models if (count := usable_rows(model)) is not None]
    if len(rows) < len(models):
        return Rows()
    tokens = min(rows)
    _require_one_vocabulary(models, tokens)
    positions = {}
    for key in POSITIONS:
        lengths = _lengths(models, key)
        if len(set(lengths)) > 1 and _learned(models, key, min(lengths)):
            positions[key] = min(lengths)
    return Rows(tokens, tuple(positions.items()))


def _lengths(models: Sequence[Model], key: str) -> list[int]:
    """The values that an entry of the configurations has; [] unless all have one."""
    found = [n for model in models if isinstance(n := model.config.get(key), int)]
    return found if len(found) == len(models) else []


def _learned(models: Sequence[Model], key: str, value: int) -> bool:
    """Whether an entry that counts positions is the length of a table of parameters."""
    return any(
        model.family.layout(model.config | {key: value}).shapes != model.layout.shapes
        for model in models
        if model.config[key] != value
    )


def _require_one_vocabulary(models: Sequence[Model], tokens: int) -> None:
    """Refuse models whose tokenizers differ, or of which some have rows that may be more than
    padding.
    """
    known = [
        (model, found) for model in models if (found := read_vocabulary(model.folder)) is not None
    ]
    for model, found in known[1:]:
        if (where := disagreement(known[0][1], found)) is not None:
            raise Incompatible(
                f"{known[0][0].name} and {model.name} have different tokenizers, so that their "
                "tokens do not mean the same "
                f"({where}); choose two models with one tokenizer."
            )
    longer = next((model for model in models if usable_rows(model) != tokens), None)
    if longer is None or len(known) == len(models):
        return
    shorter = next(model for model in models if usable_rows(model) == tokens)
    counts = f"{shorter.name} has {tokens:,} tokens and {longer.name} {usable_rows(longer):,}"
    if not known:
        raise Incompatible(
            f"{counts}, and neither has a tokenizer, which would tell whether the rows beyond are "
            "padding; put the "
            "tokenizer.json of one of them beside its weights."
        )
    if (needed := max(rows_needed(found) for _, found in known)) > tokens:
        raise Incompatible(
            f"{counts}, and the tokenizer in {known[0][0].name} has {needed:,}; choose two models "
            "with one tokenizer."
        )


def in_shared_rows(models: Sequence[Model]) -> list[Model]:
    """All models with those rows of their tables alone that all have.

    Raises:
        Incompatible: if the rows do not mean the same.
    """
    rows = shared_rows(models)
    return [restricted(model, rows) for model in models]


def row_notes(models: Sequence[Model]) -> tuple[str, ...]:
    """Sentences for captions on the rows and windows that are compared, where the models do not all
    have as many.
    """
    rows, notes = shared_rows(models), []
    if rows.tokens is not None and any(
        model.config["vocab_size"] != rows.tokens for model in models
    ):
        counts = ", ".join(f"{model.name} {_token_rows(model)}" for model in models)
        notes.append(
            f"Of the token tables and heads the first {rows.tokens:,} rows are compared, those "
            "that all models have "
            f"({counts}); the others are padding, or tokens of one model alone."
        )
    for key in POSITIONS:
        lengths = _lengths(models, key)
        if len(set(lengths)) > 1:
            learned = key in dict(rows.positions)
            what = (
                f"the first {min(lengths):,} positions are compared"
                if learned
                else "windows are within the shortest"
            )
            notes.append(
                f"The models read windows of unequal length ({_counts(models, key)} tokens); "
                f"{what}."
            )
    return tuple(notes)


def _token_rows(model: Model) -> str:
    tokens = model.config["vocab_size"]
    return (
        f"{tokens:,}"
        if model.rows is None
        else f"{tokens:,} with finite numbers in the first {model.rows:,}"
    )


def _counts(models: Sequence[Model], key: str) -> str:
    return ", ".join(f"{model.name} {model.config[key]:,}" for model in models)
