"""What changes along a path besides the loss: how each quantity is measured, and what follows from
its arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import cast

import numpy as np
import torch
from torch import Tensor

from lmc_core.analysis.calibrated import calibrate
from lmc_core.analysis.hessian import Krylov, LossHessian, in_canonical_form, lanczos, probe_trace
from lmc_core.analysis.memory import require_room
from lmc_core.analysis.spectra import find_matrices, singular_values
from lmc_core.errors import BadInput
from lmc_core.matching.methods import matching_share
from lmc_core.models.cache import load_warm
from lmc_core.models.model import Model
from lmc_core.paths.curve import measure
from lmc_core.paths.line import ModelPath
from lmc_core.paths.rounds import spread
from lmc_core.progress import Part, Progress, ignore, part
from lmc_core.runs.cache import make_line
from lmc_core.runs.computation import Arrays
from lmc_core.runs.cost import estimate_memory
from lmc_core.runs.inputs import (
    choose_split,
    choose_task,
    describe_request,
    describe_size,
    make_group_array,
    make_stamp,
    open_inputs,
)
from lmc_core.runs.kinds.along_facts import (
    calibration_facts,
    other_facts,
    sharpness_facts,
    spectra_facts,
)
from lmc_core.runs.kinds.bent import find_bent
from lmc_core.runs.kinds.curve_facts import pair_facts
from lmc_core.runs.request import WINDOW, ModelsRequest
from lmc_core.runs.requests.along import (
    AlongNumbers,
    AlongRequest,
    CalibrationNumbers,
    OtherNumbers,
    SharpnessNumbers,
    SpectraNumbers,
)
from lmc_core.tasks import Examples, Task, task_for

MIXTURE = (
    "The routers' choice of experts is piecewise constant: curvature is that of the piece, and "
    "says nothing of the jumps between pieces."
)


def choose_other(request: ModelsRequest, reference: str) -> tuple[str, str]:
    """Another task that the models of a request can be measured on, and the digest of its examples.

    Raises:
        BadInput: if they cannot, or it is the task of the request.
    """
    models = [load_warm(each) for each in request.models]
    own, other = task_for(request.task, *models), choose_task(models, reference)
    found = other.reference or other.name
    if found == request.task:
        raise BadInput(f"{other.name} is the task of the models themselves; name another one.")
    if other.alphabet is not None and (own.alphabet is None or own.alphabet() != other.alphabet()):
        raise BadInput(
            f"{models[0].name} numbers its tokens otherwise than the task {other.name} does; name "
            "a task of the same alphabet, or text:FILE, which its own tokenizer reads."
        )
    if own.kind == "images" and own.classes != other.classes:
        raise BadInput(
            f"{own.name} has {own.classes} classes and {other.name} {other.classes}; name a task "
            "with as many."
        )
    split = _choose_split(other, request.split)
    digest = other.digest(split, request.examples, request.seed, request.length or WINDOW)
    return found, digest


def _choose_split(task: Task, split: str) -> str:
    """The split of that name, or the only one that data of one's own has."""
    return choose_split(task, split if split in task.splits else None)


@dataclass(frozen=True)
class _Scene:
    """What every quantity is measured on."""

    request: AlongRequest
    path: ModelPath
    models: list[Model]
    task: Task
    examples: Examples
    tell: Part

    def network(self, point: float) -> Model:
        """The network at a point, in canonical form."""
        return in_canonical_form(self.path.a.with_state(dict(self.path.state(point))))


def compute(
    request: AlongRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[AlongNumbers, Arrays]:
    """Compute one quantity at the points of a request.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align and train also what was aligned and trained before.

    Returns:
        The numbers, and arrays: of sharpness ``diagonal``, ``beside``, ``relative_diagonal``,
        ``relative_beside`` (`[points, steps]`, padded with NaN) and ``probes``
        (`[points, probes]`); of spectra ``values`` (`[points, all singular values]`); of
        calibration ``sums`` (`[points, examples, bins, 3]`); of another task ``losses`` and
        ``other_losses`` (nats, `[points, examples]`).

    Raises:
        BadInput: if the models are no longer those of the request, or there is no room.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    progress(0.0, "loading the models")
    require_room(estimate_memory(request).peak, f"Measuring the {request.quantity}")
    models, task, examples = open_inputs(request)
    first = 0.5 * matching_share(request.method)
    aligning = part(progress, 0.02, first)
    line, pair = make_line(request, (models[0], models[1]), examples, task, aligning, refresh)
    middle = first + 0.3 * bool(request.bends)
    curved = find_bent(request, line, pair, task, part(progress, first, middle), refresh)
    path: ModelPath = line if curved is None else curved.path
    begin = perf_counter()
    words = f"measuring the {request.quantity} at {request.points} points"
    scene = _Scene(request, path, models, task, examples, part(progress, middle, 1.0, words))
    named, kept, arrays = MEASURES[request.quantity](scene)
    training = None if curved is None else curved.training
    notes = [*task.notes]
    mixture = any(space.kind == "experts" for space in line.a.layout.spaces.values())
    if mixture and request.quantity == "sharpness":
        notes.append(MIXTURE)
    numbers = {
        **describe_request(request, task, len(examples)),
        "notes": notes,
        **pair_facts(pair),
        **describe_size(models),
        "quantity": request.quantity,
        "at": list(request.at),
        "bent": training,
        named: kept,
        "seconds": {
            "align": pair.seconds if pair else 0.0,
            "evaluate": perf_counter() - begin,
            **({"learn": training["learn_seconds"]} if training else {}),
        },
        **make_stamp(),
    }
    return cast(AlongNumbers, numbers), arrays


def _measure_sharpness(scene: _Scene) -> tuple[str, SharpnessNumbers, dict[str, np.ndarray]]:
    request = scene.request
    rows = spread(scene.examples)[: request.curved].sort().values
    few = scene.examples.take(rows).read()
    generator = torch.Generator().manual_seed(request.seed)
    found: dict[str, list[Tensor]] = {}
    size = 0
    for number, point in enumerate(request.at):
        tell = scene.tell.part(number / request.points, (number + 1) / request.points)
        hessian = LossHessian(scene.network(point), few, request.device)
        size = hessian.size
        shape = size, request.lanczos, generator
        top = lanczos(hessian.product, *shape, tell=tell.part(0.0, 0.5))
        traced = probe_trace(hessian.product, top, request.probes, generator, tell.part(0.5, 0.7))
        other = lanczos(hessian.relative, *shape, tell=tell.part(0.7, 1.0))
        for name, each in _listed(top, other, traced, request.lanczos).items():
            found.setdefault(name, []).append(each)
    arrays = {name: torch.stack(rows).numpy() for name, rows in found.items()}
    return "sharpness", sharpness_facts(arrays, len(few), size), arrays


def _listed(top: Krylov, other: Krylov, traced: Tensor, steps: int) -> dict[str, Tensor]:
    """The arrays of one point, padded to a number of steps."""
    found = {"diagonal": top.diagonal, "beside": top.beside}
    found |= {"relative_diagonal": other.diagonal, "relative_beside": other.beside}
    padded = {name: torch.full((steps,), torch.nan, dtype=torch.float64) for name in found}
    for name, each in found.items():
        padded[name][: len(each)] = each
    return {**padded, "probes": traced}


def _measure_spectra(scene: _Scene) -> tuple[str, SpectraNumbers, dict[str, np.ndarray]]:
    rows, request = [], scene.request
    matrices = find_matrices(scene.network(request.at[0]).layout)
    for number, point in enumerate(request.at):
        network = scene.network(point)
        rows.append(torch.cat([singular_values(network, m.name).flatten() for m in matrices]))
        scene.tell((number + 1) / request.points)
    arrays = {"values": torch.stack(rows).float().numpy()}
    empty: SpectraNumbers = {
        "matrices": [each.name for each in matrices],
        "rows": [each.rows for each in matrices],
        "columns": [each.columns for each in matrices],
        "copies": [each.copies for each in matrices],
        "effective": [],
        "stable": [],
        "norm": [],
        "top": [],
    }
    return "spectra", spectra_facts(empty, arrays), arrays


def _measure_calibration(scene: _Scene) -> tuple[str, CalibrationNumbers, dict[str, np.ndarray]]:
    request = scene.request
    found = calibrate(scene.path, request.at, scene.examples, request.device, scene.tell)
    arrays = {"sums": found.sums.numpy(), **make_group_array(scene.examples)}
    numbers: CalibrationNumbers = {
        **calibration_facts(arrays),
        "temperatures": found.temperatures.tolist(),
        "temperatures_stderr": found.errors.tolist(),
    }
    return "calibration", numbers, arrays


def _measure_other(scene: _Scene) -> tuple[str, OtherNumbers, dict[str, np.ndarray]]:
    request, lam = scene.request, torch.tensor(scene.request.at, dtype=torch.float64)
    task = task_for(request.other_task, *scene.models)
    chosen = _choose_split(task, request.split), request.examples, request.seed
    if task.digest(*chosen, request.length or WINDOW) != request.other_data:
        raise BadInput(
            f"The data of {task.name} has changed since the request was made; ask again."
        )
    examples = task.examples(*chosen, request.length or WINDOW)
    share = len(scene.examples) / (len(scene.examples) + len(examples))
    parts = scene.tell.part(0.0, share), scene.tell.part(share, 1.0)
    own = measure(scene.path, lam, scene.examples, request.device, parts[0])
    there = measure(scene.path, lam, examples, request.device, parts[1])
    arrays = {"losses": own.losses.numpy(), "other_losses": there.losses.numpy()}
    arrays |= make_group_array(scene.examples)
    arrays |= {f"other_{name}": each for name, each in make_group_array(examples).items()}
    return "other", other_facts(arrays, request.at, task.name, task.unit), arrays


MEASURES: dict[str, Callable[[_Scene], tuple[str, object, dict[str, np.ndarray]]]] = {
    "sharpness": _measure_sharpness,
    "spectra": _measure_spectra,
    "calibration": _measure_calibration,
    "other-task": _measure_other,
}
