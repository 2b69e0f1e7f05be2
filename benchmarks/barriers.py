"""Barriers of all pairs of each family of the zoo: plain average, permutations only, all classes.

    python benchmarks/barriers.py                      # all families, the whole test split: about half an hour on two cores
    python benchmarks/barriers.py --family vit --examples 500 --points 11
    python benchmarks/barriers.py --json results.json

Prints, for each family and setting, mean and standard error over the pairs of the barrier (nats, test split), its share of
the plain barrier, the barrier in accuracy (largest drop below the chord of the end accuracies, in points) or the perplexity at
the midpoint, the seconds of alignment, and the largest function error. Nothing is tuned here: the settings are the defaults.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from itertools import combinations
from statistics import mean, stdev
from typing import Any

FAMILIES = {
    "vit": "vit-fashion-s",
    "vit_hf": "vit-hf-fashion-s",
    "gpt2": "gpt2-plays-s",
    "llama": "llama-plays-s",
    "gpt_neox": "neox-plays-s",
    "mixtral": "mixtral-plays-s",
    "qwen2_moe": "qwen-moe-plays-s",
    "austen": "gpt2-austen-s",
}
SETTINGS = ("plain", "permutations only", "all classes")


def options_of(setting: str, name: str) -> dict[str, Any]:
    """What a setting asks for, for models like the one of that name."""
    from lmc_core import load, permutations_only

    if setting == "plain":
        return {"method": "none"}
    if setting == "all classes":
        return {}
    return {"classes": {kind: value.value for kind, value in permutations_only(load(name).layout.spaces).items()}}


def with_error(values: list[float], digits: int = 3) -> str:
    """Mean and standard error over pairs."""
    error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{mean(values):.{digits}f} ± {error:.{digits}f}"


def accuracy_barrier(result: dict[str, Any]) -> float:
    """Largest drop of the accuracy below the chord of the ends, in percentage points."""
    values, lam = result["accuracy"], result["lam"]
    chord = [(1 - x) * values[0] + x * values[-1] for x in lam]
    return 100 * max(c - v for c, v in zip(chord, values, strict=True))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=FAMILIES, action="append", help="only this family (repeatable)")
    parser.add_argument("--examples", type=int, help="of the test split; all by default")
    parser.add_argument("--points", type=int, default=25)
    parser.add_argument("--split", default="test")
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, help="torch's number of threads")
    parser.add_argument("--json", help="write all results to this file")
    arguments = parser.parse_args()

    import torch

    from lmc_core import __version__, zoo
    from lmc_core.runs.ask import make_request
    from lmc_core.runs.barrier import compute

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(f"lmc-explorer {__version__}, torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads")
    everything: dict[str, Any] = {}
    for family in arguments.family or FAMILIES:
        names = [name for name in zoo() if name.startswith(FAMILIES[family]) and name[-1].isdigit()]
        pairs = list(combinations(names, 2))
        print(f"\n{family}: {len(names)} models, {len(pairs)} pairs, {arguments.split} split")
        print(f"{'setting':18} {'barrier, nats':>16} {'of plain':>14} {'score':>22} {'align, s':>14} {'function error':>15}")
        plain: dict[tuple[str, str], float] = {}
        for setting in SETTINGS:
            options, results = options_of(setting, names[0]), []
            for a, b in pairs:
                request = make_request(
                    f"zoo:{a}",
                    f"zoo:{b}",
                    split=arguments.split,
                    examples=arguments.examples,
                    points=arguments.points,
                    device=arguments.device,
                    **options,
                )
                result, _ = compute(request)
                results.append(result)
                plain.setdefault((a, b), result["barrier"])
                print(f"  {a} {b} {result['barrier']:.4f} ± {result['barrier_stderr']:.4f}", file=sys.stderr)
            everything[f"{family}, {setting}"] = results
            shares = [result["barrier"] / plain[pair] for pair, result in zip(pairs, results, strict=True)]
            if results[0]["score"] == "accuracy":
                score = f"{with_error([accuracy_barrier(r) for r in results], 1)} points"
            else:
                score = f"perplexity {with_error([max(r['perplexity']) for r in results], 1)}"
            errors = [r["function_error"] for r in results if r["function_error"] is not None]
            print(
                f"{setting:18} {with_error([r['barrier'] for r in results]):>16} {with_error(shares):>14} {score:>22} "
                f"{with_error([r['seconds']['align'] for r in results], 2):>14} {max(errors, default=0.0):>15.1e}",
                flush=True,
            )
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(everything, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
