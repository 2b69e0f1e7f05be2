"""Keep one merged model as an ordinary checkpoint, with its card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadInput
from lmc_core.runs.kinds.merge import MergeRequest, facts_of
from lmc_core.runs.kinds.merge_bench import opened_bench
from lmc_core.runs.opened import stamped

if TYPE_CHECKING:
    import numpy as np

    from lmc_core.models.model import Model
    from lmc_core.models.written import Outputs

Report = Callable[[float, str], None]


def models_folder() -> Path:
    """Where models that a person keeps lie."""
    from lmc_core import folders

    return folders.home() / "models"


def save(request: MergeRequest, report: Report) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Merge, measure, and write into the folder of kept models, under the name that the request
    gives.

    Raises:
        BadInput: if there is a model of that name already.
    """
    from lmc_core.merging.checkpoint import require_name, write_merged

    folder = models_folder() / require_name(request.save)
    if folder.exists():
        raise BadInput(f"There is a model named {folder.name!r} already; choose another name.")
    made = produce(request, report, request.save)
    written = write_merged(made.model, folder, made.card, request.dtype or None, made.unrounded)
    return made.result | {
        "saved": {"name": made.model.name, "digest": made.model.digest, **written}
    }, {}


@dataclass(frozen=True)
class Made:
    """A merged model that can be written.

    Attributes:
        model: with the values that its file will hold, in float32.
        card: what is said of it.
        result: as plain JSON values; its numbers are those of the file.
        unrounded: what the model computed of a few examples before it was rounded to the type of
            its file.
    """

    model: Model
    card: dict[str, Any]
    result: dict[str, Any]
    unrounded: Outputs


def produce(request: MergeRequest, report: Report, name: str) -> Made:
    """Merge in the one way that a request asks for, round to the type of the file, and measure.

    Args:
        request: with one way to merge, which gives a checkpoint.
        report: called with the share done and a few words; may raise `Cancelled`.
        name: of the new model.

    Raises:
        UnknownName: for a type in which no weights are written.
    """
    from lmc_core.merging.methods import MERGES
    from lmc_core.models.precision import type_named
    from lmc_core.models.rows import extended

    if request.dtype:
        type_named(request.dtype)
    if len(request.merges) != 1 or not MERGES[request.merges[0][0]].checkpoint:
        raise BadInput(
            "One way to merge is expected whose outcome is one model; an output ensemble is "
            "several."
        )
    bench = opened_bench(request, report)
    bench.types = bench.models[0].types(request.dtype or None)
    models = bench.model_rows()
    kind, settings = request.merges[0]
    row, merged = bench.row(kind, dict(settings))
    assert merged is not None and bench.unrounded is not None
    like = bench.placed.wholes[0]
    model = replace(extended(bench.models[0].with_state(merged.state), like), name=name, card={})
    result = {
        **facts_of(request, bench),
        "models_rows": models,
        "rows": [row],
        "lines": None,
        "simplex": None,
        **stamped(),
    }
    tasks = {original.card.get("task") for original in bench.models}
    known = {"task": tasks.pop()} if len(tasks) == 1 and None not in tasks else {}
    return Made(model, known | card_of(request, result, row), result, bench.unrounded)


def card_of(request: MergeRequest, result: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """What the card of a merged model says: where it came from, what was done, how good it is."""
    from lmc_core.merging.methods import MERGES

    method = MERGES[row["merge"]]
    # an ancestor comes last and has no weight
    who = zip(request.names, request.digests, request.weights, strict=False)
    measured = {
        task["name"]: {
            key: value
            for key, value in row["measured"][task["name"]].items()
            if key != "reliability"
        }
        | {"examples": task["examples"]}
        for task in result["tasks"]
    }
    return {
        "merged": {
            "models": [
                {"name": name, "digest": digest, "weight": weight} for name, digest, weight in who
            ],
            "ancestor": result["ancestor"]
            or ({"stand_in": request.stand_in} if method.ancestor else None),
            "method": method.name,
            "title": method.title,
            "source": method.source,
            "settings": row["settings"],
            "about": row["about"],
            "frame": result["frame"],
            "frame_settings": dict(request.settings),
            "classes": dict(request.classes),
            "function_errors": result["function_errors"],
            "cycle_error": result["cycle_error"],
            "measured": {result["split"]: measured} if measured else {},
        },
        "scores": {result["split"]: measured[result["task"]]} if measured else {},
        "versions": result["versions"],
        "date": result["date"],
    }
