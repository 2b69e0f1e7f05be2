"""Several large models in one frame, held and read one parameter at a time: seconds and memory.

    python benchmarks/large_group.py                                   # three of 28M, both ways
    python benchmarks/large_group.py --sizes 124M --ways lazy --method reference --onto 1
    python benchmarks/large_group.py --sizes 28M --models 3 6 --ways lazy --pair-rounds 1
    python benchmarks/large_group.py --method none --windows 4         # losses in place of files

Models have random weights in half precision (`scale.py`) and are written to a temporary folder.
Each way is a process of its own, which loads them, brings them together by their weights (canonical
forms, matching, the function check on two windows of 64 tokens) and writes every aligned model and
their mean. With `--windows` nothing is written: the losses of the models, their centre, the
midpoints of pairs and the simplex of three are measured on so many random windows, as `lmc group`
measures them, and `--method none` leaves the models as they are. `--pair-rounds` ends every matching early, from one start: memory is the same in each
round. `held` are models that are in memory, `lazy` those that are read one parameter at a time.
Printed are the seconds by the clock and of the processor, the objective, the largest change of a
function, the most memory of its own (RssAnon above that of the imported libraries) with what is
announced for it, and the largest resident set; with `--windows` also the seconds of the processor
that losses took, and their largest difference from those of the first way.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmc_core.models.model import Model

sys.path.insert(0, str(Path(__file__).parent))

from scale import SIZES, OwnMemory, write_pair  # noqa: E402  (a file beside this one)

WAYS = ("held", "lazy")


def bring_together(folders: list[str], way: str, arguments: argparse.Namespace) -> None:
    """Align, and write or measure, in this process, and print what it took as JSON."""
    import torch
    import transformers

    import lmc_core
    from lmc_core.matching import consensus
    from lmc_core.matching.many import align_models, common_forms
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
    if arguments.method == "none":
        group, moved = None, common_forms(models)
    else:
        universe = {"steps": 0, "frame": "mean", "rounds": arguments.rounds}
        settings = MANY_METHODS[arguments.method].configured(
            {"reference": arguments.onto, **(universe if arguments.method == "universe" else {})}
        )
        group = align_models(models, tokens, method=arguments.method, settings=settings)
        moved = group.models
    del models
    gc.collect()  # as `runs.cache.align_models` does
    aligned, middle, losses = memory.most - libraries, time.process_time(), None
    if arguments.windows:
        memory.most = 0
        losses = measure_mixtures(moved, arguments)
    elif group is not None:
        with tempfile.TemporaryDirectory() as root:
            for number, model in enumerate(group.written):
                model.save(Path(root) / str(number))
            group.centre.save(Path(root) / "merged")
    found = {
        "seconds": time.perf_counter() - begin,
        "cpu": time.process_time() - cpu,
        "after": time.process_time() - middle,
        "before": 0.0 if group is None else group.trace.before,
        "objective": [] if group is None else group.trace.objective,
        "function": 0.0 if group is None else max(group.function_errors),
        "losses": losses,
        "aligned": aligned,
        "own": max(aligned, memory.most - libraries),
        "measured": memory.most - libraries,
        "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(found))


def measure_mixtures(models: Sequence[Model], arguments: argparse.Namespace) -> list[list[float]]:
    """Losses of all mixtures of models that are in one frame, `[mixtures, windows]`."""
    import torch

    from lmc_core.paths.simplex import choose_mixtures, losses_at
    from lmc_core.tasks import Examples

    shape = arguments.windows, arguments.tokens + 1
    tokens = torch.randint(50257, shape, generator=torch.Generator().manual_seed(1))
    examples = Examples(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
    weights = choose_mixtures(len(models), arguments.resolution if len(models) == 3 else None)
    return losses_at(models, weights, examples)[0].tolist()


def announce(folders: list[str], way: str, arguments: argparse.Namespace, mixtures: int) -> int:
    """Bytes that are announced for what is measured here.

    Args:
        folders: of the models.
        way: a name in `WAYS`.
        arguments: of the command.
        mixtures: whose losses are measured; 0 where models are written.
    """
    from lmc_core.analysis.lazy_memory import estimate_lazy_group_of
    from lmc_core.analysis.memory import estimate_group
    from lmc_core.analysis.streamed_memory import estimate_mixtures_of

    moved, onto = arguments.method != "none", arguments.onto > 0
    if way == "held":
        memory = estimate_group(folders, moved, False, arguments.windows, arguments.tokens)
        return memory.peak if mixtures else memory.align
    if not mixtures:
        return estimate_lazy_group_of(folders, 2, 64, onto)
    pairs = mixtures * arguments.windows
    return estimate_mixtures_of(folders, onto if moved else None, 2, arguments.tokens, pairs).peak


def main() -> None:
    """Write models, bring them together by every way, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["28M"])
    parser.add_argument("--models", nargs="+", type=int, default=[3])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--method", choices=("none", "reference", "universe"), default="universe")
    parser.add_argument("--onto", type=int, default=0, help="onto which model; 0: the best")
    parser.add_argument("--rounds", type=int, default=1, help="visits of every model, at the most")
    parser.add_argument("--pair-rounds", type=int, help="of every matching, at the most")
    parser.add_argument("--windows", type=int, default=0, help="to measure on; 0: write files")
    parser.add_argument("--tokens", type=int, default=64, help="of a window")
    parser.add_argument("--resolution", type=int, default=6, help="of the simplex of three")
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
    import torch

    first = None
    for way in arguments.ways:
        command = [sys.executable, __file__, *sys.argv[1:], "--worker", way, *folders]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        values = ", ".join(f"{value:.5f}" for value in (found["before"], *found["objective"]))
        losses, said = torch.tensor(found["losses"] or ()), ""
        if len(losses):
            first = losses if first is None else first
            said = (
                f"; {len(losses)} mixtures: {found['after']:.0f} CPU s, "
                f"{found['measured'] / 1e9:.2f} GB, losses off by "
                f"{float(((losses - first).abs() / first).max()):.1e} (relative)"
            )
        print(
            f"{title} {arguments.method} {way}: {found['seconds']:.0f} s ({found['cpu']:.0f} CPU "
            f"s), objective {values}, function {found['function']:.1e}; own memory "
            f"{found['own'] / 1e9:.2f} GB ({found['aligned'] / 1e9:.2f} aligning), "
            f"{announce(folders, way, arguments, len(losses)) / 1e9:.2f} announced, resident "
            f"{found['resident'] / 1e9:.2f} GB{said}",
            flush=True,
        )


if __name__ == "__main__":
    main()
