"""Run everything that has a device on it, and write what it took to docs/gpu.md.

    python scripts/gpu_check.py                          # on a machine with a GPU, under 8 minutes
    python scripts/gpu_check.py --device cpu --quick --out gpu.md

Each part is told with its error if it fails, the others go on; a part that may not end within the
budget is left out, and the file is written anew after every part.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

import lmc_core
from lmc_core.atomic import new_file
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.methods import METHODS
from lmc_core.matching.polar import iterate
from lmc_core.matching.weight import EDGES, WeightSettings
from lmc_core.matching.weight_search import match_weights
from lmc_core.models.config import Config
from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Model
from lmc_core.paths.curve import measure
from lmc_core.paths.line import Line
from lmc_core.runs.inputs import find_device
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.arithmetic import precise_type
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.task import Examples

OUT = Path(__file__).parents[1] / "docs" / "gpu.md"
BUDGET = 450.0  # seconds for all parts
PAIRS = {
    "gpt2-plays": "plays",
    "vit-fashion": "fashion-mnist",
    "neox-plays": "plays",
    "llama-plays": "plays",
    "mixtral-plays": "plays",
}
QUICK = ("gpt2-plays",)
FEW: dict[str, Mapping[str, object]] = {
    "weight": {},
    "activation": {},
    "soft": {"rounds": 4},
    "learned": {"steps": 20, "checks": 2},
    "dual": {"steps": 20, "checks": 2},
}
QUICKLY: dict[str, Mapping[str, object]] = {
    "weight": {"max_rounds": 2},
    "activation": {"examples": 8, "tokens": 64},
    "learned": {"steps": 2, "checks": 1, "batch": 4},
}
# name, family, configuration, and the seconds that matching is expected to take on a GPU
LARGE: tuple[tuple[str, str, dict[str, object], float], ...] = (
    ("GPT-2 124M", "gpt2", {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12}, 40),
    (
        "Pythia 410M",
        "gpt_neox",
        {
            "model_type": "gpt_neox",
            "vocab_size": 50304,
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "max_position_embeddings": 2048,
        },
        60,
    ),
    (
        "Pythia 1.4B",
        "gpt_neox",
        {
            "model_type": "gpt_neox",
            "vocab_size": 50304,
            "hidden_size": 2048,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 8192,
            "max_position_embeddings": 2048,
        },
        120,
    ),
)
TINY: tuple[tuple[str, str, dict[str, object], float], ...] = (
    (
        "tiny GPT-2",
        "gpt2",
        {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 2, "vocab_size": 500},
        1,
    ),
)
NOISE = 0.5  # of the second large model, as a share of the deviation of each parameter


@dataclass
class Part:
    """One part of the check.

    Attributes:
        title: a heading.
        least: seconds that it may take; it is left out where less is left.
        columns: of its table.
        rows: of its table, as text.
        failure: what went wrong, if anything did.
    """

    title: str
    least: float
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    failure: str = ""


class Check:
    """All parts, with the time that is left."""

    def __init__(self, device: str, out: Path, quick: bool, budget: float):
        self.device, self.out, self.quick = device, out, quick
        self.end = time.monotonic() + budget
        self.begun = time.monotonic()
        self.parts: list[Part] = []

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def run(self, part: Part, body: Callable[[Part], None]) -> None:
        """Run a part, note how it failed if it did, and write the file."""
        self.parts.append(part)
        print(f"== {part.title} ({self.left:.0f} s left)", flush=True)
        if self.left < part.least:
            part.failure = f"left out: {part.least:.0f} s were wanted and {self.left:.0f} s left"
        else:
            try:
                body(part)
            # whatever it is, the other parts go on
            except Exception as error:
                traceback.print_exc()
                part.failure = f"failed: {type(error).__name__}: {str(error)[:300]}"
        for row in part.rows:
            print("  " + "  ".join(row), flush=True)
        if part.failure:
            print(f"  {part.failure}", flush=True)
        self.write()

    def write(self) -> None:
        """Write what there is."""
        with new_file(self.out) as draft:
            draft.write_text(render(self), encoding="utf-8")


def render(check: Check) -> str:
    """The document."""
    torch_device = torch.device(check.device)
    name = check.device
    if torch_device.type == "cuda":
        memory = torch.cuda.get_device_properties(torch_device).total_memory / 2**30
        name = f"{torch.cuda.get_device_name(torch_device)}, {memory:.0f} GiB"
    kind = str(precise_type(torch_device)).removeprefix("torch.")
    lines = [
        "# On a GPU",
        "",
        f"Written by `python scripts/gpu_check.py` on {datetime.date.today()} in "
        f"{time.monotonic() - check.begun:.0f} s.",
        "",
        f"Device: {name}; alignments in {kind}. torch {torch.__version__}, {os.cpu_count()} cores, "
        f"{platform.machine()}.",
        "Agreement is the largest difference from the CPU's numbers.",
    ]
    if torch_device.type == "cpu":
        lines += [
            "",
            "**This was run on a CPU. It says that the script works, not how fast it is.**",
        ]
    for part in check.parts:
        lines += ["", f"## {part.title}", ""]
        if part.rows:
            lines += [f"| {' | '.join(part.columns)} |", "|" + "---|" * len(part.columns)]
            lines += [f"| {' | '.join(row)} |" for row in part.rows]
        if part.failure:
            lines += ["", f"{part.failure}."] if part.rows else [f"{part.failure}."]
    return "\n".join(lines) + "\n"


@contextmanager
def watched(device: str) -> Iterator[dict[str, float]]:
    """Seconds and the most memory, in GiB: of the GPU, or of the process where there is none."""
    cuda = torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    found: dict[str, float] = {}
    yield found
    if cuda:
        torch.cuda.synchronize()
    found["seconds"] = time.perf_counter() - begin
    peak = (
        torch.cuda.max_memory_allocated()
        if cuda
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    found["memory"] = peak / 2**30


def random_model(family: str, config: Mapping[str, object], device: str) -> Model:
    """Random weights at a configuration, on the device: gains near 1, all else small."""
    chosen = FAMILIES[family]
    full = chosen.config(Config(config))  # type: ignore[arg-type]  # of JSON values
    generator = torch.Generator(device if torch.device(device).type == "cuda" else "cpu")
    generator.manual_seed(0)
    state = {}
    for name, shape in chosen.layout(full).shapes.items():
        drawn = torch.randn(shape, generator=generator, device=generator.device) * 0.02
        gain = len(shape) == 1 and name.endswith("weight")
        state[name] = (drawn + 1 if gain else drawn).to(device)
    return Model("random", chosen, full, state)


def losses(pair: AlignedPair) -> float:
    """What tells two runs of a method apart: the objective, or the last held-out loss."""
    history = pair.trace.about.get("history")
    return float(history[-1][2]) if isinstance(history, list) else pair.trace.objective[-1]


def small_pairs(check: Check, names: Sequence[str]) -> None:
    """Every method on included models, on the device and on the CPU."""
    columns = ("CPU s", "device s", "GiB", "apart", "function error")
    for name in names:
        for method in QUICKLY if check.quick else FEW:
            part = Part(f"{name}, {method}", 1 if check.quick else 20, columns)
            check.run(part, partial(_compare, check, name, method))


def _compare(check: Check, name: str, method: str, part: Part) -> None:
    """One method on one pair of included models."""
    a, b = (lmc_core.load(f"zoo:{name}-s{seed}") for seed in (0, 1))
    task = lmc_core.task_for(PAIRS[name], a, b)
    chosen = METHODS[method]
    settings = (QUICKLY if check.quick else FEW)[method]
    found, took = [], []
    for device in ("cpu", check.device):
        learning = Learning.split(task.examples("train", 400, 0, 64), 100, 0, device)
        with watched(device) as each:
            pair = lmc_core.align_pair(
                a,
                b,
                task.examples("test", None, 0, 64).first(16).inputs,
                method=method,
                settings=chosen.configured(settings),
                learning=learning if chosen.uses_data else None,
                device=device,
            )
        found.append(pair)
        took.append(each)
    part.rows.append(
        (
            f"{took[0]['seconds']:.1f}",
            f"{took[1]['seconds']:.1f}",
            f"{took[1]['memory']:.2f}",
            f"{abs(losses(found[0]) - losses(found[1])):.1e}",
            f"{found[1].function_error:.1e}",
        )
    )


def large_models(check: Check) -> None:
    """Weight matching, a curve and a forward pass of large random models."""
    for name, family, config, least in TINY if check.quick else LARGE:

        def match(part: Part, family: str = family, config: Mapping[str, object] = config) -> None:
            a = random_model(family, config, check.device)
            classes = choose_classes(a.layout.spaces)
            a = lmc_core.canonical(a, classes, True)
            generator = torch.Generator().manual_seed(1)
            planted = Alignment.random(a.layout.spaces, classes, generator).to(check.device)
            state = planted.apply(a.layout, a.state)
            for tensor in state.values():
                tensor += NOISE * float(tensor.std()) * torch.randn_like(tensor)
            b = lmc_core.canonical(a.with_state(state), classes, True)
            settings = WeightSettings(starts=(EDGES,), max_rounds=2)
            with watched(check.device) as took:
                found, trace = match_weights(a.layout, a.state, b.state, classes, settings)
            moved = b.with_state(found.apply(b.layout, b.state, in_place=True))
            parameters = sum(tensor.numel() for tensor in a.state.values())
            part.rows.append(
                (
                    f"{parameters / 1e6:.0f} million",
                    f"{took['seconds'] / trace.rounds:.2f} a round",
                    f"{took['memory']:.2f}",
                    f"{trace.objective[-1]:.3f}",
                )
            )
            tokens = torch.randint(100, (8, 129), generator=torch.Generator().manual_seed(2))
            examples = Examples(tokens[:, :-1], tokens[:, 1:])
            with watched(check.device) as took:
                measure(Line(a, moved), torch.linspace(0, 1, 3), examples, check.device)
            part.rows.append(
                (
                    "curve of 3 points, 8 windows of 128",
                    f"{took['seconds']:.2f}",
                    f"{took['memory']:.2f}",
                    "",
                )
            )

        check.run(Part(f"{name}: weight matching", least, ("what", "s", "GiB", "objective")), match)


def learned_steps(check: Check) -> None:
    """Steps of learned matching on a large random pair."""
    name, family, config, _ = (TINY if check.quick else LARGE)[0]

    def body(part: Part) -> None:
        models = [random_model(family, config, "cpu") for _ in range(2)]
        tokens = torch.randint(100, (40, 129), generator=torch.Generator().manual_seed(2))
        learning = Learning.split(Examples(tokens[:, :-1], tokens[:, 1:]), 8, 0, check.device)
        method = METHODS["learned"]
        classes = choose_classes(models[0].layout.spaces)
        a, b = (lmc_core.canonical(model, classes, device=check.device) for model in models)
        given = MatcherInput(
            a, b, classes, train=learning.train, held_out=learning.held_out, device=check.device
        )
        steps = 5 if check.quick else 20
        with watched(check.device) as took:
            _, trace = method.match(given, method.configured({"steps": steps, "checks": 1}))
        spent = trace.about["learn_seconds"]
        assert isinstance(spent, float)
        part.rows.append((name, f"{spent / steps:.3f} a step", f"{took['memory']:.2f}"))

    check.run(Part("Learned matching", 60, ("model", "s", "GiB")), body)


def factors(check: Check) -> None:
    """Orthogonal factors by decomposition and by iteration."""

    def body(part: Part) -> None:
        dtype = precise_type(check.device)
        shapes = ((144, 64, 64), (1, 768, 768), (1, 1024, 1024), (1, 2048, 2048))
        for shape in shapes[:2] if check.quick else shapes:
            drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            matrix = drawn.to(check.device, dtype)
            with watched(check.device) as decomposed:
                u, _, vt = torch.linalg.svd(matrix)
                float((u @ vt).sum())
            with watched(check.device) as iterated:
                found = iterate(matrix)
            apart = "singular" if found is None else f"{float((found - u @ vt).abs().max()):.1e}"
            part.rows.append(
                (
                    " x ".join(str(each) for each in shape),
                    f"{decomposed['seconds']:.3f}",
                    f"{iterated['seconds']:.3f}",
                    apart,
                )
            )

    columns = ("matrices", "decomposition s", "iteration s", "apart")
    check.run(Part("Orthogonal factors", 20, columns), body)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts; 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--device", help="cuda, mps or cpu (default: cuda if there is one, else cpu)"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--quick", action="store_true", help="one small pair and tiny models")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for all parts")
    options = parser.parse_args(arguments)
    known = options.device in (None, "cpu", "cuda", "mps")
    device = find_device(options.device) if known else options.device
    check = Check(device, options.out, options.quick, options.budget)
    factors(check)
    small_pairs(check, QUICK if options.quick else tuple(PAIRS)[:2])
    large_models(check)
    learned_steps(check)
    if not options.quick:
        small_pairs(check, tuple(PAIRS)[2:])
    print(f"written to {options.out}")
    return int(any(part.failure.startswith("failed") for part in check.parts))


if __name__ == "__main__":
    raise SystemExit(main())
