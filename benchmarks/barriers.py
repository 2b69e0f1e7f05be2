"""Barriers of all pairs of each family of the zoo, by every method.

    python benchmarks/barriers.py                                   # everything; resumes from the store of results (LMC_HOME)
    python benchmarks/barriers.py --family vit --setting plain --setting learned --set steps=300
    python benchmarks/barriers.py --examples 500 --points 11 --json results.json --markdown table.md
    python benchmarks/barriers.py --model broad/s0 --model broad/s1 --setting learned --set seconds=900

Prints, for each family and setting, mean and standard error over the pairs of the barrier (nats, test split), its share of
the plain barrier, the barrier in accuracy (largest drop below the chord of the end accuracies, in points) or the largest
perplexity, the seconds of alignment, the rows that learning moved, and the largest function error. What learns sees the
training split alone, held-out examples of it included; nothing is chosen by the split that is measured on.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from lmc_core.cli.arguments import setting as setting_of

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
SETTINGS: dict[str, tuple[str, bool]] = {  # name -> method, permutations alone
    "plain": ("none", False),
    "permutations": ("weight", True),
    "weight": ("weight", False),
    "activation": ("activation", False),
    "learned, permutations": ("learned", True),
    "learned": ("learned", False),
    "dual": ("dual", False),
}


def options_of(setting: str, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What a setting asks for, for models like the one of that name; `settings` are for the methods that learn."""
    from lmc_core import load, permutations_only
    from lmc_core.matching.learned import LearnedSettings
    from lmc_core.matching.methods import METHODS

    method, permutations = SETTINGS[setting]
    options: dict[str, Any] = {"method": method}
    if permutations:
        options["classes"] = {k: v.value for k, v in permutations_only(load(name).layout.spaces).items()}
    if method in METHODS and METHODS[method].settings is LearnedSettings:
        options["settings"] = settings
    return options


def with_error(values: list[float], digits: int = 3) -> str:
    """Mean and standard error over pairs."""
    error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{mean(values):.{digits}f} ± {error:.{digits}f}"


def accuracy_barrier(result: dict[str, Any]) -> float:
    """Largest drop of the accuracy below the chord of the ends, in percentage points."""
    values, lam = result["accuracy"], result["lam"]
    chord = [(1 - x) * values[0] + x * values[-1] for x in lam]
    return 100 * max(c - v for c, v in zip(chord, values, strict=True))


def row(family: str, setting: str, results: list[dict[str, Any]], plain: list[float]) -> dict[str, str]:
    """One line of the table."""
    shares = [result["barrier"] / value for result, value in zip(results, plain, strict=True)]
    if results[0]["score"] == "accuracy":
        score = f"{with_error([accuracy_barrier(r) for r in results], 1)} points"
    else:
        score = f"perplexity {with_error([max(r['perplexity']) for r in results], 2)}"
    errors = [r["function_error"] for r in results if r["function_error"] is not None]
    moved = [r["found"].get("rows_moved") for r in results if r["found"].get("rows")]
    return {
        "family": family,
        "setting": setting,
        "barrier, nats": with_error([r["barrier"] for r in results]),
        "of plain": with_error(shares),
        "score": score,
        "align, s": with_error([r["seconds"]["align"] for r in results], 1),
        "steps": f"{mean(r['found'].get('steps', 0) for r in results):.0f}",
        "rows moved": f"{mean(moved):.0f} of {results[0]['found']['rows']}" if moved else "",
        "function error": f"{max(errors):.1e}" if errors else "",
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=FAMILIES, action="append", help="only this family (repeatable)")
    parser.add_argument("--model", action="append", help="in place of the families: a model by any reference (repeatable)")
    parser.add_argument("--setting", choices=SETTINGS, action="append", help="only this setting (repeatable)")
    parser.add_argument("--set", type=setting_of, action="append", default=[], metavar="NAME=VALUE", help="for what learns")
    parser.add_argument("--pairs", type=int, help="at most so many pairs of a family; all by default")
    parser.add_argument("--examples", type=int, help="of the split; all by default")
    parser.add_argument("--points", type=int, default=25)
    parser.add_argument("--refine", type=int, default=4, help="more points around the maximum")
    parser.add_argument("--split", default="test")
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, help="torch's number of threads")
    parser.add_argument("--json", help="write all results to this file")
    parser.add_argument("--markdown", help="write the table to this file")
    arguments = parser.parse_args()

    import torch

    from lmc_core import __version__, zoo
    from lmc_core.runs import get_executor
    from lmc_core.runs.ask import make_request

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(f"lmc-explorer {__version__}, torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads")
    executor = get_executor("inline")
    everything: dict[str, Any] = {}
    rows: list[dict[str, str]] = []
    for family in ["models"] if arguments.model else arguments.family or FAMILIES:
        names = arguments.model or [f"zoo:{name}" for name in zoo() if name.startswith(FAMILIES[family])]
        pairs = list(combinations(names, 2))[: arguments.pairs]
        plain: list[float] = []
        for setting in dict.fromkeys(["plain", *(arguments.setting or SETTINGS)]):
            options, results = options_of(setting, names[0], dict(arguments.set)), []
            for a, b in pairs:
                request = make_request(
                    a,
                    b,
                    split=arguments.split,
                    examples=arguments.examples,
                    points=arguments.points,
                    refine=arguments.refine,
                    device=arguments.device,
                    **options,
                )
                results.append(executor.run(request, lambda share, words: None).result)
                value = f"{results[-1]['barrier']:.4f} ± {results[-1]['barrier_stderr']:.4f}"
                print(f"  {setting}: {a} {b} {value}", file=sys.stderr, flush=True)
            plain = plain or [result["barrier"] for result in results]
            everything[f"{family}, {setting}"] = results
            rows.append(row(family, setting, results, plain))
            print(" | ".join(rows[-1].values()), flush=True)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(everything, indent=1), encoding="utf-8")
    if arguments.markdown:
        lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(each.values()) for each in rows)]
        Path(arguments.markdown).write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
