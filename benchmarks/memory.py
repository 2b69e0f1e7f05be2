"""Peak memory of aligning two models, against the weights of both.

    python benchmarks/memory.py                                  # two random GPT-2s of 355 million parameters, one round
    python benchmarks/memory.py --width 768 --layers 12          # 124 million

Both models are written to a temporary folder, then loaded and aligned in place by a process of its
own, which prints the most memory it has held above what the libraries take. The bound is the
weights of both in their own precision plus 20 %, plus one layer in float64.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = {
    "model_type": "gpt2",
    "vocab_size": 50257,
    "n_positions": 1024,
    "activation_function": "gelu_new",
}


def write_random(folder: Path, config: dict, seed: int) -> None:
    """Write a random model as an ordinary checkpoint."""
    import torch

    from lmc_core.models.config import Config
    from lmc_core.models.families.gpt2 import GPT2

    torch.manual_seed(seed)
    module = GPT2.build(GPT2.config(Config(config)))
    GPT2.save(module, Config(config), folder)


def align(folders: list[str], rounds: int) -> None:
    """Align in this process and print what it took, as JSON."""
    import torch
    import transformers  # noqa: F401  (libraries are not what is measured)

    import lmc_core
    from lmc_core.matching.pair import align_pair
    from lmc_core.models.model import Model  # noqa: F401

    transformers.GPT2LMHeadModel  # noqa: B018  (loads the class)
    libraries = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    begin = time.perf_counter()
    a, b = (lmc_core.load(folder) for folder in folders)
    weights = sum(t.numel() * t.element_size() for model in (a, b) for t in model.state.values())
    tokens = torch.randint(50257, (2, 64), generator=torch.Generator().manual_seed(0))
    settings = lmc_core.Settings(starts=("edges",), max_rounds=rounds)
    pair = align_pair(a, b, tokens, settings=settings, in_place=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    width = a.config.size("n_embd")
    print(
        json.dumps(
            {
                "weights": weights,
                "peak": peak - libraries,
                "layer": 12 * width * width * 8,
                "function_error": pair.function_error,
                "objective": pair.trace.objective[-1],
                "seconds": time.perf_counter() - begin,
            }
        )
    )


def main() -> None:
    """Write two models, align them in a process of its own, print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument(
        "--rounds", type=int, default=1, help="rounds of matching; memory is the same in each"
    )
    parser.add_argument("--folders", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folders:
        return align(arguments.folders, arguments.rounds)
    config = CONFIG | {
        "n_embd": arguments.width,
        "n_layer": arguments.layers,
        "n_head": arguments.heads,
    }
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / name for name in ("a", "b")]
        for seed, folder in enumerate(folders):
            write_random(folder, config, seed)
        command = [
            sys.executable,
            __file__,
            "--rounds",
            str(arguments.rounds),
            "--folders",
            *map(str, folders),
        ]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    bound = 1.2 * found["weights"] + found["layer"]
    print(f"weights of both        {found['weights'] / 1e9:6.2f} GB")
    print(
        f"peak above libraries   {found['peak'] / 1e9:6.2f} GB, "
        f"{found['peak'] / found['weights']:.2f} of the weights"
    )
    print(
        f"bound                  {bound / 1e9:6.2f} GB: weights + 20 % + one layer in float64 "
        f"({found['layer'] / 1e9:.2f} GB)"
    )
    print(f"function error         {found['function_error']:.1e}")
    print(f"seconds                {found['seconds']:6.0f}")


if __name__ == "__main__":
    main()
