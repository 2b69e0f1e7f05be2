"""Checkpoints that were kept along a training run, in the order of their steps.

    FOLDER/checkpoints/step-0000100/    as `lmc train --keep-checkpoints` writes them
    FOLDER/checkpoint-100/              as other programs do

A folder counts if it holds a config.json and its name ends with a number, or its card says the
step.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from lmc_core.errors import BadInput

FOLDER = "checkpoints"  # beside the files of the model that results


def list_checkpoints(folder: Path) -> list[Path]:
    """The folders of the checkpoints of a run, the earliest first.

    Args:
        folder: of the run, or the one in it that holds a folder for each step.

    Raises:
        BadInput: if there is no such folder, it holds no checkpoints, or two of one step.
    """
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}; give one with checkpoints of a run.")
    root = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    found: dict[int, Path] = {}
    for path in sorted(root.iterdir()):
        if not (path / "config.json").is_file() or (step := _read_step(path)) is None:
            continue
        if step in found:
            raise BadInput(f"{found[step].name} and {path.name} in {root} are of one step, {step}.")
        found[step] = path
    if not found:
        raise BadInput(
            f"{folder} holds no checkpoints of a run; a folder for each step is expected in it, "
            "such as step-0000100 or checkpoint-100, with config.json and model.safetensors."
        )
    return [found[step] for step in sorted(found)]


def _read_step(path: Path) -> int | None:
    """The step of a checkpoint: by its card, else by the end of its name; None for neither."""
    try:
        step = json.loads((path / "card.json").read_text(encoding="utf-8")).get("step")
        if isinstance(step, int):
            return step
    except (OSError, ValueError, AttributeError):
        pass
    number = re.search(r"\d{1,18}$", path.name)
    return None if number is None else int(number[0])
