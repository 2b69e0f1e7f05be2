"""Three models in one frame: how far the loss of their mean, and of any mixture, lies above their
own.

    python benchmarks/several.py                          # first three models of every family, several budgets, the test split
    python benchmarks/several.py --family vit --seconds 120 --split validation --examples 400
    python benchmarks/several.py --json several.json      # goes on where it was stopped; what is stored is not computed again

Prints, for each triple and method, the loss of the centre above the mean of the three models and
the largest excess over their simplex (nats, with standard errors over examples), the largest excess
half way between two of them, the seconds of alignment, the largest function error, and the cycle
error. Nothing is tuned here: the settings are the defaults.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from itertools import combinations
from typing import Any

FAMILIES = {
    "vit": "vit-fashion-s",
    "gpt2": "gpt2-plays-s",
    "llama": "llama-plays-s",
    "gpt_neox": "neox-plays-s",
    "mixtral": "mixtral-plays-s",
    "qwen2_moe": "qwen-moe-plays-s",
}
BUDGETS = (120.0, 300.0)  # seconds of learning


def methods(budgets: list[float]) -> dict[str, dict[str, Any]]:
    """What is compared: title -> arguments of `make_group_request`."""
    found: dict[str, dict[str, Any]] = {
        "plain": {"method": "none"},
        "onto one model": {"method": "reference"},
        "universe, weights": {"method": "universe", "settings": {"steps": 0}},
    }
    for seconds in budgets:
        title = f"universe, {seconds:.0f} s"
        found[title] = {"method": "universe", "settings": {"steps": 100_000, "seconds": seconds}}
    return found


def row(title: str, result: dict[str, Any]) -> str:
    """One line of the table."""
    simplex = result["simplex"]
    half = max(value for line in result["midpoint_excess"] for value in line if value is not None)
    steps = result["found"].get("steps", "")
    errors = result["function_errors"]
    largest, seconds = max(errors) if errors else 0.0, result["seconds"]["align"]
    return (
        f"{title:20} {result['centre_excess']:8.4f} ± {result['centre_stderr']:.4f} "
        f"{simplex['maximum']:8.4f} ± {simplex['maximum_stderr']:.4f} {half:10.4f} {seconds:9.1f} "
        f"{steps:>6} "
        f"{largest:9.1e} {result['cycle_error'] or 0.0:9.1e}"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--family", choices=FAMILIES, action="append", help="only this family (repeatable)"
    )
    parser.add_argument(
        "--all", action="store_true", help="all triples of a family, not only the first"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        action="append",
        help="budget of learning (repeatable; default: 120 and 300)",
    )
    parser.add_argument("--examples", type=int, help="of the split; all by default")
    parser.add_argument("--split", default="test")
    parser.add_argument("--resolution", type=int, default=6, help="of the grid on the simplex")
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, help="torch's number of threads")
    parser.add_argument("--json", help="write all results to this file")
    arguments = parser.parse_args()

    import torch

    from lmc_core import __version__, zoo
    from lmc_core.runs import get_executor
    from lmc_core.runs.kinds.many import make_group_request

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(
        f"lmc-explorer {__version__}, torch {torch.__version__}, {platform.machine()}, "
        f"{torch.get_num_threads()} threads"
    )
    executor, everything = get_executor("inline"), {}
    for family in arguments.family or FAMILIES:
        names = [name for name in zoo() if name.startswith(FAMILIES[family]) and name[-1].isdigit()]
        triples = list(combinations(names, 3))
        for triple in triples if arguments.all else triples[:1]:
            print(f"\n{', '.join(triple)}: {arguments.split} split")
            print(
                f"{'':20} {'centre, nats':>17} {'simplex, nats':>17} {'half way':>10} "
                f"{'align, s':>9} {'steps':>6} "
                f"{'function':>9} {'cycle':>9}"
            )
            for title, options in methods(arguments.seconds or list(BUDGETS)).items():
                request = make_group_request(
                    [f"zoo:{name}" for name in triple],
                    split=arguments.split,
                    examples=arguments.examples,
                    resolution=arguments.resolution,
                    device=arguments.device,
                    **options,
                )
                result = executor.run(request).result
                everything[f"{', '.join(triple)}, {title}"] = result
                print(row(title, result), flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(everything, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
