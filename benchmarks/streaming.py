"""Merging and comparing models that are not held: the memory that is announced against what it takes.

    python benchmarks/streaming.py                        # a random pair of 410M parameters in float16
    python benchmarks/streaming.py --width 2560 --layers 32 --methods average
    python benchmarks/streaming.py --diff                 # `lmc diff` of the same pair

Both models are written tensor by tensor to a folder, then merged by a process of its own, whose
anonymous memory (RssAnon: its own, libraries' files left out) is read every 3 ms. Linux alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MERGE = """
import sys
from lmc_core.cli import main
from lmc_core.merging import streamed
streamed.LARGE = 0  # whatever the size
sys.exit(main(sys.argv[1:]))
"""


def write_random(folder: Path, width: int, layers: int, seed: int) -> None:
    """Write a random GPT-NeoX in float16, one tensor after the other."""
    import torch

    from lmc_core.models.config import Config
    from lmc_core.models.families import FAMILIES
    from lmc_core.models.lazy import LazyState
    from lmc_core.models.model import Model

    family = FAMILIES["gpt_neox"]
    sizes = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers}
    raw = {"model_type": "gpt_neox", "vocab_size": 50304, "num_attention_heads": width // 64}
    config = family.config(Config(raw | sizes | {"rotary_pct": 0.25}))
    shapes = {
        name: torch.empty(shape, dtype=torch.float16, device="meta")
        for name, shape in family.layout(config).shapes.items()
    }
    generator = torch.Generator().manual_seed(seed)

    def draw(name: str) -> torch.Tensor:
        values = 0.02 * torch.randn(shapes[name].shape, generator=generator)
        return (values + name.endswith("norm.weight")).half()

    Model(folder.name, family, config, LazyState(shapes, draw)).save(folder)


def watch(command: list[str]) -> tuple[str, int, float]:
    """Run a command: what it prints, the most anonymous memory in bytes, and the seconds."""
    begin, most = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:  # it has ended meanwhile
            break
        found = [line for line in status.splitlines() if line.startswith("RssAnon")]
        most = max(most, *(1024 * int(line.split()[1]) for line in found), 0)
        time.sleep(0.003)
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} ended with {process.returncode}.")
    return said, most, time.perf_counter() - begin


def main() -> None:
    """Write a pair, merge or compare it, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--folder", type=Path, help="that keeps the pair for another time")
    methods = ["average", "slerp", "task-arithmetic", "ties", "dare"]
    parser.add_argument("--methods", nargs="+", default=methods)
    parser.add_argument("--diff", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = asked.folder or Path(name)
        pair = [root / f"r{seed}" for seed in range(2)]
        for seed, folder in enumerate(pair):
            if not (folder / "config.json").is_file():
                write_random(folder, asked.width, asked.layers, seed)
        models = [str(folder) for folder in pair]
        if asked.diff:
            for ranks in ("0", "1024"):
                command = [sys.executable, "-m", "lmc_core.cli", "diff", *models]
                said, most, seconds = watch([*command, "--ranks", ranks, "--json"])
                verdict = json.loads(said)["verdict"]
                print(f"diff --ranks {ranks}: {verdict}, {most / 1e6:.0f} MB, {seconds:.0f} s")
            return
        for number, method in enumerate(asked.methods):
            out = str(Path(name) / f"merged-{number}")
            options = ["--method", method, "--frame", "none", "--out", out, "--json"]
            said, most, seconds = watch([sys.executable, "-c", MERGE, "merge", *models, *options])
            told = json.loads(said)["memory"]
            print(
                f"{method}: announced {told / 1e6:.0f} MB, peak {most / 1e6:.0f} MB "
                f"({most / told:.2f}), {seconds:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
