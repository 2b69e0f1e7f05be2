"""What is left of the barrier between two language models after learning, and what takes it away.

    python benchmarks/midpoint.py gpt2-plays-s0 gpt2-plays-s1               # every row
    python benchmarks/midpoint.py llama-plays-s0 llama-plays-s1 --only whole --only random
    python benchmarks/midpoint.py ... --steps 2400

All begin with activation matching; what follows is learned matching by the gradient, on the same
windows of the training split:

    start     nothing more is learned
    whole     all maps move
    held      the residual stream stays where activation matching put it, all else moves
    slow      the stream moves at a tenth of the rate
    random    the stream is turned at random first, then all maps move
    apart     the directions in which B's stream varies most are turned to those in which A's varies
              least, then all maps move
    free      units may be mixed by any invertible matrix. That is no symmetry: B is another
              function afterwards. The row says what the bound to symmetries costs; units with a
              gate are left out.

First is printed to which cosines one rotation for all points, or one for each, would bring both
streams (Procrustes, fitted to training windows). Then for each row: the loss at the midpoint above the mean of the ends' losses, validation split, nats,
with the standard error over windows, and for every point of the residual stream the mean cosine
between both ends, after subtracting the mean of each. Then, of `whole`, where at the midpoint it is
lost: by how easy a token is for the ends, with other temperatures, and with single blocks of the
midpoint replaced by the average of what those of both ends compute.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

import lmc_core
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.learned import charts, learner
from lmc_core.matching.learned.learn import learn
from lmc_core.matching.learned.method import LearnedSettings
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.models.model import Model
from lmc_core.runs.inputs import choose_task
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Orthogonal, ones_complement
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, choose_classes
from lmc_core.tasks.learning import Learning

BATCH = 32
ROWS = ("start", "whole", "held", "slow", "random", "apart", "free")
TEMPERATURES = (0.8, 0.9, 0.95, 1.0, 1.05)
QUINTILES = 5


def blocks(module: Any) -> tuple[list[Any], nn.Module]:
    """The blocks of a language model, and the norm behind them."""
    body = module.transformer if hasattr(module, "transformer") else module.model
    return (list(body.h), body.ln_f) if hasattr(body, "h") else (list(body.layers), body.norm)


@torch.no_grad()
def streams(model: Model, inputs: Tensor) -> list[Tensor]:
    """The residual stream at the start of every block and at the end, `[tokens, width]`."""
    module = model.module().eval()
    seen: list[Tensor] = []
    points, last = blocks(module)
    hooks = [
        point.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, 1)))
        for point in (*points, last)
    ]
    module(inputs)
    for hook in hooks:
        hook.remove()
    return [each - each.mean(0) for each in seen]


@torch.no_grad()
def token_losses(module: nn.Module, windows: Tensor, temperature: float = 1.0) -> Tensor:
    """Loss of every token but the first of each window, nats, `[windows, tokens - 1]`."""
    found = []
    for batch in windows.split(BATCH):
        logits = module(batch).logits[:, :-1] / temperature
        found.append(nn.functional.cross_entropy(logits.mT, batch[:, 1:], reduction="none"))
    return torch.cat(found)


@torch.no_grad()
def mean_losses(pair: AlignedPair, windows: Tensor) -> Tensor:
    """As `token_losses`, of the mean of what both ends predict."""
    ends = [model.module().eval()(windows).logits[:, :-1].softmax(-1) for model in (pair.a, pair.b)]
    logarithms = ((ends[0] + ends[1]) / 2).log()
    return nn.functional.nll_loss(logarithms.mT, windows[:, 1:], reduction="none")


def average(pair: AlignedPair) -> nn.Module:
    """The midpoint of an aligned pair, as a module."""
    state = {name: (value + pair.b.state[name]) / 2 for name, value in pair.a.state.items()}
    return pair.a.with_state(state).module().eval()


def turned(pair: AlignedPair, how: str, inputs: Tensor) -> Alignment:
    """An alignment that turns the stream of B at random, or apart from that of A."""
    space = pair.a.layout.spaces["residual"]
    one = torch.eye(space.size, dtype=torch.float64)
    basis = ones_complement(space.size) if space.fixes_ones else one
    if how == "random":
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(basis.shape[1], basis.shape[1], generator=generator).double()
        inner = torch.linalg.qr(drawn)[0]
    else:
        a, b = (directions(model, inputs, basis) for model in (pair.a, pair.b))
        inner = a.flip(1) @ b.T
    turn = basis @ inner @ basis.T + (1 / space.size if space.fixes_ones else 0)
    return Alignment.of(pair.a.layout.spaces, {"residual": Orthogonal(turn)})


def directions(model: Model, inputs: Tensor, basis: Tensor) -> Tensor:
    """Directions of a stream by how much it varies along them, all points with the same weight."""
    parts = [each.double() @ basis for each in streams(model, inputs)]
    parts = [each / each.norm(dim=-1).mean() for each in parts]
    return torch.linalg.eigh(sum((each.T @ each for each in parts), torch.zeros(1)).double())[1]


def turn_onto(one: list[Tensor], other: list[Tensor]) -> Tensor:
    """The rotation R that maximises the sum of <a, R b> over points that count the same."""
    scaled = [
        [each.double() / each.double().norm(dim=-1).mean() for each in side]
        for side in (one, other)
    ]
    product = sum((a.T @ b for a, b in zip(*scaled, strict=True)), torch.zeros(1)).double()
    left, _, right = torch.linalg.svd(product)
    return left @ right


def show_rotations(pair: AlignedPair, train: Tensor, windows: Tensor) -> None:
    """Print what rotations that are fitted to streams alone would reach."""
    fitted = [streams(model, train) for model in (pair.a, pair.b)]
    seen = [streams(model, windows) for model in (pair.a, pair.b)]
    whole = turn_onto(*fitted)
    for words, turns in (
        ("one rotation for all points", [whole] * len(seen[0])),
        ("one for each point", [turn_onto([a], [b]) for a, b in zip(*fitted, strict=True)]),
    ):
        cosines = [
            float(nn.functional.cosine_similarity(a, b @ turn.T.to(b), dim=-1).mean())
            for a, b, turn in zip(*seen, turns, strict=True)
        ]
        print(f"{words}: cosines {' '.join(f'{each:.2f}' for each in cosines)}", flush=True)


def slowed(make: Callable[..., learner.Learner], factor: float) -> Callable[..., learner.Learner]:
    """A learner whose maps of spaces without copies move slower."""

    def made(*arguments: Any) -> learner.Learner:
        found = make(*arguments)
        if found.optimiser is not None:
            for number, group in enumerate(found.optimiser.param_groups):
                if group["params"][0].ndim == 3 and len(group["params"][0]) == 1:
                    found.peaks[number] *= factor
        return found

    return made


def free_units(space: Space, classes: Classes) -> SymmetryClass:
    """The class that a space gets, where units may be mixed."""
    if space.kind == "units":
        return SymmetryClass.INVERTIBLE
    return [each for each in space.classes if classes[space.kind].contains(each)][-1]


def learned(
    pair: AlignedPair, how: str, learning: Learning, classes: Classes, steps: int
) -> AlignedPair:
    """Go on from a matched pair by the gradient."""
    start = Alignment.of(pair.a.layout.spaces)
    if how in ("random", "apart"):
        start = turned(pair, how, learning.train.read().inputs[:100])
    chosen = {**classes, "residual": SymmetryClass.NONE} if how == "held" else dict(classes)
    given = MatcherInput(
        pair.a,
        pair.b,
        chosen,
        train=learning.train.read(),
        held_out=learning.held_out.read(),
        seed=learning.seed,
    )
    make = slowed(learner.Learner, 0.1 if how == "slow" else 1.0)
    # freely mixed units have no permutation beside their map
    settings = LearnedSettings(steps=steps, rows_rate=0.0 if how == "free" else None)
    if how == "free":
        with mock.patch.object(charts, "class_of", free_units):
            found, trace = learn(given, start, pair.trace, settings, False, make)
    else:
        found, trace = learn(given, start, pair.trace, settings, False, make)
    moved = pair.b.with_state(found.apply(pair.b.layout, pair.b.state))
    return AlignedPair(pair.a, moved, found, trace, 0.0, 0.0)


def has_gates(model: Model) -> bool:
    """Whether the units of a model have a gate, which is only put in order."""
    spaces = model.layout.spaces
    return any(
        axis.role == "order" and axis.space is not None and spaces[axis.space].kind == "units"
        for block in model.layout.blocks
        for axis in block.axes
    )


class Both(nn.Module):
    """What two blocks compute on the same input, averaged."""

    def __init__(self, first: nn.Module, second: nn.Module):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The mean of both outputs; of a tuple that of the first entries."""
        one, two = self.first(*inputs, **named), self.second(*inputs, **named)
        if isinstance(one, tuple):
            return ((one[0] + two[0]) / 2, *one[1:])
        return (one + two) / 2


def with_functions(pair: AlignedPair, kinds: tuple[str, ...]) -> nn.Module:
    """The midpoint, with some parts of all blocks replaced by the mean of both ends' functions."""
    module = copy.deepcopy(average(pair))
    ends = [blocks(model.module().eval())[0] for model in (pair.a, pair.b)]
    for block, one, two in zip(blocks(module)[0], *ends, strict=True):
        for kind in kinds:
            setattr(block, kind, Both(getattr(one, kind), getattr(two, kind)))
    return module


def main() -> None:
    """Learn each row, and print what is left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--only", action="append", choices=ROWS, help="rows (default: all)")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--windows", type=int, default=96, help="of the validation split")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    a, b = (lmc_core.load(name) for name in (options.a, options.b))
    task = choose_task([a, b], str(a.card.get("task")))
    windows = task.examples("validation", options.windows, 0, 128).inputs
    learning = Learning.split(task.examples("train", 1500, 0, 128))
    classes = choose_classes(a.layout.spaces, {})
    matched = lmc_core.align(a, b, method="activation", train=learning)
    ends = [token_losses(model.module().eval(), windows) for model in (matched.a, matched.b)]
    chord = (ends[0] + ends[1]) / 2
    print(f"ends {ends[0].mean():.3f} and {ends[1].mean():.3f} nats; {options.steps} steps")
    show_rotations(matched, learning.train.read().inputs[:300], windows[:BATCH])
    whole = None
    for how in options.only or ROWS:
        if how == "free" and has_gates(a):
            print("free    left out: units with a gate cannot be mixed")
            continue
        begin = time.process_time()
        pair = (
            matched if how == "start" else learned(matched, how, learning, classes, options.steps)
        )
        spent = time.process_time() - begin
        over = (token_losses(average(pair), windows) - chord).mean(1)
        cosines = [
            float(nn.functional.cosine_similarity(one, two, dim=-1).mean())
            for one, two in zip(
                streams(pair.a, windows[:BATCH]), streams(pair.b, windows[:BATCH]), strict=True
            )
        ]
        print(
            f"{how:7} {over.mean():.3f} ± {over.std() / len(over) ** 0.5:.3f}   "
            f"cosines {' '.join(f'{each:.2f}' for each in cosines)}   {spent:.0f} CPU s",
            flush=True,
        )
        whole = pair if how == "whole" else whole
    if whole is not None:
        show_midpoint(whole, windows, chord)


def show_midpoint(pair: AlignedPair, windows: Tensor, chord: Tensor) -> None:
    """Print where the midpoint of a pair loses."""
    over = token_losses(average(pair), windows) - chord
    edges = chord.flatten().quantile(torch.linspace(0, 1, QUINTILES + 1))
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        part = over[(chord >= low) & (chord <= high)]
        print(f"tokens that the ends lose {low:.2f} to {high:.2f} nats at: {part.mean():+.3f}")
    for temperature in TEMPERATURES:
        lost = token_losses(average(pair), windows, temperature).mean() - chord.mean()
        print(f"temperature {temperature}: {lost:.3f}")
    mixed = torch.cat([mean_losses(pair, batch) for batch in windows.split(BATCH)])
    print(f"mean of the probabilities of the ends: {mixed.mean() - chord.mean():.3f}")
    attention = next(
        name for name in ("attn", "self_attn") if hasattr(blocks(average(pair))[0][0], name)
    )
    for kinds in ((attention,), ("mlp",), (attention, "mlp")):
        lost = token_losses(with_functions(pair, kinds), windows).mean() - chord.mean()
        print(f"mean of the functions of {' and '.join(kinds)}: {lost:.3f}")


if __name__ == "__main__":
    main()
