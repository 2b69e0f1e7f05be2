"""A curve between two large models, by each way in which their parameters can be held.

    python benchmarks/large_curve.py --size 124M                      # all three ways
    python benchmarks/large_curve.py --size 410M --ways streamed --windows 4 --points 5

Two models with random weights in half precision (`scale.py`) are written to a temporary folder.
Each way is a process of its own, which loads them, aligns them if `--method weight` (one round of
matching, function check on two windows of 64 tokens) and measures the loss at evenly spaced points
on random windows:

    held       both models are held, and one mixture in float32 is written into a module
    mixture    both are read lazily, and one mixture in float32 is made anew for every point
    streamed   both are read lazily, and each part is read once for all points

Printed are the seconds of the alignment and of the curve (by the clock, and of the processor), the
most memory of its own (RssAnon above that of the imported libraries) in the whole run and in the
curve alone, what is announced for the streamed way, and the largest difference of the losses from
those of the first way. The routers of mixtures of experts are followed as well, as `lmc barrier`
does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scale import SIZES, OwnMemory, write_pair  # noqa: E402  (a file beside this one)

WAYS = ("held", "mixture", "streamed")


def measure(folders: list[str], way: str, arguments: argparse.Namespace) -> None:
    """Measure by one way in this process, and print what it took as JSON."""
    import torch
    import transformers

    import lmc_core
    from lmc_core.analysis.routing import routing
    from lmc_core.analysis.streamed_memory import estimate_lazy_curve
    from lmc_core.matching.common_form import common_form
    from lmc_core.matching.pair import align_pair
    from lmc_core.models.routers import routers
    from lmc_core.paths.line import Line
    from lmc_core.tasks import Examples, streamed_losses
    from lmc_core.tasks.evaluator import States, evaluate
    from lmc_core.tasks.streamed_losses import StreamedLosses

    torch.set_num_threads(arguments.threads)
    for name in ("GPT2LMHeadModel", "GPTNeoXForCausalLM", "MixtralForCausalLM"):
        getattr(transformers, name)
    if arguments.flow:
        streamed_losses.FLOW = arguments.flow * 2**20
    libraries, memory = OwnMemory.now(), OwnMemory()
    memory.start()
    begin = time.perf_counter()
    a, b = (lmc_core.load(folder, lazy=way != "held") for folder in folders)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(50257, (arguments.windows, arguments.tokens + 1), generator=generator)
    examples = Examples(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
    if arguments.method == "weight":
        settings = lmc_core.Settings(starts=("edges",), max_rounds=1)
        pair = align_pair(a, b, tokens[:2, :64], settings=settings, in_place=way == "held")
        line = Line(pair.a, pair.b)
        del pair
    else:
        line = Line(*common_form(a, b))
    del a, b
    aligned, before = time.perf_counter() - begin, memory.most
    memory.most = 0
    lam = torch.linspace(0, 1, arguments.points, dtype=torch.float64).tolist()
    begin, cpu = time.perf_counter(), time.process_time()
    if way == "streamed":
        weights = [(1 - t, t) for t in lam]
        losses, _ = StreamedLosses((line.a, line.b), examples).losses(weights)
    else:
        losses, _ = evaluate(line.a, States(line.state, lam), examples)
    if way != "mixture" and routers(line.a.layout):
        routing(line, examples, arguments.points)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    announced = estimate_lazy_curve(
        line.a.family,
        line.a.config,
        2,
        arguments.method == "weight",
        arguments.tokens,
        arguments.windows * arguments.points,
    )
    found = {
        "aligned": aligned,
        "seconds": seconds,
        "cpu": cpu,
        "own": max(before, memory.most) - libraries,
        "curve": memory.most - libraries,
        "announced": announced,
        "losses": losses.tolist(),
    }
    print(json.dumps(found))


def main() -> None:
    """Write a pair, measure by every way, print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="124M")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--method", choices=("none", "weight"), default="none")
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--points", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--flow", type=int, help="MB of activations that are held at once")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return measure(arguments.worker[:2], arguments.worker[2], arguments)
    import torch

    first = None
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / name for name in ("a", "b")]
        write_pair(SIZES[arguments.size], "random", 1.0, folders)
        for way in arguments.ways:
            command = [sys.executable, __file__, *sys.argv[1:], "--worker", *map(str, folders), way]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            each = json.loads(done.stdout)
            losses = torch.tensor(each["losses"])
            first = losses if first is None else first
            print(
                f"{arguments.size} {arguments.method} {way:9}: {each['aligned']:.1f} s before, curve "
                f"{each['seconds']:.1f} s ({each['cpu']:.1f} CPU s); own memory "
                f"{each['own'] / 1e9:.2f} GB, of the curve {each['curve'] / 1e9:.2f} GB, announced "
                f"{each['announced'] / 1e9:.2f} GB; losses off by "
                f"{float(((losses - first).abs() / first).max()):.1e} (relative)",
                flush=True,
            )


if __name__ == "__main__":
    main()
