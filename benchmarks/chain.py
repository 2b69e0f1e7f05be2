"""Ends alone against the chain through checkpoints: barriers on the validation split, and of the
pair of one initialisation the share of coordinates that find the place they began from, with one
run moved by a random group element.

    python benchmarks/chain_runs.py FOLDER && python benchmarks/chain.py FOLDER
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from lmc_core.matching.align import align
from lmc_core.matching.aligned import AlignedPair, canonical
from lmc_core.matching.pair import align_pair
from lmc_core.models.checkpoints import list_checkpoints
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.paths.barrier import excess
from lmc_core.paths.curve import Curve, curve
from lmc_core.paths.line import Line
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import Classes, choose_classes, permutations_only
from lmc_core.tasks import get_task

POINTS = 9
EXAMPLES = {"fashion-mnist": 1000, "plays": 200}
LEARN = {"fashion-mnist": 8000, "plays": 1500}
Run = list[Model]  # checkpoints, and the end
# what is matched before the ends: nothing, the ends themselves, the checkpoints
WAYS = {"ends": slice(0), "again": slice(-1, None), "chain": slice(-1)}


def read_run(folder: Path) -> Run:
    """The models of a run, the end last."""
    return [load_folder(path) for path in (*list_checkpoints(folder), folder)]


def match(
    runs: tuple[Run, Run], method: str, classes: Mapping[str, str] | None, way: str
) -> AlignedPair:
    """The ends of two runs, aligned alone, once more from there, or through all checkpoints."""
    a, b = (run[-1] for run in runs)
    task = get_task(a.card.text("task"))
    train = None
    if method == "activation":
        train = task.examples("train", LEARN[task.name])
    before = runs[0][WAYS[way]], runs[1][WAYS[way]]
    through = before if before[0] else None
    examples = task.examples("validation", 16)
    return align(a, b, examples, method=method, classes=classes, train=train, through=through)


def measure(a: Model, b: Model) -> Curve:
    """The curve between two models, on the validation split."""
    task = get_task(a.card.text("task"))
    examples = task.examples("validation", EXAMPLES[task.name])
    return curve(Line(a, b), examples, POINTS, 0)


def describe(found: Curve) -> str:
    """The barrier with its standard error, and the loss half way."""
    top = found.barrier
    return f"{top.value:.3f} +- {top.stderr:.3f} at {top.lam:.3f}"


def difference(one: Curve, other: Curve) -> str:
    """Excess half way, one less the other, on the same examples."""
    middle = POINTS // 2
    apart = excess(one.lam, one.losses)[middle] - excess(other.lam, other.losses)[middle]
    error = float(apart.std() / len(apart) ** 0.5)
    return f"{float(apart.mean()):+.3f} +- {error:.3f}"


def planted(run: Run, classes: Classes, seed: int) -> tuple[Run, Alignment]:
    """The whole run moved by one random element, and that element."""
    forms = [canonical(model, classes) for model in run]
    layout = forms[0].layout
    moved = Alignment.random(layout.spaces, classes, torch.Generator().manual_seed(seed))
    return [
        replace(form.with_state(moved.apply(layout, form.state)), card=model.card)
        for form, model in zip(forms, run, strict=True)
    ], moved


def recovered(pair: AlignedPair, moved: Alignment) -> dict[str, str]:
    """By kind of space the share of coordinates that stand where they began; of one that is
    rotated, whose largest entry does, with the mean cosine.
    """
    kinds: dict[str, list[torch.Tensor]] = {}
    back = pair.alignment.compose(moved)
    for name, element in back.elements.items():
        space = pair.a.layout.spaces[name]
        matrix = element.matrix()
        matrix = matrix.reshape(-1, *matrix.shape[-2:])
        still = matrix.abs().argmax(-1) == torch.arange(matrix.shape[-1])
        cosine = matrix.diagonal(dim1=-2, dim2=-1)
        if space.kind in ("residual", "units", "heads"):
            pieces = torch.stack([still.double().flatten(), cosine.double().flatten()])
            kinds.setdefault(space.kind, []).append(pieces)
    found = {kind: torch.cat(each, 1) for kind, each in kinds.items()}
    return {
        k: f"{100 * float(v[0].mean()):.0f} % ({float(v[1].mean()):.2f})" for k, v in found.items()
    }


def follow(pair: str, runs: tuple[Run, Run]) -> None:
    """Print the shares that are recovered along two runs of one beginning, with permutations alone,
    by each pair of checkpoints from the one before and by itself.
    """
    classes = permutations_only(runs[0][-1].layout.spaces)
    named = {name: chosen.value for name, chosen in classes.items()}
    inputs = get_task(runs[0][-1].card.text("task")).examples("validation", 16).inputs
    start = None
    for a, b in zip(*runs, strict=True):
        alone = align_pair(a, b, inputs, named)
        chained = alone if start is None else align_pair(a, b, inputs, named, start=start)
        start, still = chained.alignment, Alignment.of(a.layout.spaces)
        shares = [json.dumps(recovered(found, still)) for found in (alone, chained)]
        print(f"{pair} {a.name}: alone {shares[0]}, chain {shares[1]}", flush=True)


def main() -> None:
    """Print one line for every pair, class and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", nargs="*", default=[], help="A,B of folders")
    parser.add_argument("--methods", nargs="*", default=["weight", "activation"])
    parser.add_argument("--classes", nargs="*", default=["largest"])
    parser.add_argument("--ways", nargs="*", default=["ends", "chain"], choices=WAYS)
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--followed", action="store_true", help="print shares along the runs only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for pair in arguments.pairs:
        runs = tuple(read_run(arguments.folder / name) for name in pair.split(","))
        assert len(runs) == 2
        if arguments.followed:
            follow(pair, (runs[0], runs[1]))
            continue
        plain = measure(runs[0][-1], runs[1][-1])
        print(f"{pair} plain {describe(plain)}", flush=True)
        for kind in arguments.classes:
            report(pair, (runs[0], runs[1]), kind, arguments)


def report(pair: str, runs: tuple[Run, Run], kind: str, arguments: argparse.Namespace) -> None:
    """Print what each method finds with classes of one kind."""
    spaces = runs[0][-1].layout.spaces
    classes = choose_classes(spaces) if kind == "largest" else permutations_only(spaces)
    named = {name: chosen.value for name, chosen in classes.items()}
    for method in arguments.methods:
        curves = {}
        for word in arguments.ways:
            found = match(runs, method, named, word)
            curves[word] = measure(found.a, found.b)
            objective = f"objective {found.trace.objective[-1]:.4f}"
            print(f"{pair} {kind} {method} {word} {describe(curves[word])} {objective}", flush=True)
            if not arguments.planted:
                continue
            shares = recovered(found, Alignment.of(spaces))
            print("   as it is", json.dumps(shares), flush=True)
            other, element = planted(runs[1], classes, 7)
            shares = recovered(match((runs[0], other), method, named, word), element)
            print("   planted ", json.dumps(shares), flush=True)
        for word in arguments.ways[1:]:
            apart = difference(curves[word], curves[arguments.ways[0]])
            print(f"   {word} - {arguments.ways[0]} half way {apart}", flush=True)


if __name__ == "__main__":
    main()
