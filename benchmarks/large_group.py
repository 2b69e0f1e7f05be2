"""Several large models in one frame, held and read one parameter at a time: seconds and memory.

    python benchmarks/large_group.py                                   # three of 28M, both ways
    python benchmarks/large_group.py --sizes 124M --ways lazy --method reference --onto 1
    python benchmarks/large_group.py --sizes 28M --models 3 6 --ways lazy --pair-rounds 1

Models have random weights in half precision (`scale.py`) and are written to a temporary folder.
Each way is a process of its own, which loads them, brings them together by their weights (canonical
forms, matching, the function check on two windows of 64 tokens) and writes every aligned model and
their mean. `--pair-rounds` ends every matching early, from one start: memory is the same in each
round. `held` are models that are in memory, `lazy` those that are read one parameter at a time.
Printed are the seconds by the clock and of the processor, the objective, the largest change of a
function, the most memory of its own (RssAnon above that of the imported libraries) with what is
announced for it, and the largest resident set.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scale import SIZES, OwnMemory, write_pair  # noqa: E402  (a file beside this one)

WAYS = ("held", "lazy")


def bring_together(folders: list[str], way: str, arguments: argparse.Namespace) -> None:
    """Align and write in this process, and print what it took as JSON."""
    import torch
    import transformers

    import lmc_core
    from lmc_core.matching import consensus
    from lmc_core.matching.many import align_models
    from lmc_core.matching.methods import MANY_METHODS

    torch.set_num_threads(arguments.threads)
    if arguments.pair_rounds:
        few = {"scout_rounds": 0, "max_rounds": arguments.pair_rounds}
        setattr(consensus, "PAIRS", replace(consensus.PAIRS, starts=("edges",), **few))  # noqa: B010
        setattr(consensus, "VISIT", replace(consensus.VISIT, **few))  # noqa: B010
    for loaded in ("GPT2LMHeadModel", "GPTNeoXForCausalLM", "MixtralForCausalLM"):
        getattr(transformers, loaded)
    libraries, memory = OwnMemory.now(), OwnMemory()
    memory.start()
    begin, cpu = time.perf_counter(), time.process_time()
    models = [lmc_core.load(folder, lazy=way == "lazy") for folder in folders]
    tokens = torch.randint(50257, (2, 64), generator=torch.Generator().manual_seed(0))
    universe = {"steps": 0, "frame": "mean", "rounds": arguments.rounds}
    settings = MANY_METHODS[arguments.method].configured(
        {"reference": arguments.onto, **(universe if arguments.method == "universe" else {})}
    )
    group = align_models(models, tokens, method=arguments.method, settings=settings)
    del models
    aligned = memory.most - libraries
    with tempfile.TemporaryDirectory() as root:
        for number, model in enumerate(group.written):
            model.save(Path(root) / str(number))
        group.centre.save(Path(root) / "merged")
    found = {
        "seconds": time.perf_counter() - begin,
        "cpu": time.process_time() - cpu,
        "before": group.trace.before,
        "objective": group.trace.objective,
        "function": max(group.function_errors),
        "aligned": aligned,
        "own": memory.most - libraries,
        "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(found))


def announce(folders: list[str], way: str, onto: bool) -> int:
    """Bytes that are announced for what is measured here."""
    from lmc_core.analysis.lazy_memory import estimate_lazy_group_of
    from lmc_core.analysis.memory import estimate_many

    if way == "held":
        return estimate_many(folders).align
    return estimate_lazy_group_of(folders, 2, 64, onto)


def main() -> None:
    """Write models, bring them together by every way, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["28M"])
    parser.add_argument("--models", nargs="+", type=int, default=[3])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--method", choices=("reference", "universe"), default="universe")
    parser.add_argument("--onto", type=int, default=0, help="onto which model; 0: the best")
    parser.add_argument("--rounds", type=int, default=1, help="visits of every model, at the most")
    parser.add_argument("--pair-rounds", type=int, help="of every matching, at the most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return bring_together(arguments.worker[1:], arguments.worker[0], arguments)
    import torch

    torch.set_num_threads(arguments.threads)  # the announcement is for as many
    for size in arguments.sizes:
        for count in arguments.models:
            with tempfile.TemporaryDirectory() as root:
                folders = [Path(root) / f"s{number}" for number in range(count)]
                write_pair(SIZES[size], "random", 1.0, folders)
                measure(f"{size} x {count}", [str(folder) for folder in folders], arguments)


def measure(title: str, folders: list[str], arguments: argparse.Namespace) -> None:
    """Bring some models together by every way, each in a process of its own."""
    for way in arguments.ways:
        command = [sys.executable, __file__, *sys.argv[1:], "--worker", way, *folders]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        values = ", ".join(f"{value:.5f}" for value in (found["before"], *found["objective"]))
        print(
            f"{title} {arguments.method} {way}: {found['seconds']:.0f} s ({found['cpu']:.0f} CPU "
            f"s), objective {values}, function {found['function']:.1e}; own memory "
            f"{found['own'] / 1e9:.2f} GB ({found['aligned'] / 1e9:.2f} aligning), "
            f"{announce(folders, way, arguments.onto > 0) / 1e9:.2f} announced, resident "
            f"{found['resident'] / 1e9:.2f} GB",
            flush=True,
        )


if __name__ == "__main__":
    main()
