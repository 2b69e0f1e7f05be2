"""Measure the barriers that the lecture shows, into assets/lecture/barriers.json.

    python scripts/lecture.py [--threads 1] [--without-learning] [--only classes|families]
    python scripts/lecture.py --networks

Every number comes from an ordinary request (`lmc barrier` gives the same) and is taken from the
store of results (LMC_HOME) where it is there already. Two parts: every choice of classes for one
pair of Vision Transformers (test split, all 2,000 images), and every pair of each family of the zoo
with four settings (as `benchmarks/barriers.toml` asks for them). The first run takes some hours on
two cores, nearly all of it learning; the file is written once a part is whole. With `--only` the
other part stays as it is.

With `--networks` it measures instead what the slides show of small networks (every exchange, turn and
stretch), in some ten seconds, into assets/lecture/networks.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import combinations, product
from typing import Any

from lmc_core.folders import assets

FILE = assets() / "lecture" / "barriers.json"
NETWORKS = assets() / "lecture" / "networks.json"
PAIR = ("zoo:vit-fashion-s0", "zoo:vit-fashion-s1")
LEARNED = {"steps": 400}
FAMILIES = {  # name for people -> names in the zoo, and how docs/results.md measures them
    "Vision Transformer": ("vit-fashion-s", {"points": 11}),
    "ViT of transformers": ("vit-hf-fashion-s", {"points": 11}),
    "GPT-2": ("gpt2-plays-s", {"points": 9, "refine": 0, "examples": 128}),
    "GPT-2, novels": ("gpt2-austen-s", {"points": 9, "refine": 0, "examples": 128}),
    "Llama": ("llama-plays-s", {"points": 9, "refine": 0, "examples": 128}),
    "GPT-NeoX": ("neox-plays-s", {"points": 9, "refine": 0, "examples": 128}),
    "Mixtral": ("mixtral-plays-s", {"points": 9, "refine": 0, "examples": 128}),
    "Qwen2-MoE": ("qwen-moe-plays-s", {"points": 9, "refine": 0, "examples": 128}),
}
CURVE = {"points": 21, "refine": 0}


def choices() -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Every choice of classes with its name in the file; those that learn come last, all classes
    first among them.
    """
    every = [
        (False, *each)
        for each in product(("none", "permutation", "orthogonal"), *[(False, True)] * 3)
    ]
    for learned, residual, units, heads, planes in [
        *every,
        *((True, *each[1:]) for each in reversed(every)),
    ]:
        named = {
            "units": units,
            "heads": heads,
            "residual": residual,
            "planes": planes,
            "learned": learned,
        }
        plane = "invertible" if planes else "none"
        yield (
            named,
            {
                "units": "permutation" if units else "none",
                "heads": "permutation" if heads else "none",
                "residual": str(residual),
                "query-key": plane,
                "value-output": plane,
            },
        )


def barrier_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the file keeps of a barrier."""
    kept = ("barrier", "barrier_stderr", "barrier_lam", "function_error", "key")
    return {name: rounded(result[name]) for name in kept}


def rounded(value: Any) -> Any:
    """Numbers to five significant digits, the rest as it is."""
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def measure_networks() -> int:
    """Measure every state of the slides that show networks, and write it."""
    import torch

    from lmc_core import __version__
    from lmc_core.lecture.networks import IMAGES, MIXTURE, measure
    from lmc_core.lecture.networks import PAIR as ENDS

    card = {
        "about": "What the slides of the lecture show of small networks, in every state that can "
        "be set; four significant digits.",
        "made by": "python scripts/lecture.py --networks",
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"lmc": __version__, "torch": torch.__version__},
        "models": [IMAGES, MIXTURE, *ENDS],
    }
    found = {"card": card, **measure(lambda share, words: print(words, file=sys.stderr))}
    text = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
    NETWORKS.write_text(text + "\n", encoding="utf-8")
    return 0


def main() -> int:
    """Measure what is missing and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1, help="torch's number of threads")
    parser.add_argument(
        "--without-learning",
        action="store_true",
        help="leave out choices of classes that would have to learn",
    )
    parser.add_argument(
        "--networks", action="store_true", help="measure the small networks of the slides instead"
    )
    parser.add_argument("--only", choices=("classes", "families"), help="measure one part again")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(arguments.threads)
    if arguments.networks:
        return measure_networks()
    if arguments.only != "classes":
        write(measure_families())
    if arguments.only != "families":
        write(measure_classes(not arguments.without_learning))
    return 0


def write(part: Mapping[str, Any]) -> None:
    """Put a part into the file; the rest of it stays."""
    import torch

    from lmc_core import __version__

    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"card": {}}
    card = {
        **before["card"],
        "about": "Barriers that the lecture shows; every one is an ordinary request, its key "
        "beside it.",
        "made by": "python scripts/lecture.py",
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"lmc": __version__, "torch": torch.__version__},
        **part["card"],
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**before, **part, "card": card}, separators=(",", ":"))
    FILE.write_text(text + "\n", encoding="utf-8")


def measure(a: str, b: str, **options: Any) -> dict[str, Any]:
    """One barrier, out of the store where it is there."""
    from lmc_core.runs import get_executor
    from lmc_core.runs.kinds.barrier import make_request

    result = get_executor("inline").run(make_request(a, b, device="cpu", **options)).result
    print(f"{result['barrier']:.4f}  {a} {b} {options}", file=sys.stderr, flush=True)
    return result


def measure_families() -> dict[str, Any]:
    """Every pair of each family with four settings."""
    from lmc_core import load, permutations_only, zoo

    families: list[dict[str, Any]] = []
    experts: dict[str, Any] = {}
    for name, (start, options) in FAMILIES.items():
        names = [f"zoo:{each}" for each in zoo() if each.startswith(start)]
        first = load(names[0])
        permutations = {k: v.value for k, v in permutations_only(first.layout.spaces).items()}
        settings: dict[str, dict[str, Any]] = {
            "plain": {"method": "none"},
            "permutations": {"method": "weight", "classes": permutations},
            "weight": {"method": "weight"},
            "learned": {"method": "learned", "settings": LEARNED},
        }
        pairs = []
        for a, b in combinations(names, 2):
            found = {kind: measure(a, b, **options, **each) for kind, each in settings.items()}
            kept = {kind: barrier_of(result) for kind, result in found.items()}
            pairs.append({"models": found["plain"]["models"], **kept})
        families.append(
            {
                "name": name,
                "family": first.family.name,
                "width": first.family.sizes(first.config)["width"],
                "parameters": first.parameters,
                "unit": found["plain"]["unit"],
                "pairs": pairs,
            }
        )
        if name == "Mixtral":
            held = measure(*names[:2], **options, method="weight", classes={"experts": "none"})
            kept = {k: pairs[0][k] for k in settings}
            experts = {"models": held["models"], "held": barrier_of(held), **kept}
    about = (
        "every pair of a family, test split: 2,000 images, or 128 windows of 128 characters; "
        f"learned {LEARNED['steps']} steps"
    )
    return {"card": {"families": about}, "families": families, "experts": experts, **LEARNED}


def measure_classes(learning: bool) -> dict[str, Any]:
    """Every choice of classes for one pair."""
    rows: list[dict[str, Any]] = []
    found: dict[str, Any] = {}
    for named, classes in choices():
        still = set(classes.values()) == {"none"}
        if named["learned"] and (still or not learning):
            continue
        how: dict[str, Any] = (
            {"method": "learned", "settings": LEARNED}
            if named["learned"]
            else {"method": "none" if still else "weight"}
        )
        found = measure(*PAIR, **CURVE, **how, **({} if still else {"classes": classes}))
        curve = {each: rounded(found[each]) for each in ("loss", "loss_stderr", "accuracy")}
        rows.append({**named, **curve, **barrier_of(found)})
    about = (
        f"{PAIR[0]} to {PAIR[1]}, fashion-mnist, test split, {found['examples']} images; learning "
        f"sees the training split alone, {LEARNED['steps']} steps"
    )
    pair = {each: found[each] for each in ("models", "task", "split", "examples", "unit")}
    lam = rounded(found["lam"])
    return {"card": {"classes": about}, "classes": rows, "lam": lam, "pair": pair, **LEARNED}


if __name__ == "__main__":
    sys.exit(main())
