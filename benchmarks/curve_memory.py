"""Peak memory of measuring a curve between two random models, against what is announced.

    python benchmarks/curve_memory.py                            # GPT-2 at 124M and 410M parameters
    python benchmarks/curve_memory.py --size 124M --dtype float16

The curve is measured in a process of its own, whose anonymous memory is read every few
milliseconds; what it held before the models were there is taken off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

SIZES = {"28M": (384, 6, 6, 50257), "124M": (768, 12, 12, 50257), "410M": (1024, 26, 16, 50257)}


def anonymous() -> int:
    """Bytes of memory of this process that no file holds."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def measure(size: str, dtype: str, examples: int, points: int) -> dict[str, float]:
    """Measure a curve in this process."""
    import torch

    from lmc_core.analysis.memory import SCRATCH, estimate
    from lmc_core.models.config import Config
    from lmc_core.models.families.gpt2 import GPT2
    from lmc_core.models.model import Model
    from lmc_core.paths.curve import curve
    from lmc_core.paths.line import Line
    from lmc_core.tasks import Examples

    width, layers, heads, vocabulary = SIZES[size]
    raw = {"model_type": "gpt2", "n_embd": width, "n_layer": layers, "n_head": heads}
    config = GPT2.config(Config(raw | {"vocab_size": vocabulary, "n_positions": 1024}))
    shapes = GPT2.layout(config).shapes
    _ = torch.randn(64, 64) @ torch.randn(64, 64)  # what the libraries hold is no part of it
    before, peak, run = anonymous(), [0], [True]

    def watch() -> None:
        while run[0]:
            peak[0] = max(peak[0], anonymous())
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    pair = []
    for seed in (0, 1):
        generator, state = torch.Generator().manual_seed(seed), {}
        for name, shape in shapes.items():
            state[name] = torch.empty(shape, dtype=getattr(torch, dtype))
            state[name].normal_(0, 0.02, generator=generator)
        pair.append(Model(f"random-{seed}", GPT2, config, state))
    tokens = torch.randint(vocabulary, (examples, 129), generator=torch.Generator().manual_seed(0))
    data = Examples(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
    begin = time.process_time()
    curve(Line(*pair), data, points, 0)
    seconds = time.process_time() - begin
    run[0] = False
    watcher.join()
    weights = sum(tensor.nbytes for model in pair for tensor in model.state.values())
    announced = estimate(GPT2, config, points, aligned=False).measure
    return {
        "weights": weights,
        "peak": peak[0] - before,
        "announced": announced,
        "scratch": SCRATCH,
        "seconds": seconds,
    }


def main() -> None:
    """Measure in processes of their own, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float16", "bfloat16"))
    parser.add_argument("--examples", type=int, default=12, help="windows of 128 tokens")
    parser.add_argument("--points", type=int, default=3, help="of the curve")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(
            json.dumps(
                measure(arguments.size[0], arguments.dtype, arguments.examples, arguments.points)
            )
        )
        return
    for size in arguments.size or ("124M", "410M"):
        words = ["--size", size, "--dtype", arguments.dtype, "--examples", str(arguments.examples)]
        words += ["--points", str(arguments.points)]
        done = subprocess.run(
            [sys.executable, __file__, "--here", *words],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        found = json.loads(done.stdout)
        print(
            f"{size} in {arguments.dtype}: weights of both {found['weights'] / 1e9:.2f} GB, peak "
            f"{found['peak'] / 1e9:.2f} GB, announced {found['announced'] / 1e9:.2f} GB "
            f"({found['announced'] / found['peak'] - 1:+.0%}); {found['seconds']:.0f} s of CPU",
            flush=True,
        )


if __name__ == "__main__":
    main()
