"""The folder that `lmc align` writes: checked before the work begins, whole or as it was
afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lmc_core.errors import BadInput
from lmc_core.models.files.sidecars import carry_over
from lmc_core.models.load import find_folders
from lmc_core.models.model import Model
from lmc_core.models.precision import type_named

# what such a folder holds, of two models and of several
MARKS = ("alignment.safetensors", "merged")


def check_folder(out: Path, force: bool) -> None:
    """Raise `BadInput` unless `out` can be written: absent or empty, or `force` and a folder that
    this command wrote.
    """
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out expects a folder; {str(out)!r} is a file.")
    if out.is_dir() and any(out.iterdir()):
        if not force:
            raise BadInput(
                f"The folder {str(out)!r} is not empty; choose another, or replace it with --force."
            )
        if not ((out / "report.json").is_file() and any((out / mark).exists() for mark in MARKS)):
            raise BadInput(
                f"--force replaces only what `lmc align` wrote, and {str(out)!r} holds something "
                "else."
            )
    above = next(parent for parent in out.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise BadInput(
            f"--out {str(out)!r} cannot be made, because {str(above)!r} is not a folder that can "
            "be written."
        )


def check_type(dtype: str | None) -> None:
    """Raise `UnknownName` unless weights can be written in that type; None is each model's own."""
    if dtype is not None:
        type_named(dtype)


def require_apart(out: Path, references: Sequence[str]) -> None:
    """Raise `BadInput` if one of the models is read from `out` or from within."""
    folders = [folder for model in references for folder in find_folders(model)]
    if any(folder.resolve().is_relative_to(out.resolve()) for folder in folders):
        raise BadInput(
            f"--out {str(out)!r} would replace a model that is read; choose another folder."
        )


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A folder beside `out` to write into, renamed to it in the end, so that `out` is whole or as
    it was.
    """
    draft = out.with_name(f".{out.name}-{secrets.token_hex(4)}")
    aside = draft.with_name(draft.name + "-old")
    try:
        draft.mkdir(parents=True)
        yield draft
        if out.exists():
            out.rename(aside)
        draft.rename(out)
    except BaseException:
        if aside.exists() and not out.exists():
            aside.rename(out)
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def write_model(model: Model, folder: Path, name: str, dtype: str | None = None) -> None:
    """Write an ordinary checkpoint with a card, and the tokenizer or preparation that lay beside
    the model.

    Args:
        model: to write.
        folder: to be made.
        name: for the card.
        dtype: of the parameters; None for that of the model's own files.
    """
    model.save(folder, dtype)
    carry_over(model.folder, folder, model.class_names)
    card = {"name": name, "family": model.family.name, "parameters": model.parameters}
    # else its classes are no longer numbered as the task's
    if (trained := model.card.get("task")) and not model.class_names:
        card["task"] = trained
    write_json(folder / "card.json", card)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write JSON for people."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
