"""Several models in one frame, kept on disk like pairs (`aligned`): another method, weight or task
does not align again.

aligned/<key>/1.safetensors, 2.safetensors, ...     the models in one frame, float32
facts.json                            configurations, objective, function errors, seconds
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc_core.runs.aligned import make_room
from lmc_core.runs.anew import make_way
from lmc_core.runs.opened import CHECKED, learning_from
from lmc_core.runs.request import ModelsRequest, digest_of

if TYPE_CHECKING:
    from lmc_core.models.model import Model
    from lmc_core.progress import Progress
    from lmc_core.tasks import Examples, Task

NOTHING: dict[str, Any] = {
    "function_errors": None,
    "cycle_error": None,
    "objective": [],
    "objective_before": None,
    "start": None,
    "found": {},
    "align_seconds": 0.0,
}


@dataclass(frozen=True)
class Placed:
    """Several models in one frame.

    Attributes:
        wholes: in the order of the request, each with all its rows.
        facts: entries of a result that say how they came there; those of `NOTHING`.
    """

    wholes: tuple[Model, ...]
    facts: dict[str, Any]

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """The models with those rows of their tables that all have."""
        from lmc_core.models.rows import in_shared_rows

        return tuple(in_shared_rows(self.wholes))


def placed_group(
    request: ModelsRequest,
    models: Sequence[Model],
    examples: Examples,
    task: Task,
    report: Progress,
) -> Placed:
    """Bring the models of a request into one frame as it says, or take them as they were brought
    there before.

    Args:
        request: what was asked; its method is ``none`` or a name in
            `matching.universe.GROUP_METHODS`.
        models: of the request.
        examples: of the request; the function checks run on the first of them.
        task: of the request.
        report: called with the share done and a few words; may raise to stop.

    Raises:
        FunctionChanged: if the outputs of a model moved by more than rounding.
    """
    from lmc_core.matching.many import align_models, whole_forms
    from lmc_core.matching.methods import MANY_METHODS
    from lmc_core.matching.objective import HELD
    from lmc_core.tasks.seen_rows import find_seen_rows

    if request.method == "none":
        return Placed(tuple(whole_forms(models)), dict(NOTHING))
    folder = kept_in(request)
    make_way(folder)
    if (found := _read(folder, models)) is not None:
        report(1.0, "aligned before")
        return found
    group = align_models(
        models,
        examples.first(CHECKED).inputs,
        dict(request.classes),
        request.method,
        MANY_METHODS[request.method].configured(dict(request.settings)),
        masks=find_seen_rows(*models),
        progress=report,
        learning=learning_from(request, task, folder.name),
    )
    facts = {
        "function_errors": list(group.function_errors),
        "cycle_error": group.cycle_error,
        "objective": list(group.trace.objective),
        "objective_before": group.trace.before,
        "start": group.trace.start,
        "found": dict(group.trace.about),
        "align_seconds": group.seconds,
    }
    result = Placed(group.written, facts)
    if models[0].parameters <= HELD:  # 64 MB a model
        _write(folder, result)
    return result


def kept_in(request: ModelsRequest) -> Path:
    """The folder that the models of a request are kept in once they are in one frame."""
    from lmc_core import folders

    return folders.home() / "aligned" / frame_key(request)


def frame_key(request: ModelsRequest) -> str:
    """64 hexadecimal digits that name what brings the models of a request into one frame."""
    content: dict[str, Any] = {
        name: getattr(request, name)
        for name in ("digests", "method", "classes", "settings", "seed", "device", "algorithm")
    }
    if request.orders:
        content["orders"] = request.orders
    if request.learn is not None:
        task = request.task.partition(":")[0] if request.data else request.task
        content |= {
            "task": task,
            "length": request.length,
            "learn": request.learn,
            "learn_data": request.learn_data,
        }
    return digest_of({"group": content})


def _write(folder: Path, placed: Placed) -> None:
    """Keep a group, whole or not at all; a full disk is no reason to fail."""
    from safetensors.torch import save_file

    draft = folder.with_name(f".tmp-{secrets.token_hex(8)}")
    facts = {
        "configurations": [dict(model.config) for model in placed.wholes],
        "facts": placed.facts,
    }
    try:
        draft.mkdir(parents=True)
        make_room(folder.parent)
        for number, model in enumerate(placed.wholes, 1):
            save_file(
                {name: tensor.contiguous() for name, tensor in model.state.items()},
                draft / f"{number}.safetensors",
            )
        (draft / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        os.rename(draft, folder)
    except OSError:  # no room, or another process was first
        pass
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _read(folder: Path, models: Sequence[Model]) -> Placed | None:
    """The group that was kept, or None."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from lmc_core.errors import LmcError

    try:
        content = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        found = tuple(
            replace(like, config=config, state=load_file(folder / f"{number}.safetensors")).check()
            for number, (like, config) in enumerate(
                zip(models, content["configurations"], strict=True), 1
            )
        )
        facts = {name: content["facts"][name] for name in NOTHING}
        os.utime(folder)  # used just now
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, LmcError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return Placed(found, facts)
