"""The barrier between two models along the straight line: asking for it, and how it is computed:
load, align, measure the curve, gather everything that is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from lmc_core.analysis.memory import estimate_pair, require_room
from lmc_core.analysis.repair import Repaired, hidden_layers
from lmc_core.analysis.reroute import Rerouted, find_routers
from lmc_core.analysis.routing import routing
from lmc_core.analysis.temperature import tempered
from lmc_core.limits import require_counts
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.common_form import require_common_form
from lmc_core.matching.methods import METHODS, matching_share
from lmc_core.models.cache import load_warm
from lmc_core.models.common import different_heads, require_one_body
from lmc_core.models.load import full_reference, load
from lmc_core.models.model import Model
from lmc_core.models.sameness import common_weights
from lmc_core.paths.barrier import excess
from lmc_core.paths.curve import Curve, curve, require_points
from lmc_core.paths.line import Line, ModelPath
from lmc_core.paths.plain_average import against_plain, choose_places, nearest_half, plain_losses
from lmc_core.paths.rounds import PILOT, require_goal, spread
from lmc_core.progress import Part, Progress, ignore, part
from lmc_core.runs.cache import consumes, make_line
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.cost import estimate_memory, find_steps
from lmc_core.runs.inputs import (
    choose_data,
    choose_learning,
    choose_matching,
    describe_models,
    describe_request,
    describe_size,
    find_device,
    make_group_array,
    make_stamp,
    open_inputs,
    open_learning,
    refuse_learning,
    require_two,
)
from lmc_core.runs.kinds import RoutingOfExamples, Seconds
from lmc_core.runs.kinds.bent import Bent, describe_bent, find_bent, require_bend
from lmc_core.runs.kinds.curve_facts import (
    curve_facts,
    describe_sampling,
    describe_soft_end,
    pair_facts,
    soft_curve_facts,
)
from lmc_core.runs.kinds.so_far import SoFar, count_round
from lmc_core.runs.large_models import estimate_large, holds_nothing, reads_lazily
from lmc_core.runs.request import Data, Scalar
from lmc_core.runs.requests.barrier import BarrierNumbers, BarrierRequest, TemperedNumbers
from lmc_core.runs.through import choose_through
from lmc_core.tasks import Examples, Task
from lmc_core.tasks.evaluator import Mode, evaluate

# training examples at the most that temperatures and renormalisations are fitted on
STATISTICS = 1024
# in float32, while a bend is trained: both ends, the bend, its gradient, two averages of Adam
BEND_COPIES = 6
BENT = 0.9  # of the progress, where measuring a curve begins whose bend was trained
FITTED = 128  # training examples at the most that routers are fitted on, one after the other
ROUTED = 64  # examples whose tokens are followed through the routers
ROUTED_POINTS = 11


def make_request(
    a: str,
    b: str,
    *,
    task: str | None = None,
    split: str | None = None,
    examples: int | None = None,
    seed: int = 0,
    length: int | None = None,
    method: str = "weight",
    classes: Mapping[str, str] | None = None,
    points: int = 25,
    refine: int = 4,
    settings: Mapping[str, Scalar] | None = None,
    device: str | None = None,
    learn: int | None = None,
    temperature: bool = False,
    repair: bool = False,
    reroute: bool = False,
    stderr: float | None = None,
    precision: str = "float32",
    compiled: bool = False,
    bend: int = 0,
    bend_seconds: float | None = None,
    measured: bool = True,
    models: tuple[Model, Model] | None = None,
    through: Sequence[str | Path] | None = None,
) -> BarrierRequest:
    """Turn what a person asked for into a request, after checking everything that is cheap to
    check.

    Args:
        a: reference of the first model, which stays.
        b: reference of the second, which moves.
        task: name of a shipped task, ``text:FILE``, ``images:FOLDER`` or
            ``hf-dataset:NAME[:SPLIT]``; by default the task that both models were trained on.
        split: of its data; by default the test split, or the only one there is.
        examples: how many; None for all of the split.
        seed: of the draw of examples.
        length: of a window of text, in tokens; by default the models' context, at most 128.
        method: ``none``, or a name in `matching.methods.METHODS`.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        points: of the uniform grid.
        refine: further points around the maximum.
        settings: of the method, by name.
        device: ``cpu``, ``cuda``, ``mps``, or None for the default (`find_device`).
        learn: training examples for methods that use data; by default at most 8,000 images or 1,500
            windows.
        temperature: also measure the curve at the softmax temperature that is best on training
            examples at each point.
        repair: renormalise the interpolated network on training examples; for networks without
            norms.
        reroute: fit the routers of the interpolated network to the routing of the ends on training
            examples; for mixtures of experts.
        stderr: standard error of the barrier in nats: examples are taken, of those asked for, until
            it is at most that; see `paths.rounds`.
        precision: of the evaluation, ``float32`` or ``bfloat16``; see `tasks.evaluator.Mode`.
        compiled: compile the network before it is evaluated.
        bend: steps that train the bend of a curve between the aligned models, in place of the
            straight line.
        bend_seconds: a budget in place of these steps.
        measured: a loss will be measured, which models without a head do not have; where it is not,
            and the method uses no data, no task is needed.
        models: of these references, where they were loaded already and there is room for them.
        through: folders with checkpoints of the runs that led to A and to B, which are matched
            first (`matching.chain`).

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    require_counts(length=length, learn=learn, seed=seed)
    require_points(points, refine)
    require_two(examples)
    require_goal(stderr)
    Mode(precision, compiled)  # says what is not known
    bent = require_bend(method, bend, bend_seconds, repair or reroute)
    learned, device = _uses_data(method, settings), find_device(device)
    measured = measured or (learned and METHODS[method].takes_loss)
    asked = Data(task, split, examples, seed, length)
    if models is None:
        usual = precision == "float32" and not (compiled or temperature or repair or reroute)
        usual = usual and not bent and through is None
        references = full_reference(a), full_reference(b)
        models = _open_pair(references, method, device, asked, points, learned, usual)
    _require_comparable(models, measured)
    if bent:
        copies = BEND_COPIES * 4 * max(model.parameters for model in models)
        require_room(copies, f"Training a bend between {a} and {b}")
    found, data = choose_data(models, asked, measured, needed=measured or learned)
    learns = [method] * learned + ["a bend"] * bent + ["temperature"] * temperature
    learns += ["repair"] * repair + ["fitting routers"] * reroute
    if repair:
        hidden_layers(models[0])
    if reroute:
        find_routers(models[0])
    taught = _choose_taught(found, learns, method, learn, data)
    matching = choose_matching(models[1], method, classes, settings, taught)  # B moves
    if through is not None:
        matching = replace(matching, **choose_through(models, method, settings, through))
    return BarrierRequest.make(
        describe_models((a, b), models),
        data,
        matching,
        device,
        points=points,
        refine=refine,
        temperature=temperature,
        repair=repair,
        stderr=stderr,
        precision=precision,
        compiled=compiled,
        bend=bend,
        bend_seconds=bend_seconds,
        reroute=reroute,
    )


def _uses_data(method: str, settings: Mapping[str, Scalar] | None) -> bool:
    """Whether a method learns from training examples, after a look at its settings."""
    if method == "none":
        return False
    chosen = METHODS[method]
    chosen.configured(settings)
    return chosen.uses_data


def _choose_taught(
    task: Task, learns: Sequence[str], method: str, learn: int | None, data: Data
) -> tuple[int | None, str]:
    """How many training examples are learned from, and their digest if they are a person's own.

    Args:
        task: of the request.
        learns: what learns from examples, in words.
        method: of matching.
        learn: how many are asked for.
        data: of the request.

    Raises:
        BadInput: for examples that nothing learns from.
    """
    if learns:
        return choose_learning(task, learns[0], learn, data)
    refuse_learning(method, learn)
    return None, ""


def _open_pair(
    references: tuple[str, str],
    method: str,
    device: str,
    asked: Data,
    points: int,
    learned: bool,
    usual: bool,
) -> tuple[Model, Model]:
    """Two models, loaded if there is room for what is asked of them.

    Args:
        references: of both, in full.
        method: ``none``, or a name in `METHODS`.
        device: kind of device.
        asked: the data that is asked for.
        points: of the curve.
        learned: whether the method learns from examples.
        usual: whether nothing else is asked for; see `reads_lazily`.
    """
    if lazy := reads_lazily(references, method, device, usual):
        memory = estimate_large(references, method, asked.length, points, asked.examples)
    else:
        memory = estimate_pair(references, points, method != "none", learned)
    require_room(memory.peak, "Measuring between {} and {}".format(*references))
    one, two = (load(each, lazy=True) if lazy else load_warm(each) for each in references)
    return one, two


def _require_comparable(models: tuple[Model, Model], measured: bool) -> None:
    """Refuse two models that cannot be compared, or aligned where nothing is measured."""
    if not measured and different_heads(*models):
        require_one_body(*models)
    else:
        require_common_form(*models)


@dataclass(frozen=True)
class _Setting:
    """What a curve is measured on, once both models are in one frame.

    Attributes:
        request: what to do.
        models: as they were loaded; an alignment may have written into them.
        task: of the request.
        examples: of the request.
        mode: how the network runs.
        line: between the ends.
        pair: that was aligned, if any was.
        bent: the curve in place of the line, if there is one.
        train: examples that temperatures and renormalisations are fitted on, if anything learns.
    """

    request: BarrierRequest
    models: tuple[Model, Model]
    task: Task
    examples: Examples
    mode: Mode
    line: Line
    pair: AlignedPair | None
    bent: Bent | None
    train: Examples | None

    @property
    def path(self) -> ModelPath:
        """What is measured: the bent curve, the renormalised networks on the line, or the line."""
        if self.bent is not None:
            return self.bent.path
        if self.request.repair and self.train is not None:
            return Repaired(self.line, self.train, self.request.device)
        if self.request.reroute and self.train is not None:
            return Rerouted(self.line, self.train.first(FITTED), self.request.device)
        return self.line

    def describe(self, found: Curve) -> Entries:
        """The entries on the request, the curve, the alignment and the models."""
        return {
            **describe_request(self.request, self.task, found.losses.shape[1]),
            **curve_facts(found, self.task.score),
            **pair_facts(self.pair),
            **describe_size(self.models),
        }

    def describe_partly(self, so_far: Curve) -> Entries:
        """The same of a curve that is still measured, with how many examples there will be."""
        return {**self.describe(so_far), "there": len(self.examples)}

    def measure(self, path: ModelPath, so_far: SoFar, progress: Part) -> Curve:
        """The losses along the path, kept beside the results while they are measured."""
        request = self.request
        return curve(
            path,
            self.examples,
            request.points,
            request.refine,
            request.device,
            progress,
            request.stderr,
            so_far.keep,
            self.mode,
            so_far.begun,
            count_round(request, max(model.parameters for model in self.models)),
        )

    def take(self, found: Curve) -> Examples:
        """The examples that a curve was measured on."""
        return self.examples if found.rows is None else self.examples.take(found.rows)

    def measure_beside(self, path: ModelPath, found: Curve, progress: Part) -> dict[str, object]:
        """What is measured on the examples of a curve besides its losses: routes, the straight
        line of a bent curve, and the best temperatures.
        """
        request, examples = self.request, self.take(found)
        beside: dict[str, object] = {
            "routing": _follow_routes(
                path if request.reroute else self.line, examples, request.device, progress
            ),
            "repair": request.repair,
            **({"rerouted": True} if request.reroute else {}),
        }
        if self.bent is not None:
            bent = describe_bent(self.bent, self.line, examples, request, progress, self.mode)
            beside["bent"] = bent
        if request.temperature and self.train is not None:
            device, mode = request.device, self.mode
            beside["tempered"] = _temper(path, found, self.train, examples, device, progress, mode)
        return beside

    def measure_plain(self, found: Curve, progress: Part) -> Entries:
        """What the plain average of the same models loses at the barrier and half way."""
        places, device = choose_places(found), self.request.device
        examples = self.take(found)
        plain = plain_losses(self.models, places, examples, device, progress, self.mode)
        return against_plain(found, plain)

    def gather(
        self, found: Curve, beside: Entries, evaluated: float
    ) -> tuple[BarrierNumbers, Arrays]:
        """Numbers and arrays of the result.

        Args:
            found: the curve.
            beside: entries on what was measured besides it.
            evaluated: seconds that measuring took.
        """
        request, pair = self.request, self.pair
        seconds: Seconds = {"align": pair.seconds if pair else 0.0, "evaluate": evaluated}
        if self.bent is not None and self.bent.training is not None:
            seconds["learn"] = self.bent.training["learn_seconds"]
        facts = {
            **self.describe(found),
            **beside,
            **({"compiled": True} if request.compiled else {}),
            "memory": estimate_memory(request).peak,
            "seconds": seconds,
            **make_stamp(),
        }
        numbers, examples = cast(BarrierNumbers, facts), self.take(found)
        arrays = {
            "losses": found.losses.numpy(),
            "correct": found.correct.numpy(),
            **make_group_array(examples),
        }
        if pair is not None and pair.soft is not None:
            b, device = pair.b, request.device
            own = evaluate(b, [b.state], examples, device, mode=self.mode)[0][0]
            arrays["own"] = own.numpy()
            numbers["soft"] = describe_soft_end(pair, found, own)
            numbers["function_error"] = pair.soft.function_error
            numbers |= cast(BarrierNumbers, soft_curve_facts(found, own))
        return numbers, arrays


def compute(
    request: BarrierRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[BarrierNumbers, Arrays]:
    """Compute the barrier of a request.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align also what was aligned before.

    Returns:
        The numbers, and the arrays ``losses`` (nats, `[points, examples]`), ``correct`` and, where
        examples belong together, ``groups``; of a line to a soft end also ``own`` (`[examples]`),
        what B itself loses.

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    progress(0.0, "loading the models")
    lazy = holds_nothing(request)
    (a, b), task, examples = open_inputs(request, lazy)
    models = a, b
    task = replace(task, notes=(*task.notes, *_mode_notes(request)))
    same = common_weights(models)  # before an alignment writes into them
    in_place = request.method != "none" and consumes(request, models)
    mode = Mode(request.precision, request.compiled)
    pilot = None if request.stderr is None else spread(examples)[:PILOT].sort().values
    plain = None
    if in_place:  # the plain average is measured while there are the models as they were
        early = examples if pilot is None else examples.take(pilot)
        plain = _plain_before(request, models, early, mode, progress)
    aligned, measured = _divide_progress(request)
    aligning = part(progress, 0.02, aligned)
    line, pair = make_line(request, models, examples, task, aligning, refresh)
    learning = open_learning(request, task)
    train = None if learning is None else learning.train.first(STATISTICS)
    bent = find_bent(request, line, pair, task, part(progress, aligned, BENT), refresh)
    setting = _Setting(request, models, task, examples, mode, line, pair, bent, train)
    path = setting.path
    # where the alignment is not kept, coming back is not quick
    pauses = not in_place and not (lazy and pair is not None)
    so_far = SoFar(request, path, setting.describe_partly, progress, pauses, refresh)
    words = f"measuring the loss on {len(examples)} examples"
    found = setting.measure(path, so_far, part(progress, measured, 1.0, words))
    end = part(progress, 1.0, 1.0)
    beside = setting.measure_beside(path, found, end)
    if plain is not None:
        beside |= against_plain(found.only(pilot), plain)
    elif pair is not None:
        beside |= setting.measure_plain(found, end)
    if request.stderr is not None:
        beside["sampling"], sentence = describe_sampling(found, request.stderr, len(examples))
        setting = replace(setting, task=replace(task, notes=(*task.notes, sentence)))
    numbers, arrays = setting.gather(found, {"same": same, **beside}, so_far.seconds)
    so_far.remove()
    return numbers, arrays


def _divide_progress(request: BarrierRequest) -> tuple[float, float]:
    """The share of the whole that is done when the alignment is, and when measuring begins."""
    aligned = matching_share(request.method)
    if not request.bends:
        return aligned, aligned
    # training a bend takes most of what learning an alignment does not
    return min(aligned, 0.5 if find_steps(request) else 0.1), BENT


def _mode_notes(request: BarrierRequest) -> list[str]:
    """How the network ran, where not as usual, as sentences."""
    notes = []
    if request.precision != "float32":
        notes.append(
            f"Evaluated in {request.precision}: losses are off by 1e-3 to 4e-3 nats on average."
        )
    if request.compiled:
        notes.append("The network was compiled before it was evaluated.")
    return notes


def _plain_before(
    request: BarrierRequest,
    models: tuple[Model, Model],
    examples: Examples,
    mode: Mode,
    progress: Progress,
) -> tuple[list[float], Tensor]:
    """What the plain average loses half way, of models that an alignment writes into; of others it
    is measured later.
    """
    middle = nearest_half(torch.linspace(0, 1, request.points, dtype=torch.float64))
    tell = part(progress, 0.0, 0.0)
    return plain_losses(models, [middle], examples, request.device, tell, mode)


def _temper(
    path: ModelPath,
    found: Curve,
    train: Examples,
    examples: Examples,
    device: str,
    progress: Part,
    mode: Mode,
) -> TemperedNumbers:
    """The curve once more, with a softmax temperature fitted on training examples at each of its
    points.
    """
    progress = part(progress, 0.0, 1.0, "fitting a temperature at every point")
    fitted, curve = tempered(path, found.lam, train, examples, device, progress, mode)
    top, above = curve.barrier, excess(curve.lam, curve.losses)
    return {
        "temperatures": fitted.tolist(),
        "loss": curve.mean.tolist(),
        "excess": above.mean(1).tolist(),
        "barrier": top.value,
        "barrier_stderr": top.stderr,
        "barrier_lam": top.lam,
        "examples": len(train),
    }


def _follow_routes(
    line: ModelPath, examples: Examples, device: str, progress: Part
) -> RoutingOfExamples | None:
    """Routing agreement and load of the experts along the line; None for a network without
    experts.
    """
    if not any(space.kind == "experts" for space in line.a.layout.spaces.values()):
        return None
    few = examples.first(ROUTED)
    progress = part(progress, 0.0, 1.0, "following the routers' choices")
    followed = routing(line, few, ROUTED_POINTS, device, progress)
    return cast(RoutingOfExamples, {**followed.listed(), "examples": len(few)})
