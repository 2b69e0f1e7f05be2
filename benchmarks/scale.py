"""What aligning takes by the size of the models: seconds, memory, and how they grow.

    python benchmarks/scale.py                                       # 28M and 124M: minutes
    python benchmarks/scale.py --sizes 410M 1.4B --rounds 2          # two rounds each
    python benchmarks/scale.py --sizes 1.4B --pair planted           # the second is the first, moved, with noise
    python benchmarks/scale.py --sizes 124M --reference              # against reference_matching.py as well

Models have random weights in half precision at published configurations (GPT-2, Pythia; 28M is a
GPT-2 of width 384 with 6 layers). A pair is written to a temporary folder, parameter by parameter,
then read lazily and aligned by a process of its own: canonical form, weight matching, the function
check on 2 windows of 64 tokens, and with `--write` both aligned models on disk. Independent models
(`--pair random`) are the worst case for assignments: no unit has a partner. Planted ones are the
first model moved by a random element of its group and disturbed by noise of `--noise` times the
weights' size.

Seconds are of the clock and of the process on the CPU, of all of it and of one round of matching
(mean without the first). Memory is the largest resident set, and that of it which is the process's
own: what is mapped from files can be dropped. The exponent is the slope of the logarithm of a
round's CPU seconds over that of the parameters.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def gpt2(width: int, layers: int, heads: int) -> dict:
    """A GPT-2 of the usual vocabulary."""
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": width,
        "n_layer": layers,
        "n_head": heads,
    }


def pythia(width: int, layers: int, heads: int) -> dict:
    """A Pythia, as published."""
    return {
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "vocab_size": 50304,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "max_position_embeddings": 2048,
        "rotary_pct": 0.25,
        "tie_word_embeddings": False,
    }


def mixtral(width: int, layers: int, heads: int) -> dict:
    """A small Mixtral: eight experts, two of them for a token, with twice as many units as the
    stream is wide.
    """
    return {
        "model_type": "mixtral",
        "architectures": ["MixtralForCausalLM"],
        "vocab_size": 50304,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "intermediate_size": 2 * width,
        "max_position_embeddings": 2048,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "tie_word_embeddings": False,
    }


SIZES = {
    "28M": gpt2(384, 6, 6),
    "124M": gpt2(768, 12, 12),
    "410M": pythia(1024, 24, 16),
    "1.4B": pythia(2048, 24, 16),
    "2.8B": pythia(2560, 32, 32),
    "0.5B of experts": mixtral(1024, 8, 16),
}


def write_pair(config: dict, kind: str, noise: float, folders: list[Path], seed: int = 0) -> None:
    """Write two models or more, or one, one parameter in memory at a time; `seed` is of the
    first.
    """
    import torch

    from lmc_core.models.canonical_state import MovedState
    from lmc_core.models.config import Config
    from lmc_core.models.families import FAMILIES
    from lmc_core.models.lazy import LazyState
    from lmc_core.models.model import Model
    from lmc_core.symmetry.alignment import Alignment
    from lmc_core.symmetry.spaces import choose_classes

    family = FAMILIES[config["model_type"]]
    full = family.config(Config(config))
    layout = family.layout(full)
    empty = {
        name: torch.empty(shape, dtype=torch.float32, device="meta")
        for name, shape in layout.shapes.items()
    }
    names = {name: number for number, name in enumerate(empty)}

    def draw(name: str, seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed * 10**6 + names[name])
        value = torch.randn(layout.shapes[name], generator=generator) * 0.02
        gain = value.ndim == 1 and name.endswith("weight")
        # constant gains and no offsets, so that a planted rotation keeps the function
        return torch.ones_like(value) if gain else value if value.ndim > 1 else 0 * value

    first = LazyState(empty, lambda name: draw(name, seed))

    def other(number: int) -> LazyState:
        if kind != "planted":
            return LazyState(empty, lambda name: draw(name, seed + number))
        planted = Alignment.random(
            layout.spaces,
            choose_classes(
                layout.spaces,
                {
                    "residual": "permutation",
                    "query-key": "rotation" if family.name == "gpt_neox" else "orthogonal",
                    "value-output": "orthogonal",
                },
            ),
            torch.Generator().manual_seed(number + 1),
        )
        moved = MovedState(layout, first, planted)
        return LazyState(empty, lambda name: moved[name] + noise * draw(name, number))

    for number, folder in enumerate(folders):
        state = other(number) if number else first
        Model(folder.name, family, full, state).save(folder, torch.float16)


class OwnMemory(threading.Thread):
    """Watches the most memory of this process that no file stands for, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0

    def run(self) -> None:
        """Look twenty times a second."""
        while True:
            self.most = max(self.most, self.now())
            time.sleep(0.05)

    @staticmethod
    def now() -> int:
        """Bytes that are held now."""
        status = Path("/proc/self/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) * 1024


def align(folders: list[str], arguments: argparse.Namespace) -> None:
    """Align in this process and print what it took, as JSON."""
    import torch
    import transformers

    import lmc_core
    from lmc_core.matching import weight_search
    from lmc_core.matching.pair import align_pair

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for loaded in ("GPT2LMHeadModel", "GPTNeoXForCausalLM", "MixtralForCausalLM"):
        getattr(transformers, loaded)
    marks: list[tuple[float, float]] = []
    libraries = OwnMemory.now()
    memory = OwnMemory()
    round_ = weight_search._Search.round

    def timed(search: weight_search._Search) -> None:
        begin = time.perf_counter(), time.process_time()
        round_(search)
        marks.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
        print(
            f"    round {len(marks)}: {marks[-1][0]:.1f} s, {marks[-1][1]:.1f} CPU s, objective "
            f"{search.values[-1]:.5f}, {(memory.most - libraries) / 1e9:.2f} GB",
            file=sys.stderr,
            flush=True,
        )

    setattr(weight_search._Search, "round", timed)  # noqa: B010  (a method of the same form)
    memory.start()
    begin = time.perf_counter(), time.process_time()
    a, b = (lmc_core.load(folder, lazy=True) for folder in folders)
    tokens = torch.randint(50257, (2, 64), generator=torch.Generator().manual_seed(0))
    settings = lmc_core.Settings(starts=("edges",), max_rounds=arguments.rounds)
    pair = align_pair(a, b, tokens, settings=settings)
    aligned = time.perf_counter() - begin[0], time.process_time() - begin[1]
    if arguments.write:
        with tempfile.TemporaryDirectory() as root:
            pair.a.save(Path(root) / "a")
            pair.b.save(Path(root) / "b")
    later = marks[1:] or marks
    print(
        json.dumps(
            {
                "parameters": pair.a.parameters,
                "seconds": aligned[0],
                "cpu": aligned[1],
                "round": sum(wall for wall, _ in later) / len(later),
                "round_cpu": sum(cpu for _, cpu in later) / len(later),
                "rounds": len(marks),
                "before": pair.trace.before,
                "objective": pair.trace.objective[-1],
                "function_error": pair.function_error,
                "own": memory.most - libraries,
                "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


def bound(config: dict) -> int:
    """Bytes of three layers, the largest table and two accumulators of the stream, in float32."""
    from lmc_core.models.config import Config
    from lmc_core.models.families import FAMILIES

    family = FAMILIES[config["model_type"]]
    shapes = family.layout(family.config(Config(config))).shapes
    width = config.get("n_embd") or config["hidden_size"]
    layer = sum(math.prod(s) for n, s in shapes.items() if ".0." in n)
    table = max(math.prod(s) for s in shapes.values())
    return 4 * (3 * layer + table) + 8 * 2 * width**2


def announce(config: dict, write: bool) -> int:
    """Bytes that are announced for what is measured here, beside the libraries."""
    from lmc_core.analysis.lazy_memory import estimate_lazy
    from lmc_core.models.config import Config
    from lmc_core.models.families import FAMILIES

    family = FAMILIES[config["model_type"]]
    return estimate_lazy(family, family.config(Config(config)), 2, 2, 64, write)


def main() -> None:
    """Write pairs, align each in a process of its own, print a table and the exponent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["28M", "124M"])
    parser.add_argument("--pair", choices=("random", "planted"), default="random")
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=100, help="at most; usually fewer are needed")
    parser.add_argument("--threads", type=int, help="torch's number of threads")
    parser.add_argument("--write", action="store_true", help="write the aligned models as well")
    parser.add_argument("--reference", action="store_true", help="run speed.py's reference too")
    parser.add_argument("--folders", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folders:
        return align(arguments.folders, arguments)
    if arguments.threads:  # the announcement is for as many
        import torch

        torch.set_num_threads(arguments.threads)
    found = []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as root:
            folders = [Path(root) / name for name in ("a", "b")]
            write_pair(SIZES[size], arguments.pair, arguments.noise, folders)
            command = [sys.executable, __file__, *sys.argv[1:], "--folders", *map(str, folders)]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ
            )
        each = json.loads(done.stdout)
        found.append(each)
        print(
            f"{size:>5} {arguments.pair}: {each['seconds']:.0f} s ({each['cpu']:.0f} CPU s), "
            f"{each['rounds']} rounds of {each['round']:.1f} s ({each['round_cpu']:.1f} CPU s), "
            f"objective {each['before']:.4f} -> {each['objective']:.4f}, function "
            f"{each['function_error']:.1e}; own memory {each['own'] / 1e9:.2f} GB, "
            f"{announce(SIZES[size], arguments.write) / 1e9:.2f} announced (3 layers, table, "
            f"accumulators: {bound(SIZES[size]) / 1e9:.2f} GB), resident "
            f"{each['resident'] / 1e9:.2f} GB",
            flush=True,
        )
    if len(found) > 1:
        x = [math.log(each["parameters"]) for each in found]
        y = [math.log(each["round_cpu"]) for each in found]
        mx, my = sum(x) / len(x), sum(y) / len(y)
        slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum(
            (a - mx) ** 2 for a in x
        )
        print(f"exponent of a round's CPU seconds in the parameters: {slope:.2f}")
    if arguments.reference:
        subprocess.run(
            [sys.executable, str(Path(__file__).parent / "speed.py"), "--only", "matching"],
            check=True,
        )


if __name__ == "__main__":
    main()
