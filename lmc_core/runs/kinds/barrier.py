"""The barrier between two models along the straight line: its request, its numbers, and how it is
computed: load, align, measure the curve, gather everything that is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import cast

import torch
from torch import Tensor

from lmc_core.analysis.memory import estimate_pair, require_room
from lmc_core.analysis.repair import Repaired, hidden_layers
from lmc_core.analysis.routing import routing
from lmc_core.analysis.temperature import tempered
from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.limits import require_counts
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.common_form import require_common_form
from lmc_core.matching.methods import METHODS, matching_share
from lmc_core.models.cache import load_warm
from lmc_core.models.common import different_heads, require_one_body
from lmc_core.models.load import full_reference
from lmc_core.models.model import Model
from lmc_core.models.sameness import common_weights
from lmc_core.paths.above_chord import SINGLE, above_chord, crossfitted, drop_facts
from lmc_core.paths.barrier import excess, place
from lmc_core.paths.curve import Curve, curve
from lmc_core.paths.line import Line, ModelPath
from lmc_core.paths.plain_average import against_plain, choose_places, nearest_half, plain_losses
from lmc_core.paths.rounds import PILOT, require_goal, spread
from lmc_core.paths.soft_end import against_true_ends, place_to_soft_end
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
    read_groups,
    read_score,
    read_tensor,
    require_two,
)
from lmc_core.runs.kinds import PairNumbers, RoutingOfExamples, Seconds
from lmc_core.runs.kinds.bent import describe_bent, find_bent, require_bend
from lmc_core.runs.kinds.so_far import SoFar, count_round
from lmc_core.runs.request import Data, RequestJson, Scalar
from lmc_core.runs.requests.barrier import (
    BarrierNumbers,
    BarrierRequest,
    CurveNumbers,
    Sampling,
    SoftNumbers,
    TemperedNumbers,
)
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import Mode, evaluate

# training examples at the most that temperatures and renormalisations are fitted on
STATISTICS = 1024
# in float32, while a bend is trained: both ends, the bend, its gradient, two averages of Adam
BEND_COPIES = 6
BENT = 0.9  # of the progress, where measuring a curve begins whose bend was trained
ROUTED = 64  # examples whose tokens are followed through the routers
ROUTED_POINTS = 11
# entries on the loss above the chord that need B's own losses, one by one, where a line leads to a
# soft end
AGAINST_TRUE_END = (
    "excess_low",
    "excess_high",
    "excess_factor",
    "at_zero",
    "midpoint_excess",
    "midpoint_excess_stderr",
    "barrier_crossfit",
    "barrier_crossfit_stderr",
)


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
    stderr: float | None = None,
    precision: str = "float32",
    compiled: bool = False,
    bend: int = 0,
    bend_seconds: float | None = None,
    measured: bool = True,
    models: tuple[Model, Model] | None = None,
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
        device: ``cpu``, ``cuda``, ``mps``, or None for the best there is.
        learn: training examples for methods that use data; by default at most 8,000 images or 1,500
            windows.
        temperature: also measure the curve at the softmax temperature that is best on training
            examples at each point.
        repair: renormalise the interpolated network on training examples; for networks without
            norms.
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

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    require_counts(length=length, learn=learn, seed=seed)
    _require_counts(points, refine, examples)
    require_goal(stderr)
    Mode(precision, compiled)  # says what is not known
    bent = require_bend(method, bend, bend_seconds, repair)
    learned, device = _uses_data(method, settings), find_device(device)
    measured = measured or (learned and METHODS[method].takes_loss)
    if models is None:
        models = _open_pair(a, b, points, method != "none", learned)
    _require_comparable(models, measured)
    if bent:
        copies = BEND_COPIES * 4 * max(model.parameters for model in models)
        require_room(copies, f"Training a bend between {a} and {b}")
    asked = Data(task, split, examples, seed, length)
    found, data = choose_data(models, asked, measured, needed=measured or learned)
    learns = [method] * learned + ["a bend"] * bent
    learns += ["temperature"] * temperature + ["repair"] * repair
    if repair:
        hidden_layers(models[0])
    taught: tuple[int | None, str] = (None, "")
    if learns:
        taught = choose_learning(found, learns[0], learn, data)
    elif learn is not None:
        raise BadInput(
            f"The method {method} learns from no examples; leave their number out, or choose "
            "one that does."
        )
    return BarrierRequest.make(
        describe_models((a, b), models),
        data,
        choose_matching(models[1], method, classes, settings, taught),  # B moves
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
    )


def _require_counts(points: int, refine: int, examples: int | None) -> None:
    require_counts(points=points, refine=refine)
    if points < 3:
        raise BadInput(f"At least 3 points are needed, both ends included; {points} came.")
    if refine < 0:
        raise BadInput(f"The number of refining points should be 0 or more; {refine} came.")
    require_two(examples)


def _uses_data(method: str, settings: Mapping[str, Scalar] | None) -> bool:
    """Whether a method learns from training examples, after a look at its settings."""
    if method == "none":
        return False
    chosen = METHODS[method]
    chosen.configured(settings)
    return chosen.uses_data


def _open_pair(a: str, b: str, points: int, aligned: bool, learned: bool) -> tuple[Model, Model]:
    """Two models, loaded if there is room for what is asked of them."""
    references = full_reference(a), full_reference(b)
    require_room(
        estimate_pair(references, points, aligned, learned).peak, f"Measuring between {a} and {b}"
    )
    return load_warm(references[0]), load_warm(references[1])


def _require_comparable(models: tuple[Model, Model], measured: bool) -> None:
    """Refuse two models that cannot be compared, or aligned where nothing is measured."""
    if not measured and different_heads(*models):
        require_one_body(*models)
    else:
        require_common_form(*models)


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
    (a, b), task, examples = open_inputs(request)
    task = replace(task, notes=(*task.notes, *_mode_notes(request)))
    same = common_weights((a, b))  # before an alignment writes into them
    in_place = request.method != "none" and consumes(request, (a, b))
    # where the progress of measuring begins
    first = matching_share(request.method)
    if request.bends:  # training a bend takes most of what learning an alignment does not
        first = min(first, 0.5 if find_steps(request) else 0.1)
    mode = Mode(request.precision, request.compiled)
    # of these the plain average is measured where that has to be before the alignment
    first_rows = None if request.stderr is None else spread(examples)[:PILOT].sort().values
    early = examples if first_rows is None else examples.take(first_rows)
    plain = _plain_before(request, (a, b), early, mode, progress) if in_place else None
    aligning = part(progress, 0.02, first)
    line, pair = make_line(request, (a, b), examples, task, aligning, refresh)
    learning = open_learning(request, task)
    path: ModelPath = line
    if request.repair and learning is not None:
        path = Repaired(line, learning.train.first(STATISTICS), request.device)
    bending = part(progress, first, BENT)
    curved = find_bent(request, line, pair, task, bending, refresh)
    if curved is not None:
        path = curved.path
        if curved.training is not None:
            first = BENT
    measuring = part(progress, first, 1.0, f"measuring the loss on {len(examples)} examples")
    there = len(examples)

    def describe(so_far: Curve) -> Entries:
        return {
            **describe_request(request, task, so_far.losses.shape[1]),
            **curve_facts(so_far, task.score),
            **pair_facts(pair),
            **describe_size((a, b)),
            "there": there,
        }

    so_far = SoFar(request, path, describe, progress, pauses=not in_place, refresh=refresh)
    found = curve(
        path,
        examples,
        request.points,
        request.refine,
        request.device,
        measuring,
        request.stderr,
        so_far.keep,
        mode,
        so_far.begun,
        count_round(request, max(a.parameters, b.parameters)),
    )
    if found.rows is not None:
        examples = examples.take(found.rows)
    end = part(progress, 1.0, 1.0)
    beside: dict[str, object] = {
        "routing": _follow_routes(line, examples, request.device, end),
        "repair": request.repair,
    }
    if curved is not None:
        beside["bent"] = describe_bent(curved, line, examples, request, end, mode)
    if request.temperature and learning is not None:
        train = learning.train.first(STATISTICS)
        beside["tempered"] = _temper(path, found, train, examples, request.device, end, mode)
    if pair is not None and plain is None:
        plain = plain_losses((a, b), choose_places(found), examples, request.device, end, mode)
        beside |= against_plain(found, plain)
    elif plain is not None:
        beside |= against_plain(found.only(first_rows), plain)
    if request.stderr is not None:
        sampling, sentence = _describe_sampling(found, request.stderr, there)
        beside["sampling"] = sampling
        task = replace(task, notes=(*task.notes, sentence))
    seconds: Seconds = {"align": pair.seconds if pair else 0.0, "evaluate": so_far.seconds}
    if curved is not None and curved.training is not None:
        seconds["learn"] = curved.training["learn_seconds"]
    facts = {
        **describe_request(request, task, found.losses.shape[1]),
        **curve_facts(found, task.score),
        **pair_facts(pair),
        **describe_size((a, b)),
        "same": same,
        **beside,
        **({"compiled": True} if request.compiled else {}),
        "memory": estimate_memory(request).peak,
        "seconds": seconds,
        **make_stamp(),
    }
    numbers = cast(BarrierNumbers, facts)
    arrays = {
        "losses": found.losses.numpy(),
        "correct": found.correct.numpy(),
        **make_group_array(examples),
    }
    if pair is not None and pair.soft is not None:
        own = evaluate(pair.b, [pair.b.state], examples, request.device, mode=mode)[0][0]
        arrays["own"] = own.numpy()
        numbers["soft"] = _describe_soft_end(pair, found, own)
        numbers["function_error"] = pair.soft.function_error
        numbers |= cast(BarrierNumbers, soft_curve_facts(found, own))
    so_far.remove()
    return numbers, arrays


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


def _describe_sampling(found: Curve, goal: float, there: int) -> tuple[Sampling, str]:
    """How many examples were taken for a standard error, as entries and in a sentence."""
    taken, error = found.losses.shape[1], found.barrier.stderr
    reached = error <= goal
    if reached:
        words = (
            f"{taken:,} of {there:,} examples were taken, which give the standard error of the "
            f"barrier that was asked for, {goal:g} nats."
        )
    else:
        words = (
            f"All {there:,} examples were taken and the standard error of the barrier is "
            f"{error:.2g} nats; the {goal:g} asked for are out of reach with them."
        )
    return {"stderr": goal, "there": there, "reached": reached}, words


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
    line: Line, examples: Examples, device: str, progress: Part
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


def _describe_soft_end(pair: AlignedPair, found: Curve, own: Tensor) -> SoftNumbers:
    """What is said of a soft end: the function error is its own, and B's stands beside it.

    Args:
        pair: that was aligned, softly.
        found: the curve to the soft end.
        own: what B itself loses, `[examples]`.
    """
    assert pair.soft is not None
    about = pair.trace.about["soft"]
    return {
        "temperature": about["temperature"],
        "entropy": about["entropy"],
        "sharp": about["sharp"],
        "softened": about["softened"],
        "loss": float(found.mean[-1]),
        "loss_of_b": float(own.double().mean()),
        "function_error": pair.soft.function_error,
        "hard_function_error": pair.function_error,
    }


def pair_facts(pair: AlignedPair | None) -> PairNumbers:
    """The entries of a result that say what an alignment found and that no function changed; empty
    ones for none.
    """
    if pair is None:
        return {
            "function_error": None,
            "objective": [],
            "objective_before": None,
            "start": None,
            "found": {},
        }
    facts = {
        "function_error": pair.function_error,
        "objective": list(pair.trace.objective),
        "objective_before": pair.trace.before,
        "start": pair.trace.start,
        "found": dict(pair.trace.about),
        "places": {
            space: {name: values.tolist() for name, values in asdict(place).items()}
            for space, place in pair.places.items()
        },
    }
    return cast(PairNumbers, facts)


def curve_facts(found: Curve, score: str) -> CurveNumbers:
    """The entries of a result that are its curve: losses, chord, excess, score, barrier, and the
    area above the chord.

    ``barrier`` is the largest excess as it is, ``barrier_crossfit`` the same without the bias of
    having looked for it; the band and ``at_zero`` are those of `above_chord`. Errors are over
    examples, or the groups of the curve.

    Args:
        found: the curve; one whose groups are not known, as of old results, is taken for one of
            independent examples.
        score: of the task, ``accuracy`` or ``perplexity``.
    """
    mean, lam = found.mean, found.lam
    above = excess(lam, found.losses)
    top = found.barrier
    chord = (1 - lam) * mean[0] + lam * mean[-1]
    areas = torch.trapezoid(above, lam, dim=0)
    middle = int((lam - 0.5).abs().argmin())
    if score == "accuracy":
        scores = found.correct.double().mean(1).tolist()
    else:
        scores = [math.exp(min(value, 700.0)) for value in mean.tolist()]
    facts = {
        "lam": lam.tolist(),
        "loss": mean.tolist(),
        "loss_stderr": found.stderr.tolist(),
        "chord": chord.tolist(),
        **above_chord(lam, above, found.groups, SINGLE * float(mean.abs().max())),
        score: scores,
        "barrier": top.value,
        "barrier_stderr": top.stderr,
        "barrier_lam": top.lam,
        **crossfitted(above, found.groups, place, "barrier"),
        **(drop_facts(found) if score == "accuracy" else {}),
        "area": float(areas.mean()),
        "area_stderr": float(stderr(areas, found.groups)),
        "midpoint_loss": float(mean[middle]),
    }
    return cast(CurveNumbers, facts)


def soft_curve_facts(found: Curve, own: Tensor) -> Entries:
    """Chord, excess and barrier of a curve to a soft end, against what B itself loses (`own`,
    `[examples]`).
    """
    ends = against_true_ends(found, own)
    above = ends.excess
    return {
        "chord": ends.chord.tolist(),
        **above_chord(found.lam, above, found.groups, SINGLE * float(found.mean.abs().max())),
        "barrier": ends.barrier.value,
        "barrier_stderr": ends.barrier.stderr,
        "barrier_lam": ends.barrier.lam,
        **crossfitted(above, found.groups, place_to_soft_end, "barrier"),
    }


def summarize(request: RequestJson, numbers: BarrierNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the losses; see `runs.computation.summarize`."""
    losses, correct = (read_tensor(arrays, name, 2) for name in ("losses", "correct"))
    if losses.shape != correct.shape:
        raise ValueError("losses and correct differ in shape")
    lam = torch.tensor(numbers["lam"], dtype=torch.float64)
    if lam.shape != (len(losses),):
        raise ValueError("as many points as rows are needed")
    curve = Curve(lam, losses, correct, read_groups(arrays))
    facts = curve_facts(curve, read_score(numbers["score"]))
    found: dict[str, object] = {**facts, "examples": losses.shape[1]}
    if (soft := numbers.get("soft")) is not None:
        if "own" in arrays:
            own = read_tensor(arrays, "own", 1)
            found |= soft_curve_facts(curve, own)
            soft = {**soft, "loss_of_b": float(own.double().mean())}
        else:  # of an earlier version: the means follow, the errors do not
            points, loss = facts["lam"], facts["loss"]
            chord = [(1 - x) * loss[0] + x * soft["loss_of_b"] for x in points]
            found = {name: value for name, value in found.items() if name not in AGAINST_TRUE_END}
            found |= above_means(points, loss, chord, last=True) | {
                "excess_stderr": numbers["excess_stderr"],
                "barrier_stderr": numbers["barrier_stderr"],
            }
        found["soft"] = {**soft, "loss": facts["loss"][-1]}
    if (tempered := numbers.get("tempered")) is not None:
        found["tempered"] = {**tempered, **above_means(facts["lam"], tempered["loss"])}
    return found


def above_means(
    lam: list[float], loss: list[float], chord: list[float] | None = None, last: bool = False
) -> dict[str, object]:
    """Excess and barrier of a curve of which the means alone are kept.

    Args:
        lam: the points.
        loss: mean loss at each.
        chord: what it is measured against; by default the line between the first and the last.
        last: whether the last point counts, as it does for a line to a soft end.
    """
    if len(loss) != len(lam):
        raise ValueError("as many losses as points are needed")
    own = chord is not None
    chord = chord or [(1 - x) * loss[0] + x * loss[-1] for x in lam]
    above = [a - b for a, b in zip(loss, chord, strict=True)]
    inside = range(1, len(lam) if last else len(lam) - 1)
    top = max(inside, key=above.__getitem__)
    if not last and above[top] <= 0:  # the convention of `paths.barrier`
        top = min(inside, key=above.__getitem__)
    found: dict[str, object] = {"excess": above, "barrier": above[top], "barrier_lam": lam[top]}
    return {**found, "chord": chord} if own else found
