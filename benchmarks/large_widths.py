"""Two large models of unequal widths, held and read one parameter at a time: seconds and memory.

    python benchmarks/large_widths.py                                  # 512 in 768, 12 layers, both ways
    python benchmarks/large_widths.py --layers 6 24 --ways lazy        # whether depth matters
    python benchmarks/large_widths.py --family pythia --widths 512 1024 --ways lazy --threads 2

A narrow and a wide model with random weights in half precision, their heads 64 wide, are written to
a temporary folder. Each way is a process of its own, which loads them, brings them to one width and
into one frame by their weights (canonical forms, widening, matching, giving places away, the
function check on two windows of 64 tokens) and writes both. `--rounds` ends every matching early,
from one start: memory is the same in each round. Printed are the seconds by the clock and of the
processor, the objective, the largest change of a function, how many narrow units and heads own
places, the most memory of its own (RssAnon above that of the imported libraries) with what is
announced for it, and the bound of three layers, the largest table and two accumulators of the wide
model.
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

from scale import OwnMemory, bound, gpt2, pythia, write_pair  # noqa: E402  (a file beside this one)

WAYS = ("held", "lazy")
FAMILIES = {"gpt2": gpt2, "pythia": pythia}
HEAD = 64


def align(folders: list[str], way: str, arguments: argparse.Namespace) -> None:
    """Align and write in this process, and print what it took as JSON."""
    import torch
    import transformers

    import lmc_core
    from lmc_core.matching.pair import align_pair

    torch.set_num_threads(arguments.threads)
    for loaded in ("GPT2LMHeadModel", "GPTNeoXForCausalLM"):
        getattr(transformers, loaded)
    libraries, memory = OwnMemory.now(), OwnMemory()
    memory.start()
    begin, cpu = time.perf_counter(), time.process_time()
    a, b = (lmc_core.load(folder, lazy=way == "lazy") for folder in folders)
    tokens = torch.randint(50257, (2, 64), generator=torch.Generator().manual_seed(0))
    settings = lmc_core.WeightSettings(
        starts=("edges",), scout_rounds=0, max_rounds=arguments.rounds
    )
    pair = align_pair(a, b, tokens, settings=settings, in_place=way == "held")
    del a, b
    aligned = memory.most - libraries
    with tempfile.TemporaryDirectory() as root:
        pair.a.save(Path(root) / "a")
        pair.b.save(Path(root) / "b")
    found = {
        "seconds": time.perf_counter() - begin,
        "cpu": time.process_time() - cpu,
        "before": pair.trace.before,
        "objective": pair.trace.objective,
        "function": pair.function_error,
        "owned": sum(int((each.owner >= 0).sum()) for each in pair.places.values()),
        "places": sum(each.owner.numel() for each in pair.places.values()),
        "aligned": aligned,
        "own": memory.most - libraries,
    }
    print(json.dumps(found))


def announce(folders: list[str], way: str) -> int:
    """Bytes that are announced for what is measured here."""
    from lmc_core.analysis.memory import estimate_pair
    from lmc_core.analysis.widened_memory import estimate_lazy_widths

    if way == "held":
        return estimate_pair(folders).align
    return estimate_lazy_widths(folders, 2, 64)


def main() -> None:
    """Write pairs, align them by every way, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", choices=FAMILIES, default="gpt2")
    parser.add_argument("--widths", nargs=2, type=int, default=(512, 768))
    parser.add_argument("--layers", nargs="+", type=int, default=[12])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--rounds", type=int, default=1, help="of every matching, at the most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return align(arguments.worker[1:], arguments.worker[0], arguments)
    import torch

    torch.set_num_threads(arguments.threads)  # the announcement is for as many
    make = FAMILIES[arguments.family]
    for layers in arguments.layers:
        with tempfile.TemporaryDirectory() as root:
            folders = []
            for number, width in enumerate(arguments.widths):
                folders.append(Path(root) / f"{width}")
                config = make(width, layers, width // HEAD)
                write_pair(config, "random", 1.0, folders[-1:], seed=number)
            title = f"{arguments.family} {layers} layers, {arguments.widths[0]} in {width}"
            most = bound(make(width, layers, width // HEAD))
            measure(title, [str(folder) for folder in folders], most, arguments)


def measure(title: str, folders: list[str], most: int, arguments: argparse.Namespace) -> None:
    """Align a pair by every way, each in a process of its own."""
    for way in arguments.ways:
        command = [sys.executable, __file__, *sys.argv[1:], "--worker", way, *folders]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        values = ", ".join(f"{value:.5f}" for value in (found["before"], *found["objective"]))
        print(
            f"{title} {way}, {arguments.threads} threads: {found['seconds']:.0f} s "
            f"({found['cpu']:.0f} CPU s), objective {values}, function {found['function']:.1e}, "
            f"{found['owned']} of {found['places']} places owned; own memory "
            f"{found['own'] / 1e9:.3f} GB ({found['aligned'] / 1e9:.3f} aligning), "
            f"{announce(folders, way) / 1e9:.3f} announced (3 layers, table, accumulators: "
            f"{most / 1e9:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
