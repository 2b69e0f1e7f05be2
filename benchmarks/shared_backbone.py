"""Mixtures of experts on one shared frozen backbone: what is left of the barrier between them.

    python benchmarks/shared_backbone.py FOLDER                     # dense, in the first block
    python benchmarks/shared_backbone.py FOLDER --routing sparse --layers 0 1 2 3
    python benchmarks/shared_backbone.py FOLDER --experts 8 --units 96 --split test

The feed-forward layer of one block, or of several, of a trained model is replaced by a mixture of
ReLU networks that is drawn anew for each seed and trained, while everything else stays as it is.
Tran et al. 2025 (arXiv 2509.11348, section 6) replace such layers of pretrained Vision Transformers
and of GPT-2, and train three seeds of each. Mixtures are kept in FOLDER and trained where they are
not there, on the training split alone.

The stream is shared, so what may move are the order of the experts, the order of the units inside
each, and positive factors of the units. Rows: as numbered (plain); units alone; units with the
experts in the order of their routers, of their products (Gram) and exactly; by activations with the
weights; and with `--learned STEPS` by descent on the loss. Then, with the exact alignment, the
order of all 24 that has the least and the greatest loss half way on training examples. Barriers in
nats and as a share of plain, each with its standard errors over models and over examples.
"""

from __future__ import annotations

import argparse
import sys
from itertools import combinations
from pathlib import Path

import torch
from shared_backbone_runs import ROUTINGS, Setting, train

from lmc_core import Line, Model, align, curve, get_task
from lmc_core.analysis.expert_orders import ALL, MOST, every_order, mixtures, number_of_orders
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.experts import Mixture
from lmc_core.matching.state import MatchingState
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective
from lmc_core.paths.pair_numbers import Measured, count_words, numbers, summarise_pairs, words
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import Evaluator

ORDERS = {"units only": "none", "router order": "router", "Gram order": "gram", "exact": "exact"}
CHOICE = 256  # training examples by which the best and the worst of all orders are chosen
SEEN = 4000  # training examples, at most, for activations and for learning


def measure(a: Model, b: Model, examples: Examples, points: int) -> Measured:
    """The barrier of a line, with what every example adds."""
    found = curve(Line(a, b), examples, points, 0)
    arrays = {"losses": found.losses.numpy(), "correct": found.correct.numpy()}
    return numbers(found.lam.tolist(), arrays, "accuracy")["barrier"]


def extremes(pair: AlignedPair, choice: Examples) -> dict[str, Model]:
    """B with the best and the worst order of every mixture half way, the others held, and with the
    units matched anew; nothing where there are too many orders to try.
    """
    layout = pair.a.layout
    roots, classes = mixtures(layout), choose_classes(layout.spaces)
    if any(number_of_orders(layout, root) > MOST for root in roots):
        return {}
    tried = every_order(pair.a, pair.b, pair.alignment, classes, choice)
    apart = [orders for orders in tried if orders.mixture != ALL]
    problem = make_objective(layout, pair.a.state, pair.b.state, classes, WeightSettings())
    state, found = MatchingState(problem), {}
    for name, worst in (("best of all", False), ("worst of all", True)):
        elements = {}
        for root, orders in zip(roots, apart, strict=True):
            assert orders.found is not None
            chosen = int(orders.excess.argmax() if worst else orders.excess.argmin())
            order = orders.orders[orders.found].argsort()[orders.orders[chosen]]
            elements |= Mixture(state, layout.spaces[root]).given(order)
        moved = Alignment.of(layout.spaces, elements).apply(layout, pair.b.state)
        found[name] = pair.b.with_state(moved)
    return found


def rows(
    a: Model, b: Model, examples: Examples, train: Examples, points: int, learned: int
) -> dict[str, Measured]:
    """Every row of one pair."""
    found = {"plain": measure(a, b, examples, points)}
    for name, way in ORDERS.items():
        pair = align(a, b, examples, settings={"experts": way})
        found[name] = measure(pair.a, pair.b, examples, points)
        if way == "exact":
            for end, model in extremes(pair, train.first(CHOICE)).items():
                found[end] = measure(pair.a, model, examples, points)
    pair = align(a, b, examples, method="activation", train=train)
    found["activations"] = measure(pair.a, pair.b, examples, points)
    if learned:
        settings = {"steps": learned}
        pair = align(a, b, examples, method="learned", settings=settings, train=train)
        found[f"learned, {learned}"] = measure(pair.a, pair.b, examples, points)
    return found


def main() -> None:
    """Train what is not there, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--backbone", default="vit-fashion-s0", help="an included model without experts"
    )
    parser.add_argument("--layers", type=int, nargs="+", default=[0])
    parser.add_argument("--routing", choices=ROUTINGS, default="dense")
    parser.add_argument("--experts", type=int, default=4)
    parser.add_argument("--units", type=int, default=192, help="of each expert")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--decay", type=float, default=0.05)
    parser.add_argument("--length", type=int, default=128, help="of a text task, in tokens")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", default="validation", choices=("validation", "test"))
    parser.add_argument("--examples", type=int, help="of the split; all by default")
    parser.add_argument("--points", type=int, default=9)
    parser.add_argument("--learned", type=int, default=0, help="steps of learning; 0 for none")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    names = ("routing", "experts", "units", "steps", "batch", "rate", "decay", "length")
    options = {name: getattr(given, name) for name in names}
    setting = Setting(backbone=given.backbone, layers=tuple(given.layers), **options)
    models = [train(setting, seed, given.folder) for seed in range(given.seeds)]
    task = get_task(setting.recipe(0).task)
    examples = task.examples(given.split, given.examples, length=given.length)
    learning = task.examples("train", SEEN, length=given.length)
    pairs, found = list(combinations(range(given.seeds), 2)), []
    for i, j in pairs:
        found.append(rows(models[i], models[j], examples, learning, given.points, given.learned))
        said = ", ".join(f"{name} {row.value:.3f}" for name, row in found[-1].items())
        print(f"  {i} {j} {said}", file=sys.stderr, flush=True)
    ends = Evaluator(models[0], examples).losses([model.state for model in models])[0].mean(1)
    count = count_words(summarise_pairs(pairs, [each["plain"] for each in found], examples.groups))
    print(f"\n{setting.name}: {count}, {given.split} split, {len(examples)} examples")
    print("losses of the ends, nats: " + ", ".join(f"{loss:.4f}" for loss in ends.tolist()))
    for name in found[0]:
        each = summarise_pairs(pairs, [pair[name] for pair in found], examples.groups)
        shares = [pair[name].over(pair["plain"]) for pair in found]
        share = summarise_pairs(pairs, shares, examples.groups)
        print(f"{name:14} {words(each, errors=True):>42} {words(share, errors=True):>42}")


if __name__ == "__main__":
    main()
