"""What computations share and keep on disk: aligned pairs, and several models in one frame.

    aligned/<key>/a.safetensors, b.safetensors    a pair in one frame, float32, with all its rows
                  alignment.safetensors           what moved the second
                  soft.safetensors                of soft matching, its end
                  bend.safetensors                of a curve that was learned too, its displacement
                  facts.json                      configurations, trace, function error, seconds,
                                                  places of unequal widths
    aligned/<key>/1.safetensors, ...              several models in one frame, float32
                  facts.json                      configurations, objective, function errors,
                                                  seconds

The key is over what an alignment depends on, which is less than what a result depends on: barrier,
plane and heatmaps of one setting align once. A caller that asks to `refresh` takes nothing that
earlier runs left, and puts its own in the place of it.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast, get_type_hints

import torch
from safetensors.torch import load_file

from lmc_core import folders
from lmc_core.matching.aligned import AlignedPair, SoftEnd, canonical, pair_of_wholes
from lmc_core.matching.chain import Chain, follow, way_share
from lmc_core.matching.common_form import common_form
from lmc_core.matching.many import AlignedModels, whole_forms
from lmc_core.matching.many import align_models as match_models
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.matching.objective import HELD
from lmc_core.matching.pair import align_pair
from lmc_core.matching.trace import Trace
from lmc_core.matching.widened import Places
from lmc_core.models.cache import is_warm, load_warm
from lmc_core.models.common import in_float32, untied
from lmc_core.models.lazy import is_lazy
from lmc_core.models.model import Model
from lmc_core.models.rows import in_shared_rows, restricted, shared_rows
from lmc_core.paths.line import Line
from lmc_core.progress import Progress, part
from lmc_core.runs.inputs import CHECKED, open_learning
from lmc_core.runs.kept import keep, read_json, read_kept, write_json, write_state
from lmc_core.runs.kinds import FrameNumbers, MatcherReport
from lmc_core.runs.request import ALGORITHM, ModelsRequest, PairRequest, hash_json
from lmc_core.runs.through import open_through
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks import Examples, Task
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.seen_rows import find_seen_rows

# pairs


def find_pair_key(request: PairRequest) -> str:
    """64 hexadecimal digits that name what aligns the models of a request."""
    # the version is that of an alignment also where a temperature learns, which leaves it alone
    learns = METHODS[request.method].uses_data
    content = _describe(request) | {"algorithm": request.algorithm if learns else ALGORITHM}
    return hash_json(content | (_describe_learning(request) if learns else {}))


def _describe(request: ModelsRequest) -> dict[str, object]:
    """What every alignment depends on."""
    names = ("digests", "method", "classes", "settings", "seed", "device")
    later = [name for name in ("orders", "through_digests") if getattr(request, name)]
    return {name: getattr(request, name) for name in (*names, *later)}


def _describe_learning(request: ModelsRequest) -> dict[str, object]:
    """What an alignment depends on that learns."""
    return {
        "task": request.task.partition(":")[0] if request.data else request.task,
        "length": request.length,
        "learn": request.learn,
        "learn_data": request.learn_data,
    }


def pair_folder(request: PairRequest) -> Path:
    """The folder that the pair of a request is kept in once it is aligned."""
    return folders.home() / "aligned" / find_pair_key(request)


def consumes(request: PairRequest, models: tuple[Model, Model]) -> bool:
    """Whether aligning writes into the models' own tensors: where they are large, and nothing else
    holds them. Of lazily read ones there are none.
    """
    if is_lazy(models[0].state):
        return False
    return models[0].parameters > HELD and not any(
        is_warm(reference) for reference in request.models
    )


def aligned_pair(
    request: PairRequest,
    models: tuple[Model, Model],
    examples: Examples,
    task: Task,
    progress: Progress,
    refresh: bool = False,
) -> AlignedPair:
    """Align the models of a request as it says, or take the pair that was aligned so before.

    What a method learns is kept in a file until it is done, so that a run that was cancelled or
    killed goes on from there.

    Args:
        request: what was asked; its method is not ``none``.
        models: of the request.
        examples: of the request; the function check runs on the first of them.
        task: of the request.
        progress: told the share done and a few words; may raise to stop.
        refresh: align also what was aligned before.

    Raises:
        FunctionChanged: if the outputs of a model moved by more than rounding.
    """
    folder = pair_folder(request)
    if (found := read_kept(folder, lambda path: _read_pair(path, models), refresh)) is not None:
        progress(1.0, "aligned before")
        return found
    method = METHODS[request.method]
    learning = open_learning(request, task, folder.name) if method.uses_data else None
    chain, after = None, progress
    if request.through:
        chain = _follow(request, models, examples, learning, progress)
        after = part(progress, way_share(request.method, dict(request.settings)), 1.0)
    pair = align_pair(
        *models,
        examples.first(CHECKED).inputs,
        dict(request.classes),
        request.method,
        method.configured(dict(request.settings)),
        masks=find_seen_rows(*models),
        progress=after,
        in_place=consumes(request, models),
        learning=learning,
        device=request.device,
        seed=request.seed,
        checkpoint=folders.home() / "unfinished" / f"{folder.name}.pt",
        start=None if chain is None else chain.start,
    )
    pair = pair if chain is None else chain.attach(pair)
    if max(model.parameters for model in (pair.a, pair.b)) <= HELD:  # 128 MB a pair
        keep(folder, lambda draft: _write_pair(draft, pair))
    return pair


def _follow(
    request: PairRequest,
    models: tuple[Model, Model],
    examples: Examples,
    learning: Learning | None,
    progress: Progress,
) -> Chain:
    """Match the checkpoints of a request, up to the ends."""
    settings = dict(request.settings)
    return follow(
        models,
        open_through(request),
        len(request.through[0]),
        examples.first(CHECKED).inputs,
        dict(request.classes),
        request.method,
        settings,
        find_seen_rows(*models),
        part(progress, 0.0, way_share(request.method, settings)),
        learning,
        request.device,
        request.seed,
        in_place=models[0].parameters > HELD,
    )


def make_line(
    request: PairRequest,
    models: tuple[Model, Model],
    examples: Examples,
    task: Task,
    progress: Progress,
    refresh: bool = False,
) -> tuple[Line, AlignedPair | None]:
    """The line that a request asks for, between both models as they are or after an alignment,
    which is the second value; for the arguments see `aligned_pair`.
    """
    if request.method == "none":
        return Line(*common_form(*models)), None
    pair = aligned_pair(request, models, examples, task, progress, refresh)
    return Line(pair.a, pair.end), pair


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


def find_ends(
    request: ModelsRequest,
    models: Sequence[Model],
    examples: Examples,
    task: Task,
    progress: Progress,
    second: int = 1,
    refresh: bool = False,
) -> Ends:
    """The first model of a request and another one, before and after the alignment that it asks
    for.

    Args:
        request: what was asked.
        models: of the request.
        examples: of the request.
        task: of the request.
        progress: told the share done and a few words; may raise to stop.
        second: number of the other model.
        refresh: align also what was aligned before.
    """
    chosen = models[0], models[second]
    rows = shared_rows(models)
    if request.method == "none":
        a, b = (restricted(model, rows) for model in common_form(*chosen))
        return Ends(a, b, None)
    asked = request.pair(second)
    pair = aligned_pair(asked, chosen, examples, task, progress, refresh)
    # Large models were aligned in place; what is kept in memory comes back at once.
    a, b = common_form(*(load_warm(reference) for reference in asked.models))
    still = in_float32(canonical(b, choose_classes(a.layout.spaces, dict(request.classes))))
    # a head that was untied for the sake of the alignment alone
    if still.state.keys() != pair.b.state.keys():
        still = untied(still)
    first, still, moved = (restricted(model, rows) for model in (pair.a, still, pair.b))
    return Ends(first, still, moved, pair.seconds, pair.function_error)


def _write_pair(draft: Path, pair: AlignedPair) -> None:
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
        "bend": pair.bend is not None,
        "soft": None if pair.soft is None else [pair.soft.model.name, pair.soft.function_error],
    }
    models = dict(zip("ab", pair.written, strict=True))
    if pair.soft is not None:
        models["soft"] = pair.soft.model
    for name, model in models.items():
        write_state(draft / f"{name}.safetensors", model.state)
    if pair.bend is not None:
        write_state(draft / "bend.safetensors", pair.bend)
    pair.alignment.save(draft / "alignment.safetensors")
    write_json(draft / "facts.json", facts)


def _read_pair(folder: Path, models: tuple[Model, Model]) -> AlignedPair:
    facts = read_json(folder / "facts.json")

    def model(name: str, like: Model, config: Mapping[str, object]) -> Model:
        return replace(like, config=config, state=load_file(folder / f"{name}.safetensors"))

    def placed(owner: list[int], shares: list[float]) -> Places:
        return Places(
            torch.tensor(owner, dtype=torch.int64), torch.tensor(shares, dtype=torch.float64)
        )

    a, b = (model(name, like, facts[name]).check() for name, like in zip("ab", models, strict=True))
    objective, before, start, starts, rounds, about = facts["trace"]
    soft = None
    if facts["soft"] is not None:
        name, error = facts["soft"]
        soft = SoftEnd(replace(model("soft", b, facts.get("rows", facts["b"])), name=name), error)
    return pair_of_wholes(
        a,
        b,
        Alignment.load(folder / "alignment.safetensors"),
        Trace(tuple(objective), before, start, starts, rounds, about),
        facts["function_error"],
        facts["seconds"],
        {name: placed(**place) for name, place in facts["places"].items()},
        soft,
        load_file(folder / "bend.safetensors") if facts.get("bend") else None,
    )


# several models


class FrameFacts(FrameNumbers):
    """How several models came into their frame."""

    align_seconds: float


FRAME_FACTS = get_type_hints(FrameFacts).keys()


@dataclass(frozen=True)
class Frame:
    """Several models in one frame.

    Attributes:
        wholes: in the order of the request, each with all its rows.
        facts: how they came there.
    """

    wholes: tuple[Model, ...]
    facts: FrameFacts

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """The models with those rows of their tables that all have."""
        return tuple(in_shared_rows(self.wholes))

    @property
    def numbers(self) -> FrameNumbers:
        """The entries of a result that say how the models came into their frame."""
        facts = self.facts
        return {
            "function_errors": facts["function_errors"],
            "cycle_error": facts["cycle_error"],
            "objective": facts["objective"],
            "objective_before": facts["objective_before"],
            "start": facts["start"],
            "found": facts["found"],
        }


def find_frame_key(request: ModelsRequest) -> str:
    """64 hexadecimal digits that name what brings the models of a request into one frame."""
    content = _describe(request) | {"algorithm": request.algorithm}
    if request.learn is not None:
        content |= _describe_learning(request)
    return hash_json({"group": content})


def frame_folder(request: ModelsRequest) -> Path:
    """The folder that the models of a request are kept in once they are in one frame."""
    return folders.home() / "aligned" / find_frame_key(request)


def bring_together(
    request: ModelsRequest,
    models: Sequence[Model],
    examples: Examples,
    task: Task,
    progress: Progress,
    refresh: bool = False,
) -> Frame:
    """Bring the models of a request into one frame as it says, or take them as they were brought
    there before.

    Args:
        request: what was asked; its method is ``none`` or a name in
            `matching.universe.MANY_METHODS`.
        models: of the request.
        examples: of the request; the function checks run on the first of them.
        task: of the request.
        progress: told the share done and a few words; may raise to stop.
        refresh: align also what was aligned before.

    Raises:
        FunctionChanged: if the outputs of a model moved by more than rounding.
    """
    if request.method == "none":
        return Frame(
            tuple(whole_forms(models)),
            {
                "function_errors": None,
                "cycle_error": None,
                "objective": [],
                "objective_before": None,
                "start": None,
                "found": {},
                "align_seconds": 0.0,
            },
        )
    folder = frame_folder(request)
    if (found := read_kept(folder, lambda path: _read_frame(path, models), refresh)) is not None:
        progress(1.0, "aligned before")
        return found
    group = align_models(request, models, examples, task, progress)
    frame = Frame(
        group.written,
        {
            "function_errors": list(group.function_errors),
            "cycle_error": group.cycle_error,
            "objective": list(group.trace.objective),
            "objective_before": group.trace.before,
            "start": group.trace.start,
            "found": cast(MatcherReport, group.trace.about),
            "align_seconds": group.seconds,
        },
    )
    if models[0].parameters <= HELD:  # 64 MB a model
        keep(folder, lambda draft: _write_frame(draft, frame))
    return frame


def align_models(
    request: ModelsRequest,
    models: Sequence[Model],
    examples: Examples,
    task: Task,
    progress: Progress,
) -> AlignedModels:
    """Align several models as a request says, whatever is kept; for the arguments see
    `bring_together`.
    """
    aligned = match_models(
        models,
        examples.first(CHECKED).inputs,
        dict(request.classes),
        request.method,
        MANY_METHODS[request.method].configured(dict(request.settings)),
        masks=find_seen_rows(*models),
        progress=progress,
        learning=open_learning(request, task, find_frame_key(request)),
        device=request.device,
    )
    if is_lazy(models[0].state):
        gc.collect()  # maps that matching left in cycles of references
    return aligned


def _write_frame(draft: Path, frame: Frame) -> None:
    for number, model in enumerate(frame.wholes, 1):
        write_state(draft / f"{number}.safetensors", model.state)
    configurations = [dict(model.config) for model in frame.wholes]
    write_json(draft / "facts.json", {"configurations": configurations, "facts": dict(frame.facts)})


def _read_frame(folder: Path, models: Sequence[Model]) -> Frame:
    content = read_json(folder / "facts.json")
    found = tuple(
        replace(like, config=config, state=load_file(folder / f"{number}.safetensors")).check()
        for number, (like, config) in enumerate(
            zip(models, content["configurations"], strict=True), 1
        )
    )
    facts = content["facts"]
    if not facts.keys() >= FRAME_FACTS:
        raise ValueError("entries are missing")
    return Frame(found, facts)
