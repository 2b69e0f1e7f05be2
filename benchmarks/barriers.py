"""Barriers of all pairs of each family of the zoo, by every method.

    python benchmarks/barriers.py                                   # everything; resumes from the store of results (LMC_HOME)
    python benchmarks/barriers.py --family vit --setting plain --setting learned --set steps=300
    python benchmarks/barriers.py --examples 500 --points 11 --json results.json --markdown table.md
    python benchmarks/barriers.py --model broad/s0 --model broad/s1 --setting learned --set
    seconds=900
    python benchmarks/barriers.py --stored                          # the table of what is stored; computes nothing

Prints, for each family and setting, the mean over the pairs of the barrier (nats, test split), of
its share of the plain barrier, and of the barrier in accuracy (largest drop below the chord of the
end accuracies, in points) or the largest perplexity; then the mean seconds of alignment, the rows
that learning moved, and the largest function error. What learns sees the training split alone,
held-out examples of it included; nothing is chosen by the split that is measured on.

± is half a 95 % interval for models and examples of the same kind: a jackknife over the models, as
six pairs of four models are not six independent numbers, joined with the error over the examples
that all pairs are measured on, of text by work (lmc_core/intervals/pairs.py). One pair has the
error over examples alone. --se prints the two standard errors in its place.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from lmc_core.cli.options import setting as setting_of
from lmc_core.paths.pair_numbers import Measured, count_words, numbers, summarise_pairs, words
from lmc_core.runs.request import WINDOW
from lmc_core.runs.result import Result

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
    """What a setting asks for, for models like the one of that name; `settings` are for the methods
    that learn.
    """
    from lmc_core import load, permutations_only
    from lmc_core.matching.learned.method import LearnedSettings
    from lmc_core.matching.methods import METHODS

    method, permutations = SETTINGS[setting]
    options: dict[str, Any] = {"method": method}
    if permutations:
        options["classes"] = {
            k: v.value for k, v in permutations_only(load(name).layout.spaces).items()
        }
    if method in METHODS and METHODS[method].settings is LearnedSettings:
        options["settings"] = settings
    return options


Pair = tuple[str, str]


def groups_of(found: Result) -> torch.Tensor | None:
    """Which examples of a result belong together; of an older one on a shipped task, as it would be
    stored now.
    """
    from lmc_core.tasks import TASKS

    arrays, result = found.arrays(), found.result
    if "groups" in arrays or result["task"] not in TASKS:
        return torch.as_tensor(arrays["groups"]) if "groups" in arrays else None
    chosen = result["split"], result["examples"], result["seed"], result["length"] or WINDOW
    return TASKS[result["task"]].examples(*chosen).groups


def row(
    family: str, setting: str, found: dict[Pair, Result], plain: dict[Pair, Result], errors: bool
) -> dict[str, str]:
    """One line of the table: of the pairs that are there, the share of plain of those whose plain
    average is there too.
    """
    results = [each.result for each in found.values()]
    score = results[0]["score"]
    kept = {
        pair: (numbers(each.result["lam"], each.arrays(), score)) for pair, each in found.items()
    }
    groups = groups_of(next(iter(found.values())))
    ratios = {
        pair: each["barrier"].over(
            numbers(plain[pair].result["lam"], plain[pair].arrays(), score)["barrier"]
        )
        for pair, each in kept.items()
        if pair in plain
    }

    def said(each: dict[Pair, Measured], digits: int) -> str:
        return (
            words(summarise_pairs(list(each), list(each.values()), groups), digits, errors)
            if each
            else ""
        )

    barriers, scores = (
        {pair: each[name] for pair, each in kept.items()} for name in ("barrier", "score")
    )
    printed = (
        f"{said(scores, 1)} points" if score == "accuracy" else f"perplexity {said(scores, 2)}"
    )
    changes = [r["function_error"] for r in results if r["function_error"] is not None]
    moved = [r["found"].get("rows_moved") for r in results if r["found"].get("rows")]
    return {
        "family": family,
        "setting": setting,
        "pairs": count_words(summarise_pairs(list(barriers), list(barriers.values()), groups)),
        "barrier, nats": said(barriers, 3),
        "of plain": "1" if found is plain else said(ratios, 3),
        "score": printed,
        "align, s": f"{mean(r['seconds']['align'] for r in results):.1f}",
        "steps": f"{mean(r['found'].get('steps', 0) for r in results):.0f}",
        "rows moved": f"{mean(moved):.0f} of {results[0]['found']['rows']}" if moved else "",
        "function error": f"{max(changes):.1e}" if changes else "",
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--family", choices=FAMILIES, action="append", help="only this family (repeatable)"
    )
    parser.add_argument(
        "--model",
        action="append",
        help="in place of the families: a model by any reference (repeatable)",
    )
    parser.add_argument(
        "--setting", choices=SETTINGS, action="append", help="only this setting (repeatable)"
    )
    parser.add_argument(
        "--set",
        type=setting_of,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for what learns",
    )
    parser.add_argument(
        "--pairs", type=int, help="at most so many pairs of a family; all by default"
    )
    parser.add_argument("--examples", type=int, help="of the split; all by default")
    parser.add_argument("--points", type=int, default=25)
    parser.add_argument("--refine", type=int, default=4, help="more points around the maximum")
    parser.add_argument("--split", default="test")
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, help="torch's number of threads")
    parser.add_argument(
        "--stored", action="store_true", help="only what is stored; compute nothing"
    )
    parser.add_argument(
        "--se",
        action="store_true",
        help="standard errors over models and over examples in place of intervals",
    )
    parser.add_argument("--json", help="write all results to this file")
    parser.add_argument("--markdown", help="write the table to this file")
    arguments = parser.parse_args()

    from lmc_core import __version__, zoo
    from lmc_core.runs import get_executor
    from lmc_core.runs.kinds.barrier import make_request
    from lmc_core.runs.store import Store

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(
        f"lmc-explorer {__version__}, torch {torch.__version__}, {platform.machine()}, "
        f"{torch.get_num_threads()} threads"
    )
    executor, store = get_executor("inline"), Store()
    everything: dict[str, Any] = {}
    rows: list[dict[str, str]] = []
    for family in ["models"] if arguments.model else arguments.family or FAMILIES:
        names = arguments.model or [
            f"zoo:{name}" for name in zoo() if name.startswith(FAMILIES[family])
        ]
        pairs = list(combinations(names, 2))[: arguments.pairs]
        plain: dict[Pair, Result] = {}
        for setting in dict.fromkeys(["plain", *(arguments.setting or SETTINGS)]):
            options, results = (
                options_of(setting, names[0], dict(arguments.set)),
                dict[Pair, Result](),
            )
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
                done = (
                    store.get(request.key)
                    if arguments.stored
                    else executor.run(request, lambda share, words: None)
                )
                if done is None:
                    print(f"  {setting}: {a} {b} is not stored", file=sys.stderr, flush=True)
                    continue
                results[a, b] = done
                value = (
                    f"{done.result['barrier']:.4f} ± {done.result['barrier_stderr']:.4f} over "
                    "examples"
                )
                print(f"  {setting}: {a} {b} {value}", file=sys.stderr, flush=True)
            if not results:
                continue
            plain = results if setting == "plain" else plain
            everything[f"{family}, {setting}"] = [each.result for each in results.values()]
            rows.append(row(family, setting, results, plain, arguments.se))
            print(" | ".join(rows[-1].values()), flush=True)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(everything, indent=1), encoding="utf-8")
    if arguments.markdown and rows:
        lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(each.values()) for each in rows)]
        Path(arguments.markdown).write_text(
            "".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
