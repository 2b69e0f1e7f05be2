"""How fast matching and curves are, as ratios of times that are measured in one run.

    python benchmarks/speed.py                                    # everything; matching two GPT-2s of 124M takes minutes
    python benchmarks/speed.py --only curve --only assignment --repeats 7
    python benchmarks/speed.py --only matching --width 384 --layers 6 --heads 6    # a smaller pair

- matching: weight matching against `reference_matching.py` (15 rounds, circuits multiplied out) on
  two GPT-2s with random weights, from the canonical form on. Both results are measured by our
  objective; the reference's once more after its planes were mapped as well as can be, which is not
  counted in its time.
- assignment: seconds for 4096 units.
- curve: 25 points of a curve against 25 passes of a module over the same batches.
- modes: the same curve in bfloat16 and compiled, against float32 as it is, and how far losses of
  single examples are off; what compiling takes is printed beside it.
- learned: one step of learned matching against one training step of the same model and batch
  (AdamW).

Times are of the process's own work on the CPU (with one thread, `--threads 1`, other programs
hardly disturb them); runs are interleaved and medians of ratios are printed with their range.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from ratios import ratios, seconds, spread  # noqa: E402
from reference_matching import match_reference  # noqa: E402

POINTS = 25
# zoo pair -> task and examples
MODELS = {"vit-fashion-s": ("fashion-mnist", 256), "gpt2-plays-s": ("plays", 64)}


def random_pair(width: int, layers: int, heads: int, vocabulary: int, positions: int) -> list:
    """Two GPT-2s with random weights, in canonical form for all classes, float32."""
    from lmc_core.matching.aligned import canonical
    from lmc_core.models.config import Config
    from lmc_core.models.families.gpt2 import GPT2
    from lmc_core.models.model import Model, untied_state
    from lmc_core.symmetry.spaces import choose_classes

    raw = {"model_type": "gpt2", "n_embd": width, "n_layer": layers, "n_head": heads}
    config = GPT2.config(Config(raw | {"vocab_size": vocabulary, "n_positions": positions}))
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = Model(f"random-{seed}", GPT2, config, untied_state(GPT2.build(config)))
        found.append(canonical(model, choose_classes(model.layout.spaces), in_place=True))
    return found


def matching(arguments: argparse.Namespace) -> None:
    """Weight matching against the reference."""
    from lmc_core.matching.state import MatchingState
    from lmc_core.matching.steps import solve
    from lmc_core.matching.weight import WeightSettings
    from lmc_core.matching.weight_search import make_objective, match_weights
    from lmc_core.symmetry.spaces import choose_classes

    a, b = random_pair(
        arguments.width,
        arguments.layers,
        arguments.heads,
        arguments.vocabulary,
        arguments.positions,
    )
    layout, classes, settings = a.layout, choose_classes(a.layout.spaces), WeightSettings()
    print(
        f"matching: GPT-2 with {a.parameters / 1e6:.0f}M random parameters, {arguments.rounds} "
        "rounds of the reference"
    )
    begin = time.process_time()
    reference = match_reference(
        layout, a.state, b.state, arguments.layers, arguments.heads, arguments.rounds
    )
    theirs = time.process_time() - begin
    moved = MatchingState(make_objective(layout, a.state, b.state, classes, settings))
    moved.take(reference.elements)
    plain = moved.objective
    for root in moved.problem.roots:
        if root.kind == "heads":
            moved.take(solve(moved, root))
    mapped = moved.objective
    print(
        f"  reference     {theirs:8.1f} s   objective {plain:.4f}, {mapped:.4f} with planes "
        "mapped afterwards",
        flush=True,
    )
    del moved
    stamps: list[float] = []
    begin = time.process_time()
    _, trace = match_weights(
        layout,
        a.state,
        b.state,
        classes,
        settings,
        progress=lambda share: stamps.append(time.process_time() - begin),
    )
    ours = time.process_time() - begin
    print(
        f"  ours          {ours:8.1f} s   objective {trace.objective[-1]:.4f}, {trace.rounds} "
        f"rounds from {trace.start!r}"
    )
    print(f"  ours is {theirs / ours:.1f} times faster to its end", end="")
    # of large models the trace has one value for every round
    if len(trace.objective) == trace.rounds:
        good = [
            stamp for stamp, value in zip(stamps, trace.objective, strict=False) if value >= mapped
        ]
        print(
            f", {theirs / good[0]:.1f} times faster to the better of the reference's values"
            if good
            else ", and worse there"
        )
    else:
        print()


def assignment(arguments: argparse.Namespace) -> None:
    """Seconds for the assignment of 4096 units, random and with a planted order."""
    from lmc_core.matching.solvers import assignment as assign

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(4096, 4096, generator=generator, dtype=torch.float64)
    planted = noise.clone()
    planted[torch.arange(4096), torch.randperm(4096, generator=generator)] += 6
    for words, similarity in (
        ("independent units", noise),
        ("units with a planted order", planted),
    ):
        times = [
            seconds(lambda matrix=similarity: assign(matrix)) for _ in range(arguments.repeats)
        ]
        print(
            f"assignment: 4096 {words}: {min(times):.2f} s (slowest of {len(times)}: "
            f"{max(times):.2f} s)",
            flush=True,
        )


def curves(arguments: argparse.Namespace) -> None:
    """A curve against as many plain passes."""
    from lmc_core import Line, curve, get_task, load
    from lmc_core.matching.common_form import common_form
    from lmc_core.tasks import losses
    from lmc_core.tasks.evaluator import batch_size

    for name, (task, count) in MODELS.items():
        a, b = common_form(load(f"zoo:{name}0"), load(f"zoo:{name}1"))
        examples = get_task(task).examples("validation", count)
        module, outputs, size = a.module(), a.family.outputs, batch_size(a, examples)

        def passes(module=module, outputs=outputs, examples=examples, size=size) -> None:  # noqa: ANN001
            with torch.no_grad():
                for _ in range(POINTS):
                    for batch in examples.batches(size):
                        losses(outputs(module, batch.inputs), batch.targets)

        line = Line(a, b)
        found, ours, theirs = ratios(
            lambda line=line, examples=examples: curve(line, examples, POINTS, 0),
            passes,
            arguments.repeats,
        )
        print(
            f"curve: {name}*, {count} examples, {POINTS} points: {spread(found)} of {POINTS} "
            "plain passes; "
            f"shortest {ours:.2f} s and {theirs:.2f} s",
            flush=True,
        )


def modes(arguments: argparse.Namespace) -> None:
    """A curve in half precision and compiled, against one as it is."""
    from lmc_core import Line, get_task, load
    from lmc_core.matching.common_form import common_form
    from lmc_core.tasks.evaluator import EXACT, Evaluator, Mode, States

    for name, (task, count) in MODELS.items():
        a, b = common_form(load(f"zoo:{name}0"), load(f"zoo:{name}1"))
        examples, line = get_task(task).examples("validation", count), Line(a, b)
        states = States(line.state, [0.0, 0.25, 0.5, 0.75, 1.0])
        exact = Evaluator(a, examples, mode=EXACT)
        truth, _ = exact.losses(states)
        for words, mode in (("bfloat16", Mode("bfloat16")), ("compiled", Mode(compiled=True))):
            other = Evaluator(a, examples, mode=mode)
            begin = time.process_time()
            values, _ = other.losses(states)
            first = time.process_time() - begin
            found, ours, theirs = ratios(
                lambda other=other, states=states: other.losses(states),
                lambda exact=exact, states=states: exact.losses(states),
                arguments.repeats,
            )
            print(
                f"modes: {name}*, {count} examples, {words}: {spread(found)} of float32; shortest "
                f"{ours:.2f} s and {theirs:.2f} s, the first {first:.1f} s; losses off by "
                f"{float((values - truth).abs().mean()):.1e} on average, "
                f"{float((values - truth).abs().max()):.1e} at most",
                flush=True,
            )


def learned_step(a, b, batch) -> Callable[[], object]:  # noqa: ANN001
    """One step of learned matching on a batch: smooth maps of B alone, labels as targets."""
    from lmc_core.matching.aligned import canonical
    from lmc_core.matching.learned.learner import Learner
    from lmc_core.models.common import in_float32
    from lmc_core.symmetry.spaces import choose_classes

    classes = choose_classes(a.layout.spaces)
    learner = Learner([in_float32(canonical(model, classes)) for model in (a, b)], classes, (1,))
    return lambda: learner.step(batch, None, (0.5, 0.5), 1.0, False)


def training_step(model, batch) -> Callable[[], object]:  # noqa: ANN001
    """One plain step of AdamW on a batch."""
    import torch.nn.functional as F

    module = model.module().train()
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-5)

    def step() -> None:
        logits: Tensor = model.family.outputs(module, batch.inputs)
        loss = F.cross_entropy(logits.flatten(0, -2), batch.targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def learned(arguments: argparse.Namespace) -> None:
    """A learned step against a training step."""
    from lmc_core import get_task, load

    for name, (task, _) in MODELS.items():
        a, b = load(f"zoo:{name}0"), load(f"zoo:{name}1")
        for count in (16, 64):
            batch = get_task(task).examples("train", count)
            found, ours, theirs = ratios(
                learned_step(a, b, batch), training_step(a, batch), 4 * arguments.repeats
            )
            print(
                f"learned: {name}*, {count} examples: one step {spread(found)} of a training step; "
                f"shortest {1e3 * ours:.0f} ms and {1e3 * theirs:.0f} ms",
                flush=True,
            )


PARTS = {
    "assignment": assignment,
    "curve": curves,
    "modes": modes,
    "learned": learned,
    "matching": matching,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="only this part (repeatable)"
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="rounds of interleaved runs; matching runs once"
    )
    parser.add_argument("--threads", type=int, help="torch's number of threads")
    parser.add_argument("--rounds", type=int, default=15, help="of the reference")
    for name, value in (
        ("width", 768),
        ("layers", 12),
        ("heads", 12),
        ("vocabulary", 50257),
        ("positions", 1024),
    ):
        parser.add_argument(f"--{name}", type=int, default=value, help="of the random GPT-2s")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads")
    for part in arguments.only or PARTS:
        PARTS[part](arguments)


if __name__ == "__main__":
    main()
