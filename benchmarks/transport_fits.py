"""How much of a fine-tuning least-squares fits carry over to another GPT-2, beside a moved difference.

    lmc train --from gpt2-plays-s0 --task austen --out tuned
    python benchmarks/transport_fits.py gpt2-plays-s0 tuned gpt2-plays-s1 --task austen
    python benchmarks/transport_fits.py ... --readers             # first layers of units as well
    python benchmarks/transport_fits.py ... --start carried       # from a target that `lmc transport` wrote

A map that is a group element keeps the function of the target and moves the difference exactly only
between copies of one network. This measures what maps without that bound give: at every point of the
residual stream a ridge regression sends the stream of the base to that of the target, and with it the
change that fine-tuning made there. Then, from the first block to the last, each matrix that writes to
the stream is fitted by ridge regression to that change, on its own inputs in the network as fitted so
far; at last the head, to the change of the logits. Windows of the training split are read without
their labels, and nothing is differentiated.

Printed: changes of the loss from the target on the validation split of both tasks, nats, with
standard errors over windows, after each block.
"""

from __future__ import annotations

import argparse
import copy
from typing import Any

import torch
from torch import Tensor, nn

import lmc_core
from lmc_core.runs.inputs import choose_task

LENGTH, BATCH = 128, 32
MAP_RIDGE = 1e-4  # of the mean square of an entry


class Parts:
    """The matrices of a GPT-2 in the order in which they run, and where its stream can be read."""

    def __init__(self, module: Any):
        body = module.transformer
        blocks = list(body.h)
        behind = [*(block.ln_1 for block in blocks[1:]), body.ln_f]
        self.readers: list[nn.Module | None] = []
        self.writers: list[nn.Module] = []
        self.points: list[nn.Module] = [blocks[0].ln_1]
        for block, after in zip(blocks, behind, strict=True):
            self.readers += [None, block.mlp.c_fc]
            self.writers += [block.attn.c_proj, block.mlp.c_proj]
            self.points += [block.ln_2, after]
        self.head: nn.Module = module.lm_head


@torch.no_grad()
def observe(module: nn.Module, inputs: Tensor, places: list[tuple[nn.Module, str]]) -> list[Tensor]:
    """Inputs ("in") or outputs ("out") of parts of a module, each `[tokens, width]`."""
    seen: list[list[Tensor]] = [[] for _ in places]
    hooks = []
    for into, (part, side) in zip(seen, places, strict=True):

        def keep(_: nn.Module, given: tuple, made: Tensor, into=into, side=side) -> None:
            into.append((given[0] if side == "in" else made).flatten(0, -2).clone())

        hooks.append(part.register_forward_hook(keep))
    for start in range(0, len(inputs), BATCH):
        module(inputs[start : start + BATCH])
    for hook in hooks:
        hook.remove()
    return [torch.cat(each) for each in seen]


def ridge(x: Tensor, y: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Matrix `[in, out]` and offset `[out]` of the ridge regression of y on x, float64."""
    x = torch.cat([x.double(), torch.ones(len(x), 1, dtype=torch.float64)], 1)
    square = x.T @ x
    diagonal = square.diagonal()[:-1]
    diagonal += share * diagonal.mean()
    found = torch.linalg.solve(square, x.T @ y.double())
    return found[:-1], found[-1]


@torch.no_grad()
def add(part: Any, matrix: Tensor, offset: Tensor) -> None:
    """Add a fit to a matrix of GPT-2, which is stored `[in, out]`, and to its bias."""
    part.weight += matrix.float()
    part.bias += offset.float()


@torch.no_grad()
def losses(module: nn.Module, windows: Tensor) -> Tensor:
    """Mean loss of each window, nats."""
    found = []
    for start in range(0, len(windows), BATCH):
        batch = windows[start : start + BATCH]
        logits = module(batch).logits[:, :-1]
        each = nn.functional.cross_entropy(logits.mT, batch[:, 1:], reduction="none")
        found.append(each.mean(1))
    return torch.cat(found)


def main() -> None:
    """Fit, and print what each block brings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("base", "finetuned", "target"):
        parser.add_argument(name)
    parser.add_argument("--task", required=True, help="of the fine-tuning")
    parser.add_argument("--windows", type=int, default=300, help="of the training split")
    parser.add_argument("--ridge", type=float, default=1e-4, help="of the fits")
    parser.add_argument("--readers", action="store_true", help="fit the first layers of units too")
    parser.add_argument("--start", help="a model to begin with in place of the target")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = (options.base, options.finetuned, options.target)
    models = [lmc_core.load(name) for name in names]
    tasks = dict.fromkeys([options.task, str(models[2].card.get("task"))])
    data = {name: choose_task(models, name) for name in tasks}
    checked = {n: each.examples("validation", 96, 0, LENGTH).inputs for n, each in data.items()}
    inputs = data[options.task].examples("train", options.windows, 0, LENGTH).inputs
    base, tuned, target = (model.module().eval() for model in models)
    first = {name: losses(target, windows) for name, windows in checked.items()}

    def say(title: str, module: nn.Module) -> None:
        words = []
        for name, windows in checked.items():
            change = losses(module, windows) - first[name]
            error = change.std() / len(change) ** 0.5
            words.append(f"{name} {float(change.mean()):+.4f} ± {float(error):.4f}")
        print(f"{title:12} {'  '.join(words)}", flush=True)

    for name, module in zip(names, (base, tuned), strict=False):
        say(name, module)
    streams, logits, units = [], [], []
    for module in (base, tuned, target):
        parts = Parts(module)
        streams.append(observe(module, inputs, [(point, "in") for point in parts.points]))
        logits.append(observe(module, inputs, [(parts.head, "out")])[0])
        readers = [(each, "out") for each in parts.readers if each is not None]
        units.append(observe(module, inputs, readers) if options.readers else [])

    def carried(before: Tensor, after: Tensor, there: Tensor) -> Tensor:
        matrix, _ = ridge(before, there, MAP_RIDGE)
        return there.double() + (after - before).double() @ matrix

    wanted = [carried(*each) for each in zip(*streams, strict=True)][1:]
    of_units = [carried(*each) for each in zip(*units, strict=True)]
    module = lmc_core.load(options.start).module().eval() if options.start else target
    module = copy.deepcopy(module).requires_grad_(False)
    parts = Parts(module)
    say("start", module)
    for number, writer in enumerate(parts.writers):
        reader = parts.readers[number]
        if options.readers and reader is not None:
            x, y = observe(module, inputs, [(reader, "in"), (reader, "out")])
            add(reader, *ridge(x, of_units[number // 2] - y, options.ridge))
        x, stream = observe(module, inputs, [(writer, "in"), (parts.points[number + 1], "in")])
        add(writer, *ridge(x, wanted[number] - stream, options.ridge))
        if number % 2:
            say(f"block {number // 2}", module)
    x, y = observe(module, inputs, [(parts.head, "in"), (parts.head, "out")])
    rest = logits[2] + logits[1] - logits[0] - y
    rest = rest - rest.mean(1, keepdim=True)
    matrix = ridge(x, rest, options.ridge)[0]
    head: Any = parts.head
    head.weight = nn.Parameter(head.weight + matrix.T.float())  # of its own, not tied
    say("head", module)


if __name__ == "__main__":
    main()
