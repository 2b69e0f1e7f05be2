"""What the freedoms that the canonical form takes away would be worth at the midpoint.

    python benchmarks/gauges.py gpt2-plays-s0 gpt2-plays-s1
    python benchmarks/gauges.py llama-plays-s0 llama-plays-s1 --only gains

A reader of a norm computes W (g n(x) + o) + b. Gains, offsets and value biases can be chosen apart
for both ends without a change of their functions,

    g -> exp(s) g,   W -> W diag(exp(-s)),   o -> exp(s) o,
    o -> o + c,      b -> b - W c            (where every reader has a bias)
    b_v -> b_v + c,  b_o -> b_o - W_o c      (as attention rows sum to one)

with s, c in one end and -s, -c in the other. The canonical form sets g = 1, o = 0, b_v = 0. These
are products, so the straight line sees the choice: with t = 2 s the midpoint reads with

    W_A (1 + exp(-t)) / 4 + W_B (1 + exp(t)) / 4

in place of (W_A + W_B) / 2, and with the biases (b_A + b_B) / 2 + (W_B - W_A) c / 2.

The pair is learned first (400 steps from activation matching), then s and c by Adam on the same
windows, lam from U(0.25, 0.75), the mean of s in a norm held at zero, since that only moves
the largest loss along the line. Printed are the loss above the chord at five points of the line,
validation split, nats, with its standard error over windows; and the largest change of log
probabilities of either end. `vectors` is no symmetry but a bound: all vectors of the midpoint
(gains, offsets, biases) follow the gradient at the midpoint.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import torch
from midpoint import learned
from torch import Tensor, nn
from torch.func import functional_call

import lmc_core
from lmc_core.models.mixing import weighted
from lmc_core.runs.inputs import choose_task
from lmc_core.symmetry.canonical import along, constant_of
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.rewrite import Rewrite
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks.learning import Learning

ROWS = ("vectors", "gains", "offsets", "values", "all")
POINTS = (0.25, 0.375, 0.5, 0.625, 0.75)
BATCH, EVALUATED = 8, 32
State = dict[str, Tensor]


class Gauges:
    """Logarithms of gains, offsets of norms and value biases of one end; the other has the
    opposite.

    Args:
        layout: of the models.
        rewrite: names their norms and products.
        kinds: of `ROWS`, which of them move.
    """

    def __init__(self, layout: Layout, rewrite: Rewrite, kinds: Sequence[str]):
        self.layout, self.rewrite = layout, rewrite
        self.products = [each for each in rewrite.products if each.constant]
        sizes = [layout.spaces[norm.space].size for norm in rewrite.norms]
        values = [self._count(each.constant[0]) for each in self.products if each.constant]
        moves = {kind: kind in kinds or "all" in kinds for kind in ROWS}
        self.gains = [torch.zeros(n, requires_grad=moves["gains"]) for n in sizes]
        kept = [norm.offset is not None and moves["offsets"] for norm in rewrite.norms]
        self.offsets = [
            torch.zeros(n, requires_grad=each) for n, each in zip(sizes, kept, strict=True)
        ]
        self.values = [torch.zeros(n, requires_grad=moves["values"]) for n in values]

    @property
    def moving(self) -> list[Tensor]:
        """What follows the gradient."""
        return [each for each in (*self.gains, *self.offsets, *self.values) if each.requires_grad]

    def apply(self, state: State, sign: float) -> State:
        """One end with its gauges."""
        found = {name: tensor.clone() for name, tensor in state.items()}
        for number, norm in enumerate(self.rewrite.norms):
            log = self.gains[number]
            scale = (sign * (log - log.mean())).exp()
            if norm.gain is None or norm.unit != 1.0:
                continue
            self._view(found, norm.gain).mul_(scale)
            if norm.offset is not None:
                self._view(found, norm.offset).mul_(scale)
            for weight, _ in norm.readers:
                view = self._view(found, weight)
                axis = self.layout.by_name[weight].axis(norm.space)
                view.div_(along(scale, view, axis))
            if norm.offset is None or any(bias is None for _, bias in norm.readers):
                continue
            added = sign * self.offsets[number]
            self._view(found, norm.offset).add_(added)
            for weight, bias in norm.readers:
                read = self._view(found, weight).clone()
                axis = self.layout.by_name[weight].axis(norm.space)
                self._view(found, str(bias)).sub_((read * along(added, read, axis)).sum(axis))
        for product, added in zip(self.products, self.values, strict=True):
            assert product.constant is not None
            left, right, target = product.constant
            bias = sign * added.view(self._view(found, left).shape)
            output = self._view(found, right).clone()
            self._view(found, target).sub_(constant_of(self.layout, product, bias, output))
            self._view(found, left).add_(bias)
        return found

    def _view(self, state: State, name: str) -> Tensor:
        return self.layout.view(state, self.layout.by_name[name])

    def _count(self, name: str) -> int:
        block = self.layout.by_name[name]
        path = [axis.space for axis in block.axes]
        return int(torch.tensor([self.layout.spaces[each].size for each in path if each]).prod())


class Line:
    """The straight line between two ends, and what it predicts."""

    def __init__(self, module: nn.Module, a: State, b: State, train: Tensor, windows: Tensor):
        self.module, self.a, self.b, self.train, self.windows = module, a, b, train, windows
        with torch.no_grad():
            self.soft = [
                torch.cat([self.predict(s, part).exp() for part in train.split(EVALUATED)])
                for s in (a, b)
            ]
            self.ends = [self.losses(state) for state in (a, b)]

    def logits(self, state: State, inputs: Tensor) -> Tensor:
        """Of a state, `[windows, tokens, vocabulary]`."""
        return functional_call(self.module, state, (inputs,)).logits

    def predict(self, state: State, inputs: Tensor) -> Tensor:
        """Its logarithms of probabilities."""
        return self.logits(state, inputs).log_softmax(-1)

    def losses(self, state: State) -> Tensor:
        """Loss of every token of the validation windows."""
        found = []
        for batch in self.windows.split(EVALUATED):
            logits = self.logits(state, batch)[:, :-1]
            found.append(nn.functional.cross_entropy(logits.mT, batch[:, 1:], reduction="none"))
        return torch.cat(found)

    def descend(
        self, moving: Sequence[Tensor], make: Callable[[float], State], spread: float, steps: int
    ) -> None:
        """Follow the gradient of the loss between the ends, with their predictions as targets."""
        generator = torch.Generator().manual_seed(0)
        optimiser = torch.optim.Adam(moving, lr=0.01)
        decay = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min(1.0, 10 / 3 * (1 - step / steps))
        )
        for _ in range(steps):
            rows = torch.randint(len(self.train), (BATCH,), generator=generator)
            lam = 0.5 + spread * (2 * float(torch.rand((), generator=generator)) - 1)
            wanted = weighted([each[rows] for each in self.soft], (1 - lam, lam))
            predicted = self.predict(make(lam), self.train[rows])
            optimiser.zero_grad()
            (-(wanted * predicted).sum(-1).mean()).backward()
            optimiser.step()
            decay.step()

    @torch.no_grad()
    def show(self, words: str, a: State, b: State) -> None:
        """Print the loss above the chord along a line."""
        cells = []
        for lam in POINTS:
            chord = (1 - lam) * self.ends[0] + lam * self.ends[1]
            over = (self.losses(mix(a, b, lam)) - chord).mean(1)
            cells.append(f"{over.mean():.3f} ± {over.std() / len(over) ** 0.5:.3f}")
        print(f"{words:9} {'   '.join(cells)}", flush=True)

    @torch.no_grad()
    def change(self, a: State, b: State) -> float:
        """The largest change of a log probability of either end, on four windows."""
        few = self.windows[:4]
        return max(
            float((self.predict(one, few) - self.predict(two, few)).abs().max())
            for one, two in ((self.a, a), (self.b, b))
        )


def mix(a: State, b: State, lam: float) -> State:
    """The point of a line."""
    return {name: weighted([tensor, b[name]], (1 - lam, lam)) for name, tensor in a.items()}


def main() -> None:
    """Learn a pair, then its gauges, and print what they change."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--only", action="append", choices=ROWS, help="rows (default: all)")
    parser.add_argument("--learned-steps", type=int, default=400, help="of the pair itself")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--windows", type=int, default=96, help="of the validation split")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    a, b = (lmc_core.load(name) for name in (options.a, options.b))
    task = choose_task([a, b], str(a.card.get("task")))
    windows = task.examples("validation", options.windows, 0, 128).inputs
    learning = Learning.split(task.examples("train", 1500, 0, 128))
    pair = lmc_core.align(a, b, method="activation", train=learning)
    classes = choose_classes(a.layout.spaces, {})
    pair = learned(pair, "whole", learning, classes, options.learned_steps)
    module = pair.a.module().eval().requires_grad_(False)
    states = [
        {name: tensor.float() for name, tensor in model.state.items()} for model in (pair.a, pair.b)
    ]
    line = Line(module, states[0], states[1], learning.train.read().inputs, windows)
    print(" " * 10 + "   ".join(f"at {lam:<10}" for lam in POINTS))
    line.show("learned", *states)
    rewrite = pair.a.family.rewrite(pair.a.config)
    for row in options.only or ROWS:
        if row == "vectors":
            show_vectors(line, options.steps)
        else:
            show_gauges(line, row, Gauges(pair.a.layout, rewrite, [row]), options.steps)


def show_vectors(line: Line, steps: int) -> None:
    """Let all vectors of the midpoint follow the gradient there, and print what is left."""
    middle = mix(line.a, line.b, 0.5)
    moved = {name: each.clone().requires_grad_() for name, each in middle.items() if each.ndim == 1}
    line.descend(list(moved.values()), lambda lam: {**middle, **moved}, 0.0, steps)
    with torch.no_grad():
        over = (line.losses({**middle, **moved}) - (line.ends[0] + line.ends[1]) / 2).mean(1)
    error = over.std() / len(over) ** 0.5
    print(f"vectors   half way {over.mean():.3f} ± {error:.3f}, no symmetry", flush=True)


def show_gauges(line: Line, row: str, gauges: Gauges, steps: int) -> None:
    """Let gauges follow the gradient on the line, and print what is left."""
    if not gauges.moving:
        print(f"{row:9} none in this family")
        return

    def ends() -> tuple[State, State]:
        return gauges.apply(line.a, 1.0), gauges.apply(line.b, -1.0)

    line.descend(gauges.moving, lambda lam: mix(*ends(), lam), 0.25, steps)
    with torch.no_grad():
        found = ends()
    line.show(row, *found)
    print(f"{'':10}log probabilities changed by {line.change(*found):.1e} at most", flush=True)


if __name__ == "__main__":
    main()
