"""The bends of curves, which are kept on disk once they are trained.

bends/<key>/bend.safetensors, facts.json      the bend of a curve, and how it was trained
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from safetensors.torch import load_file
from torch import Tensor

from lmc_core import folders
from lmc_core.errors import BadInput
from lmc_core.models.model import Model
from lmc_core.paths.bezier import Bending, BendSettings, Bezier
from lmc_core.progress import Progress
from lmc_core.runs.inputs import open_learning
from lmc_core.runs.kept import keep, read_json, read_kept, write_json, write_state
from lmc_core.runs.kinds import BendTraining
from lmc_core.runs.request import ModelsRequest
from lmc_core.tasks import Task


def train_bend(
    request: ModelsRequest,
    a: Model,
    b: Model,
    task: Task,
    settings: BendSettings,
    progress: Progress,
    refresh: bool = False,
) -> tuple[Bezier, BendTraining]:
    """The curve between two models with a trained bend; what was trained so before is taken from
    disk.

    Args:
        request: that says what is learned from.
        a: the model at 0.
        b: the model at 1.
        task: of the request.
        settings: of training.
        progress: told the share done and a few words; may raise to stop.
        refresh: train also what was trained before.
    """
    learning = open_learning(request, task, "bend")
    if learning is None:
        raise BadInput(
            "A bend is trained on examples of a training split; choose a task that has one."
        )
    bending = Bending(a, b, settings, learning, progress)
    folder = folders.home() / "bends" / bending.fingerprint
    if (found := read_kept(folder, lambda path: _read_bend(path, bending), refresh)) is not None:
        progress(1.0, "trained before")
        return Bezier(a, b, found[0]), found[1]
    bending.learning = replace(
        bending.learning, checkpoint=folders.home() / "unfinished" / f"{bending.fingerprint}.pt"
    )
    curve, about = bending.finish()

    def write(draft: Path) -> None:
        write_state(draft / "bend.safetensors", curve.bend)
        write_json(draft / "facts.json", about)

    keep(folder, write)
    return curve, cast(BendTraining, about)


def _read_bend(folder: Path, bending: Bending) -> tuple[dict[str, Tensor], BendTraining]:
    about = read_json(folder / "facts.json")
    bend = load_file(folder / "bend.safetensors")
    shapes = {name: tensor.shape for name, tensor in bending.bend.items()}
    if {name: tensor.shape for name, tensor in bend.items()} != shapes:
        raise ValueError("another bend")
    return bend, about
