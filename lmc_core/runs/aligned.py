"""Aligned pairs, kept on disk: barrier, plane and heatmaps of one setting align once.

    aligned/<key>/a.safetensors, b.safetensors      both models in one frame, float32, with all their rows
                  alignment.safetensors             what moved the second
                  soft.safetensors                  of soft matching, its end
                  facts.json                        configurations, trace, function error, seconds, places of unequal widths

The key is over what an alignment depends on, which is less than what a result depends on. Nothing
here is precious: a folder that is missing, damaged or crowded out is computed again.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc_core.runs.anew import make_way
from lmc_core.runs.model_cache import is_warm, load_warm
from lmc_core.runs.opened import CHECKED, learning_from
from lmc_core.runs.request import ALGORITHM, ModelsRequest, PairRequest, digest_of

if TYPE_CHECKING:
    from lmc_core.matching.aligned import AlignedPair
    from lmc_core.models.model import Model
    from lmc_core.paths.line import Line
    from lmc_core.progress import Progress
    from lmc_core.tasks import Examples, Task

ROOM = 2**31  # bytes of all pairs that are kept; the least recently used give way


def alignment_key(request: PairRequest) -> str:
    """64 hexadecimal digits that name what aligns the models of a request."""
    from lmc_core.matching.methods import METHODS

    content: dict[str, Any] = {
        name: getattr(request, name)
        for name in ("digests", "method", "classes", "settings", "seed", "device")
    }
    if request.orders:
        content["orders"] = request.orders
    # also where a temperature learns, which leaves the alignment alone
    content["algorithm"] = ALGORITHM
    if METHODS[request.method].uses_data:
        content["algorithm"] = request.algorithm
        task = request.task.partition(":")[0] if request.data else request.task
        content |= {
            "task": task,
            "length": request.length,
            "learn": request.learn,
            "learn_data": request.learn_data,
        }
    return digest_of(content)


def folder_of(request: PairRequest) -> Path:
    """The folder that the pair of a request is kept in once it is aligned."""
    from lmc_core import folders

    return folders.home() / "aligned" / alignment_key(request)


def pair_of(request: ModelsRequest, second: int = 1) -> PairRequest:
    """What aligns the first model of a request with another one.

    Args:
        request: about two models or more.
        second: number of the other model.
    """
    other = request.naming(second)
    return PairRequest.of(
        request, **{name: value + other[name] for name, value in request.naming(0).items()}
    )


def consumes(request: PairRequest, models: tuple[Model, Model]) -> bool:
    """Whether aligning writes into the models' own tensors: where they are large, and nothing else
    holds them.
    """
    from lmc_core.matching.objective import HELD

    return models[0].parameters > HELD and not any(
        is_warm(reference) for reference in request.models
    )


def aligned_pair(
    request: PairRequest,
    models: tuple[Model, Model],
    examples: Examples,
    task: Task,
    report: Progress,
) -> AlignedPair:
    """Align the models of a request as it says, or take the pair that was aligned so before.

    What a method learns is kept in a file until it is done, so that a run that was cancelled or
    killed goes on from there.

    Args:
        request: what was asked; its method is not ``none``.
        models: of the request.
        examples: of the request; the function check runs on the first of them.
        task: of the request.
        report: called with the share done and a few words; may raise to stop.

    Raises:
        FunctionChanged: if the outputs of a model moved by more than rounding.
    """
    from lmc_core.matching.methods import METHODS
    from lmc_core.matching.objective import HELD
    from lmc_core.matching.pair import align_pair
    from lmc_core.tasks.seen_rows import find_seen_rows

    folder = folder_of(request)
    make_way(folder)
    if (found := _read(folder, models)) is not None:
        report(1.0, "aligned before")
        return found
    method = METHODS[request.method]
    pair = align_pair(
        *models,
        examples.first(CHECKED).inputs,
        dict(request.classes),
        request.method,
        method.configured(dict(request.settings)),
        masks=find_seen_rows(*models),
        progress=report,
        in_place=consumes(request, models),
        learning=learning_from(request, task, folder.name) if method.uses_data else None,
    )
    if max(model.parameters for model in (pair.a, pair.b)) <= HELD:  # 128 MB a pair
        _write(folder, pair)
    return pair


def line_of(
    request: PairRequest,
    models: tuple[Model, Model],
    examples: Examples,
    task: Task,
    report: Progress,
) -> tuple[Line, AlignedPair | None]:
    """The line that a request asks for, between both models as they are or after an alignment,
    which is the second value.

    Args:
        request: what was asked.
        models: of the request.
        examples: of the request.
        task: of the request.
        report: called with the share of the alignment that is done and a few words; may raise to
            stop.
    """
    from lmc_core.matching.common_form import common_form
    from lmc_core.paths.line import Line

    if request.method == "none":
        return Line(*common_form(*models)), None
    pair = aligned_pair(request, models, examples, task, report)
    return Line(pair.a, pair.end), pair


def _write(folder: Path, pair: AlignedPair) -> None:
    """Keep a pair, whole or not at all; a full disk is no reason to fail."""
    from safetensors.torch import save_file

    draft = folder.with_name(f".tmp-{secrets.token_hex(8)}")
    trace = pair.trace
    facts = {
        "a": dict(pair.written[0].config),
        "b": dict(pair.written[1].config),
        "rows": dict(pair.b.config),
        "trace": [
            list(trace.objective),
            trace.before,
            trace.start,
            dict(trace.starts),
            trace.rounds,
            dict(trace.about),
        ],
        "function_error": pair.function_error,
        "seconds": pair.seconds,
        "places": {
            name: {k: v.tolist() for k, v in asdict(place).items()}
            for name, place in pair.places.items()
        },
        "soft": None if pair.soft is None else [pair.soft.model.name, pair.soft.function_error],
    }
    try:
        draft.mkdir(parents=True)
        make_room(folder.parent)
        models = dict(zip("ab", pair.written, strict=True)) | (
            {} if pair.soft is None else {"soft": pair.soft.model}
        )
        for name, model in models.items():
            save_file(
                {key: tensor.contiguous() for key, tensor in model.state.items()},
                draft / f"{name}.safetensors",
            )
        pair.alignment.save(draft / "alignment.safetensors")
        (draft / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        os.rename(draft, folder)
    except OSError:  # no room, or another process was first
        pass
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _read(folder: Path, models: tuple[Model, Model]) -> AlignedPair | None:
    """The pair that was kept, or None."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from lmc_core.errors import LmcError
    from lmc_core.matching.aligned import SoftEnd, pair_of_wholes
    from lmc_core.matching.trace import Trace
    from lmc_core.matching.widths import Places
    from lmc_core.symmetry.alignment import Alignment

    def model(name: str, like: Model, config: Mapping[str, Any]) -> Model:
        return replace(like, config=config, state=load_file(folder / f"{name}.safetensors"))

    def placed(owner: list[Any], shares: list[Any]) -> Places:
        return Places(
            torch.tensor(owner, dtype=torch.int64), torch.tensor(shares, dtype=torch.float64)
        )

    try:
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        a, b = (
            model(name, like, facts[name]).check() for name, like in zip("ab", models, strict=True)
        )
        objective, before, start, starts, rounds, about = facts["trace"]
        soft = None
        if facts["soft"] is not None:
            name, error = facts["soft"]
            soft = SoftEnd(
                replace(model("soft", b, facts.get("rows", facts["b"])), name=name), error
            )
        pair = pair_of_wholes(
            a,
            b,
            Alignment.load(folder / "alignment.safetensors"),
            Trace(tuple(objective), before, start, starts, rounds, about),
            facts["function_error"],
            facts["seconds"],
            {name: placed(**place) for name, place in facts["places"].items()},
            soft,
        )
        os.utime(folder)  # used just now
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, LmcError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return pair


def make_room(parent: Path) -> None:
    """Remove the pairs used longest ago until there is room for more."""
    held = [
        (path.stat().st_mtime, sum(file.stat().st_size for file in path.iterdir()), path)
        for path in parent.iterdir()
    ]
    over = sum(size for _, size, _ in held) - ROOM
    for _, size, path in sorted(held):
        if over <= 0:
            return
        shutil.rmtree(path, ignore_errors=True)
        over -= size


@dataclass(frozen=True)
class Ends:
    """Two models in one frame, before and after an alignment.

    Attributes:
        a: the first, in canonical form where there was an alignment.
        b: the second in the same form, where it was.
        moved: the second where the alignment brought it; None without one.
        seconds: of the alignment.
        function_error: of both models; None without an alignment.
    """

    a: Model
    b: Model
    moved: Model | None
    seconds: float = 0.0
    function_error: float | None = None

    @property
    def end(self) -> Model:
        """The aligned second model, or where nothing was aligned the second model."""
        return self.b if self.moved is None else self.moved


def ends_of(
    request: ModelsRequest,
    models: Sequence[Model],
    examples: Examples,
    task: Task,
    report: Progress,
    second: int = 1,
) -> Ends:
    """The first model of a request and another one, before and after the alignment that it asks
    for.

    Args:
        request: what was asked.
        models: of the request.
        examples: of the request.
        task: of the request.
        report: called with the share done and a few words; may raise to stop.
        second: number of the other model.
    """
    from lmc_core.matching.aligned import canonical
    from lmc_core.matching.common_form import common_form
    from lmc_core.models.common import in_float32
    from lmc_core.models.rows import restricted, shared_rows
    from lmc_core.symmetry.spaces import choose_classes

    chosen = models[0], models[second]
    rows = shared_rows(models)
    if request.method == "none":
        a, b = (restricted(model, rows) for model in common_form(*chosen))
        return Ends(a, b, None)
    asked = pair_of(request, second)
    pair = aligned_pair(asked, chosen, examples, task, report)
    # Large models were aligned in place; what is kept warm comes back at once.
    a, b = common_form(*(load_warm(reference) for reference in asked.models))
    still = in_float32(canonical(b, choose_classes(a.layout.spaces, dict(request.classes))))
    # a head that was untied for the sake of the alignment alone
    if still.state.keys() != pair.b.state.keys():
        from lmc_core.models.common import untied

        still = untied(still)
    first, still, moved = (restricted(model, rows) for model in (pair.a, still, pair.b))
    return Ends(first, still, moved, pair.seconds, pair.function_error)
