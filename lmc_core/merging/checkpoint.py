"""A merged model as an ordinary checkpoint, with a card that says where it came from.

NAME/config.json, model.safetensors     as the model's own library writes them
     card.json                          models with digests, frame, method, settings, weights,
                                        scores, date, version
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmc_core.atomic import new_folder, write_file
from lmc_core.errors import BadInput
from lmc_core.models.files.sidecars import carry_over
from lmc_core.models.lazy import is_lazy
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.models.precision import type_words
from lmc_core.models.written import Outputs
from lmc_core.progress import Progress, ignore

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def require_name(name: str) -> str:
    """Return the name of a new model.

    Raises:
        BadInput: if it could be anything but the name of one folder.
    """
    if not NAME.fullmatch(name) or name.endswith("."):
        raise BadInput(
            "A name of letters, digits, dots, hyphens and underscores is expected, at most 80; "
            f"{name[:80]!r} came."
        )
    return name


def write_merged(
    model: Model,
    folder: Path,
    card: Mapping[str, object],
    dtype: str | None = None,
    unrounded: Outputs | None = None,
    progress: Progress = ignore,
) -> dict[str, object]:
    """Write a merged model, whole or not at all.

    Args:
        model: to write; tokenizer or preparation are taken from the folder that it says it was read
            from.
        folder: to be made; must not exist.
        card: JSON values; the name, family, number of parameters and digest of the model are put in
            front.
        dtype: of the weights; None for the types of the model's first parent.
        unrounded: what the model computed before it was rounded to them.
        progress: told the share written of a model whose parameters are lazy.

    Returns:
        What was found when the file was read again, which the card says too: ``dtype``, and the
        largest relative difference of the outputs that rounding made, ``rounding``; None without
        `unrounded`.

    Raises:
        BadInput: if there is something of that name already.
    """
    if folder.exists():
        raise BadInput(f"There is a model named {folder.name!r} already; choose another name.")
    with new_folder(folder) as draft:
        model.save(draft, dtype, progress=progress)
        carry_over(model.folder, draft, model.class_names)
        error, words = (
            unrounded.error_as_written(0, draft)
            if unrounded
            else (None, type_words(model.types(dtype).values()))
        )
        written = {"dtype": words, "rounding": error}
        # of lazy parameters the file's own, which says as well that it can be read
        found = load_folder(draft, lazy=True) if is_lazy(model.state) else model
        first = {
            "name": model.name,
            "family": model.family.name,
            "parameters": model.parameters,
            "digest": found.digest,
        }
        text = json.dumps(first | {"written": written} | dict(card), indent=1) + "\n"
        (draft / "card.json").write_text(text, encoding="utf-8")
    return written


def add_scores(
    folder: Path, split: str, measured: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Have the card of a merged model say what was measured after it was written.

    Args:
        folder: of the model.
        split: that was measured on.
        measured: by name of task, what each of its models does, and then what it does itself; the
            task that was asked for first.

    Returns:
        The card as it is then.
    """
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    *models, own = measured
    card["merged"]["measured"] = {split: own}
    card["merged"]["models_measured"] = {split: models}
    card["scores"] = {split: next(iter(own.values()))}
    write_file(path, (json.dumps(card, indent=1) + "\n").encode())
    return card
