"""What two models, or several, must have in common to be compared, and the form in which they have
the same parameters.

Rows of tables, one for each token or position, may differ in number where the first ones mean the
same in both: then these are compared. Tables of tokens are compared as far as the shorter one
reaches where the tokenizers agree, or one model has none; learned positions as far as the shorter
table reaches, since position 5 is position 5 in both. Settings that decide what is computed must be
equal: a rotary base, an epsilon, an activation. The numbers of special tokens decide nothing but
where a classifier finds the end of a text, and where RoBERTa's positions begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from lmc_core.errors import Incompatible
from lmc_core.models.family import PREDICTIONS
from lmc_core.models.model import Model
from lmc_core.models.rows import Rows, restricted, usable_rows
from lmc_core.models.vocabulary import disagreement, rows_needed, vocabulary_of
from lmc_core.symmetry.fits import require_fits, same_parts, wider
from lmc_core.symmetry.settings import POSITIONS, unequal_settings, without_effect
from lmc_core.symmetry.widen import widen
from lmc_core.tasks.class_order import in_order_of


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
    found = [model.config[key] for model in models if isinstance(model.config.get(key), int)]
    return found if len(found) == len(models) else []


def _learned(models: Sequence[Model], key: str, value: int) -> bool:
    """Whether an entry that counts positions is the length of a table of parameters."""
    return any(
        model.family.layout({**model.config, key: value}).shapes != model.layout.shapes
        for model in models
        if model.config[key] != value
    )


def _require_one_vocabulary(models: Sequence[Model], tokens: int) -> None:
    """Refuse models whose tokenizers differ, or of which some have rows that may be more than
    padding.
    """
    known = [
        (model, found) for model in models if (found := vocabulary_of(model.folder)) is not None
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


def different_heads(a: Model, b: Model) -> bool:
    """Whether two models of one family are of classes with different heads, or tell different
    numbers of classes apart.
    """
    if a.family.name != b.family.name:
        return False
    (one, left), (two, right) = (
        (model.config, model.family.sizes(model.config)) for model in (a, b)
    )
    classes = left.get("classes") != right.get("classes") or a.family.predicts(
        one
    ) != b.family.predicts(two)
    return classes or one.get("architectures") != two.get("architectures")


def require_one_body(a: Model, b: Model) -> None:
    """Raise `Incompatible`, naming the first difference, unless two models have the same body,
    whatever their heads.
    """
    _require_one_family(a, b)
    ignored = without_effect(a, b, heads=False)
    a, b = in_shared_rows((a, b))
    left, right = a.family.sizes(a.config), b.family.sizes(b.config)
    for key in left.keys() & right.keys() - {"context", "classes"}:
        if left[key] != right[key]:
            raise Incompatible(
                f"{a.name} has {key} {left[key]} and {b.name} has {key} {right[key]}; choose two "
                "models of the same sizes."
            )
    for key, value, other in unequal_settings(a.config, b.config, ignored):
        raise Incompatible(
            f"{a.name} has {key}={value} and {b.name} has {key}={other}; choose two that compute "
            "alike."
        )


def _require_one_family(a: Model, b: Model) -> None:
    if a.family.name != b.family.name:
        raise Incompatible(
            f"{a.name} is a {a.family.name} and {b.name} a {b.family.name}; choose two models of "
            "one family."
        )


def _with_head(model: Model) -> str:
    """A model with its class and what it predicts, as a clause."""
    cls = (model.config.get("architectures") or [*model.family.classes, model.family.name])[0]
    found, count = (
        model.family.predicts(model.config),
        model.family.sizes(model.config).get("classes"),
    )
    what = (
        f"one of {count} labels for each input"
        if found == "label" and count
        else PREDICTIONS.get(found, found)
    )
    return f"{model.name} is a {cls} and predicts {what}"


def head_notes(models: Sequence[Model]) -> tuple[str, ...]:
    """A sentence for captions on two models with different heads; () for others."""
    if len(models) != 2 or not different_heads(*models):
        return ()
    return (
        f"{_with_head(models[0])}, and {_with_head(models[1])}; matched are the layers that both "
        "have.",
    )


def require_compatible(a: Model, b: Model) -> None:
    """Raise `Incompatible`, naming the first difference, unless both models have the same layout
    and compute alike.

    Of unequal widths the wider has to have room for the other in all its spaces.
    """
    _require_one_family(a, b)
    if different_heads(a, b):
        require_one_body(a, b)
        raise Incompatible(
            f"{_with_head(a)}, and {_with_head(b)}, so that there is no line between them; they "
            "have one body, and `lmc align` "
            "matches the layers that both have."
        )
    if same_parts(a, b) and (second := wider(a, b)) is not None:
        require_fits(*((a, b) if second else (b, a)))
        return
    ignored = without_effect(a, b)
    a, b = in_shared_rows((a, b))
    left, right = a.family.sizes(a.config), b.family.sizes(b.config)
    for key, value in left.items():
        if key != "context" and right.get(key) != value:
            raise Incompatible(
                f"{a.name} has {key} {value} and {b.name} has {key} {right.get(key)}; choose two "
                "models of the same sizes."
            )
    left, right = ({n: tuple(t.shape) for n, t in untied(m).state.items()} for m in (a, b))
    for name in sorted(left.keys() ^ right.keys()):
        raise Incompatible(
            f"Only one of {a.name} and {b.name} has the parameter {name!r}; choose two of one "
            "architecture."
        )
    for name, shape in left.items():
        if right[name] != shape:
            raise Incompatible(
                f"{name!r} has shape {list(shape)} in {a.name} and {list(right[name])} in "
                f"{b.name}; choose two alike."
            )
    for key, value, other in unequal_settings(a.config, b.config, ignored):
        raise Incompatible(
            f"{a.name} has {key}={value} and {b.name} has {key}={other}; choose two that compute "
            "alike."
        )


def untied(model: Model) -> Model:
    """The same model with a head of its own where it shared the token table; otherwise the model
    itself.
    """
    tied = model.family.rewrite(model.config).tied
    if tied is None:
        return model
    table = model.state[tied.table]
    if tied.scale != 1 and table.dtype in (torch.bfloat16, torch.float16):
        table = table.float()  # or the product would be rounded
    return replace(
        model,
        config={**model.config, **dict(tied.config)},
        state={**model.state, tied.head: table * tied.scale},
    )


def common_form(a: Model, b: Model) -> tuple[Model, Model]:
    """Both models, untied if either is, so that they have the same parameters, with the classes in
    the order of the first.

    Of tables with unequal numbers of rows they have those that both have. Of unequal widths the
    narrower is widened by appending zeros to what it has, as coordinates, units and heads are
    numbered; nothing is matched.

    Raises:
        Incompatible: if they have no common layout, and neither holds the other; or if they tell
            other classes apart.
    """
    require_compatible(a, b)
    b = in_order_of(a, b)
    if (second := wider(a, b)) is not None:
        narrow, wide = (a, b) if second else (b, a)
        widened, wide = in_float32(widen(narrow, wide.config)), untied(wide)
        return (widened, wide) if second else (wide, widened)
    a, b = in_shared_rows(alike_untied((a, b)))
    return a, b


def alike_untied(models: Sequence[Model]) -> list[Model]:
    """The models as they are, or all untied where one has a head of its own and another shares its
    table.
    """
    if any(model.state.keys() != models[0].state.keys() for model in models):
        return [untied(model) for model in models]
    return list(models)


def in_float32(model: Model) -> Model:
    """The same model with parameters in float32."""
    return model.with_state({name: tensor.float() for name, tensor in model.state.items()})
