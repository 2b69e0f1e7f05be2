"""Seconds and memory of a learned step on large models, against a plain training step.

    python benchmarks/learned.py                                   # GPT-2 of 124 million parameters
    python benchmarks/learned.py --width 1024 --layers 24 --heads 16
    python benchmarks/learned.py --trial FOLDER                    # a planted pair; run again after a kill

Both steps see the same tokens in the same precision, one after the other in turn, each in a process
of its own. Memory is the most anonymous memory that the process has held above what the libraries
take, ends included.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median

import torch
import torch.nn.functional as F
from torch import Tensor

from lmc_core.large_blocks import return_freed
from lmc_core.matching.aligned import canonical
from lmc_core.matching.learned import learner as learner_module
from lmc_core.matching.learned.by_layer import half_precision
from lmc_core.matching.learned.charts import Charts
from lmc_core.matching.learned.learn import learn
from lmc_core.matching.learned.learner import Learner
from lmc_core.matching.learned.method import LearnedSettings
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.trace import Trace
from lmc_core.models.config import Config
from lmc_core.models.families.gpt2 import GPT2
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks.task import Examples


def anonymous() -> int:
    """Bytes of anonymous memory that this process holds now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


class Peak(threading.Thread):
    """The most anonymous memory while it runs, seen every 5 ms."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.base = self.most = anonymous()

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            self.most = max(self.most, anonymous())
            time.sleep(0.005)

    @property
    def held(self) -> int:
        """Bytes above those at the beginning."""
        return self.most - self.base


def start_peak() -> Peak:
    """Watch the memory above that of the libraries, which come with the first module."""
    small = {"vocab_size": 8, "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 1}
    GPT2.build(GPT2.config(Config({"model_type": "gpt2", **small})))
    peak = Peak()
    peak.start()
    return peak


def random_model(config: Config, seed: int, dtype: torch.dtype) -> Model:
    """Random weights in canonical shape: an untied head, gains 1; values as at initialisation."""
    config = config | {"tie_word_embeddings": False}
    generator = torch.Generator().manual_seed(seed)
    shapes = GPT2.layout(config).shapes
    state = {
        name: torch.ones(shape)
        if name.endswith(("ln_1.weight", "ln_2.weight", "ln_f.weight"))
        else (0.02 * torch.randn(shape, generator=generator)).to(dtype if len(shape) > 1 else None)
        for name, shape in shapes.items()
    }
    return Model(f"random-{seed}", GPT2, config, state)


def draw(config: Config, windows: int, length: int) -> Examples:
    """Random windows and the tokens after them."""
    generator = torch.Generator().manual_seed(2)
    rows = torch.randint(config.size("vocab_size"), (windows, length + 1), generator=generator)
    return Examples(rows[:, :-1], rows[:, 1:])


def measure_learned(config: Config, examples: Examples, half: bool) -> Callable[[], object]:
    """A learned step."""
    ends = [
        random_model(config, seed, torch.bfloat16 if half else torch.float32) for seed in (0, 1)
    ]
    learner = Learner(ends, choose_classes(ends[0].layout.spaces), (1,), 0.05, 0.003)
    return lambda: learner.step(examples, None, (0.5, 0.5), 1.0, False)


def measure_training(config: Config, examples: Examples, half: bool) -> Callable[[], object]:
    """A step of AdamW, in bfloat16 where asked for."""
    module = GPT2.build(config).train()
    for each in module.modules():
        if isinstance(each, torch.nn.Dropout):
            each.p = 0.0
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-5)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = GPT2.outputs(module, examples.inputs)
            loss = F.cross_entropy(logits.flatten(0, -2).float(), examples.targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def take_turns(make: Callable[[], Callable[[], object]]) -> None:
    """Make a step for every line that comes, and answer with its seconds of the processor and the
    most memory so far, as JSON.
    """
    peak = start_peak()
    step = make()
    for _ in sys.stdin:
        begun = time.process_time()
        step()
        print(json.dumps([time.process_time() - begun, peak.held]), flush=True)


def compare(steps: int) -> dict[str, list[list[float]]]:
    """Both kinds of steps in turn, each in a process of its own: by kind, of every step its
    seconds of the processor and the most memory so far in bytes.
    """
    running = {
        part: subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--part", part],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in PARTS
    }
    found: dict[str, list[list[float]]] = {part: [] for part in PARTS}
    for _ in range(steps):
        for part, child in running.items():
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write("\n")
            child.stdin.flush()
            found[part].append(json.loads(child.stdout.readline()))
    for child in running.values():
        child.communicate()
    return found


def ask_ends(a: Model, b: Model, inputs: Tensor, held_out: int) -> tuple[Tensor, list[float]]:
    """A's most likely tokens, and by them the losses of both ends on the last inputs, in nats."""
    with torch.no_grad():
        module = a.module()
        targets = torch.cat([GPT2.outputs(module, part).argmax(-1) for part in inputs.split(4)])
        parts = [part[-held_out:].split(4) for part in (inputs, targets)]
        losses = [
            fmean(
                float(F.cross_entropy(GPT2.outputs(m, x).flatten(0, 1), y.flatten()))
                for x, y in zip(*parts, strict=True)
            )
            for m in (module, b.module())
        ]
    return targets, losses


def try_planted(
    config: Config, folder: Path, steps: int, rate: float, size: int, length: int, checks: int
) -> None:
    """Learn a planted pair: a random network with outputs as sharp as a trained one's, whose most
    likely tokens are the targets, and the same moved by a random element near the identity, with
    noise. What is there is kept in the folder, so that a run that is killed goes on.
    """
    peak = start_peak()
    a = random_model(config, 0, torch.float32)
    # as sharp at every width
    head = 10.0 * (768 / config.size("n_embd")) ** 0.5
    sharp = {"lm_head.weight": head, "transformer.wte.weight": 5.0}
    a = a.with_state({name: tensor * sharp.get(name, 1.0) for name, tensor in a.state.items()})
    classes = choose_classes(a.layout.spaces)
    a = canonical(a, classes)
    charts = Charts(a.layout.spaces, classes, torch.float64)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in charts.parameters():
            values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.3 * values / parameter.shape[-1] ** 0.5)
        planted = Alignment.of(a.layout.spaces, charts.elements())
        moved = planted.apply(a.layout, a.state)
    noisy = {
        name: tensor + 0.05 * tensor.std() * torch.randn(tensor.shape, generator=generator)
        if tensor.ndim > 1
        else tensor
        for name, tensor in moved.items()
    }
    b = a.with_state(noisy)
    count, held_out = 16 * size, max(size, 2048 // length)
    inputs = draw(config, count + held_out, length).inputs
    known = folder / "ends.pt"  # asking takes longer than making the pair again
    if known.exists():
        targets, ends = torch.load(known)
    else:
        targets, ends = ask_ends(a, b, inputs, held_out)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save((targets, ends), known)
    print(f"held-out loss of the ends {ends[0]:.3f} and {ends[1]:.3f} nats", flush=True)
    del moved, noisy
    if half_precision("cpu") is not None:  # as checkpoints in half precision would be
        a, b = (
            each.with_state({n: t.bfloat16() if t.ndim > 1 else t for n, t in each.state.items()})
            for each in (a, b)
        )
    return_freed()
    peak.most = 0
    settings = LearnedSettings(
        steps=steps, batch=size, checks=checks, rows_rate=0.0, targets="labels", rate=rate
    )
    given = MatcherInput(
        a,
        b,
        classes,
        train=Examples(inputs[:count], targets[:count]),
        held_out=Examples(inputs[count:], targets[count:]),
        progress=lambda share, words: print(f"{time.process_time():.0f} s {words}", flush=True),
        checkpoint=folder / "trial.pt",
    )
    identity = Alignment.of(a.layout.spaces)
    begun = time.process_time()
    _, trace = learn(given, identity, Trace((), 0.0, "", {}, 0), settings)
    single = 4 * sum(math.prod(shape) for shape in GPT2.layout(config).shapes.values())
    print(
        f"{time.process_time() - begun:.0f} s of the processor, anonymous memory "
        f"{peak.held / 1e9:.2f} GB: {peak.held / single:.2f} times the weights of one end in float32"
    )
    print("step, training loss, held-out loss at the midpoint:")
    for row in trace.about["history"]:
        print("  ", [round(value, 3) for value in row])
    print("went back to the best maps after steps", trace.about.get("returned", []))


PARTS = {"learned": measure_learned, "training": measure_training}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in (("width", 768), ("layers", 12), ("heads", 12), ("vocabulary", 50257)):
        parser.add_argument(f"--{name}", type=int, default=value, help="of the random GPT-2s")
    parser.add_argument("--windows", type=int, default=8, help="of a step")
    parser.add_argument("--length", type=int, default=128, help="tokens of a window")
    parser.add_argument(
        "--steps", type=int, default=3, help="of each, after a first that is not counted"
    )
    parser.add_argument("--trial", type=Path, metavar="FOLDER", help="learn a planted pair")
    parser.add_argument("--checks", type=int, default=12, help="of the trial")
    parser.add_argument("--rate", type=float, default=0.05, help="of the trial")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--float32", action="store_true", help="also where bfloat16 is faster")
    arguments = parser.parse_args()
    words = {
        "model_type": "gpt2",
        "vocab_size": arguments.vocabulary,
        "n_positions": 1024,
        "n_embd": arguments.width,
        "n_layer": arguments.layers,
        "n_head": arguments.heads,
        "activation_function": "gelu_new",
    }
    config = GPT2.config(Config(words))
    half = half_precision("cpu") is not None and not arguments.float32
    if not half:
        learner_module.half_precision = lambda device: None
    if arguments.trial:
        torch.set_num_threads(1)
        sizes = (arguments.windows, arguments.length, arguments.checks)
        return try_planted(config, arguments.trial, arguments.steps, arguments.rate, *sizes)
    if arguments.part:
        torch.set_num_threads(1)
        examples = draw(config, arguments.windows, arguments.length)
        return take_turns(lambda: PARTS[arguments.part](config, examples, half))
    found = compare(arguments.steps + 1)
    parameters = sum(t.numel() for t in GPT2.build(config).parameters())
    ours, plain = ([seconds for seconds, _ in found[part][1:]] for part in PARTS)
    print(
        f"{parameters / 1e6:.0f} million parameters, {arguments.windows} windows of "
        f"{arguments.length} tokens, one thread, both in {'bfloat16' if half else 'float32'}\n"
        f"learned step {median(ours):.2f} s ({min(ours):.2f} to {max(ours):.2f}), training step "
        f"{median(plain):.2f} s ({min(plain):.2f} to {max(plain):.2f}): "
        f"{median(ours) / median(plain):.2f} times; mean of both {fmean(ours):.2f} and "
        f"{fmean(plain):.2f} s: {fmean(ours) / fmean(plain):.2f} times"
    )
    held = found["learned"][-1][1]
    print(
        f"anonymous memory {held / 1e9:.2f} GB: {held / 4 / parameters:.2f} times the weights of "
        "one model in float32"
    )


if __name__ == "__main__":
    main()
