"""What the one symmetry that is counted and not used buys: the scale of the residual stream.

    python benchmarks/stream_scale.py vit-fashion-s0 vit-fashion-s1
    python benchmarks/stream_scale.py gpt2-plays-s0 gpt2-plays-s1 --method learned --seconds 60

Where every reader of the stream stands behind a norm, all that is written into it may be multiplied
by one number s: the norm takes it out again, up to its epsilon. After an alignment what B writes is
multiplied by each s, and the barrier to A printed, on the validation split, with what s changes of
B's outputs.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

import lmc_core
from lmc_core import Line, Model
from lmc_core.models.forward import run
from lmc_core.symmetry.check import relative_difference

SCALES = (0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0)


def scaled(model: Model, factor: float) -> Model:
    """The model with what it writes into the stream multiplied; offsets of norms are added behind
    them.
    """
    layout = model.layout
    state = {name: tensor.clone() for name, tensor in model.state.items()}
    for block in layout.blocks:
        if "norm" not in block.name and any(
            axis.space == "residual" and axis.role == "writes" for axis in block.axes
        ):
            layout.view(state, block).mul_(factor)
    return replace(model, state=state)


def main() -> None:
    """Align, then print a row for each scale."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs=2)
    parser.add_argument("--method", default="weight")
    parser.add_argument("--seconds", type=float, help="of a method that learns")
    parser.add_argument("--examples", type=int, help="default 1,000 images, 64 windows")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    a, b = (lmc_core.load(f"zoo:{name}") for name in arguments.models)
    task = lmc_core.task_for(str(a.card["task"]), a, b)
    count = arguments.examples or (1000 if "fashion" in arguments.models[0] else 64)
    examples = task.examples("validation", count)
    learned = arguments.seconds is not None
    pair = lmc_core.align(
        a,
        b,
        examples,
        method=arguments.method,
        settings={"seconds": arguments.seconds} if learned else None,
        train=task.examples("train", None) if learned else None,
    )
    before = run(pair.b, examples.inputs[:4])
    print("   s   barrier (nats)    at   outputs of B")
    for factor in SCALES:
        moved = scaled(pair.b, factor)
        found = lmc_core.curve(Line(pair.a, moved), examples, points=11).barrier
        change = relative_difference(before, run(moved, examples.inputs[:4]))
        print(
            f"{factor:4.2f}   {found.value:.3f} ± {found.stderr:.3f}   {found.lam:.2f}   {change:.1e}"
        )


if __name__ == "__main__":
    main()
