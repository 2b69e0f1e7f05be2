"""Measure the barriers that the lecture shows, into assets/lecture/barriers.json.

    python scripts/lecture.py [--threads 1] [--without-learning]
    python scripts/lecture.py --networks

Every number comes from an ordinary request (`lmc barrier` gives the same) and is taken from the
store of results (LMC_HOME) where it is there already. Two parts: every choice of classes for one
pair of Vision Transformers (test split, 1,000 images), and every pair of each family of the zoo
with four settings (as `benchmarks/barriers.toml` asks for them). The first run takes some hours on
two cores, nearly all of it learning; the file is written after every result.

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
CURVE = {"points": 21, "refine": 0, "examples": 1000}


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
    arguments = parser.parse_args()

    import torch

    if arguments.networks:
        torch.set_num_threads(arguments.threads)
        return measure_networks()

    from lmc_core import __version__, load, permutations_only, zoo
    from lmc_core.runs import get_executor
    from lmc_core.runs.kinds.barrier import make_request

    torch.set_num_threads(arguments.threads)
    executor = get_executor("inline")

    def measure(a: str, b: str, **options: Any) -> dict[str, Any]:
        result = executor.run(make_request(a, b, device="cpu", **options)).result
        print(f"{result['barrier']:.4f}  {a} {b} {options}", file=sys.stderr, flush=True)
        return result

    written: dict[str, Any] = {"card": {}, "classes": [], "families": [], "experts": {}}

    def write() -> None:
        written["card"] = {
            "about": "Barriers that the lecture shows; every one is an ordinary request, its key "
            "beside it.",
            "made by": "python scripts/lecture.py",
            "date": datetime.now(UTC).date().isoformat(),
            "versions": {"lmc": __version__, "torch": torch.__version__},
            "classes": f"{PAIR[0]} to {PAIR[1]}, fashion-mnist, test split, {CURVE['examples']} "
            "images; learning sees the "
            f"training split alone, {LEARNED['steps']} steps",
            "families": "every pair of a family, test split: 2,000 images, or 128 windows of 128 "
            "characters; learned "
            f"{LEARNED['steps']} steps",
        }
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(json.dumps(written, separators=(",", ":")) + "\n", encoding="utf-8")

    for name, (start, options) in FAMILIES.items():
        names = [f"zoo:{each}" for each in zoo() if each.startswith(start)]
        permutations = {
            k: v.value for k, v in permutations_only(load(names[0]).layout.spaces).items()
        }
        settings = {
            "plain": {"method": "none"},
            "permutations": {"method": "weight", "classes": permutations},
            "weight": {"method": "weight"},
            "learned": {"method": "learned", "settings": LEARNED},
        }
        pairs = []
        for a, b in combinations(names, 2):
            found = {
                kind: measure(a, b, **options, **setting) for kind, setting in settings.items()
            }
            pairs.append(
                {
                    "models": found["plain"]["models"],
                    **{kind: barrier_of(result) for kind, result in found.items()},
                }
            )
        first = load(names[0])
        written["families"].append(
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
            written["experts"] = {
                "models": held["models"],
                "held": barrier_of(held),
                **{k: pairs[0][k] for k in settings},
            }
        write()

    for named, classes in choices():
        still = set(classes.values()) == {"none"}
        if named["learned"] and (still or arguments.without_learning):
            continue
        how = (
            {"method": "learned", "settings": LEARNED}
            if named["learned"]
            else {"method": "none" if still else "weight"}
        )
        result = measure(*PAIR, **CURVE, **how, **({} if still else {"classes": classes}))
        curve = {each: rounded(result[each]) for each in ("loss", "loss_stderr", "accuracy")}
        written["classes"].append({**named, **curve, **barrier_of(result)})
        written["lam"] = rounded(result["lam"])
        written["pair"] = {
            each: result[each] for each in ("models", "task", "split", "examples", "unit")
        }
        write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
