"""Orders of experts: what is left of the barrier of mixtures for each way to order their experts.

    python benchmarks/experts.py                       # both families, all pairs, the whole test split
    python benchmarks/experts.py --family mixtral --split validation --examples 64 --points 9

Every row but the first aligns all spaces by weight matching; they differ in the order of experts
alone: units only (experts stay), by routers, by products (Gram), exactly. Then the best and the
worst of the 24 orders of every mixture: with the exact alignment, each mixture gets the order whose
middle has the least (greatest) loss on examples of the *training* split, the others held, and the
units are matched anew. Prints the mean over the pairs of the barrier in nats and of its share of
the plain barrier, with half a 95 % interval for models and examples (as `lmc sweep --interval`);
the agreement of both ends' choices of experts (Jaccard index, averaged over the mixtures), next to
chance; the agreement of the middle with its ends; the least load of any expert at the ends and in
the middle; and the seconds of alignment.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from itertools import combinations
from statistics import mean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmc_core import Model
    from lmc_core.analysis.expert_orders import Orders
    from lmc_core.symmetry.alignment import Alignment
    from lmc_core.symmetry.spaces import Classes
    from lmc_core.tasks import Examples

FAMILIES = {"mixtral": "mixtral-plays-s", "qwen2_moe": "qwen-moe-plays-s"}
WAYS = {"units only": "none", "router order": "router", "Gram order": "gram", "exact": "exact"}
CHOICE = 32  # training examples by which the best and the worst of all orders are chosen


def measured(a: Model, b: Model, examples: Examples, points: int) -> dict[str, Any]:
    """The barrier between two models in one frame, and their routing."""
    from lmc_core import Line, curve
    from lmc_core.analysis.routing import routing
    from lmc_core.paths.pair_numbers import numbers

    line = Line(a, b)
    followed = routing(line, examples.first(32), 3)
    found = curve(line, examples, points, 0)
    arrays = {"losses": found.losses.numpy(), "correct": found.correct.numpy()}
    whole = numbers(found.lam.tolist(), arrays, "perplexity")["barrier"]
    return {
        "barrier": whole.value,
        "whole": whole,  # with what every example adds
        "ends": float(followed.with_a[-1].mean()),
        "middle": float((followed.with_a[1] + followed.with_b[1]).mean() / 2),
        "chance": followed.chance,
        "load": float(followed.load[[0, 2]].min()),
        "middle load": float(followed.load[1].min()),
    }


def reordered(a: Model, b: Model, classes: Classes, tried: list[Orders], worst: bool) -> Model:
    """B with the best (or worst) order of every mixture by the losses of `tried`, units matched
    anew.
    """
    from lmc_core import Alignment, Settings
    from lmc_core.analysis.expert_orders import mixtures
    from lmc_core.matching.experts import Mixture
    from lmc_core.matching.state import MatchingState
    from lmc_core.matching.weight_search import make_objective

    moved, elements = (
        MatchingState(make_objective(a.layout, a.state, b.state, classes, Settings())),
        {},
    )
    for root, orders in zip(mixtures(a.layout), tried, strict=True):
        assert orders.found is not None
        chosen = int(orders.excess.argmax() if worst else orders.excess.argmin())
        back = orders.orders[orders.found].argsort()
        elements |= Mixture(moved, a.layout.spaces[root]).given(back[orders.orders[chosen]])
    return b.with_state(Alignment.of(a.layout.spaces, elements).apply(b.layout, b.state))


def pair(
    a: Model, b: Model, examples: Examples, choice: Examples, points: int
) -> tuple[dict[str, Any], list[Orders]]:
    """Every row for one pair, and all orders of the exact alignment on the examples to choose
    by.
    """
    from lmc_core import Settings, canonical, choose_classes, match_weights
    from lmc_core.analysis.expert_orders import ALL, every_order
    from lmc_core.matching.common_form import common_form
    from lmc_core.models.common import in_float32

    a, b = common_form(a, b)
    rows = {"plain": measured(a, b, examples, points)}
    classes = choose_classes(a.layout.spaces)
    left, right = canonical(a, classes), canonical(b, classes)
    moved, found = right, None
    for name, by in WAYS.items():
        begin = time.perf_counter()
        found, trace = match_weights(
            left.layout, left.state, right.state, classes, Settings(experts=by)
        )
        moved = in_float32(right.with_state(found.apply(right.layout, right.state)))
        seconds = time.perf_counter() - begin
        rows[name] = measured(in_float32(left), moved, examples, points)
        rows[name] |= {"seconds": seconds, "objective": trace.objective[-1]}
    alignment: Alignment | None = found
    assert alignment is not None
    stays = in_float32(left)
    tried = every_order(stays, moved, alignment, classes, choice)
    apart = [orders for orders in tried if orders.mixture != ALL]
    for name, worst in (("best of all", False), ("worst of all", True)):
        rows[name] = measured(
            stays, reordered(stays, moved, classes, apart, worst), examples, points
        )
    return rows, tried


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what every example adds."""
    return {name: value for name, value in row.items() if name != "whole"}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--family", choices=FAMILIES, action="append", help="only this family (repeatable)"
    )
    parser.add_argument("--pairs", type=int, help="only so many pairs of each family")
    parser.add_argument("--examples", type=int, help="of the split; all by default")
    parser.add_argument("--points", type=int, default=25)
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--threads", type=int, help="torch's number of threads")
    parser.add_argument("--json", help="write all rows to this file")
    arguments = parser.parse_args()

    import torch

    from lmc_core import __version__, get_task, load, zoo
    from lmc_core.paths.pair_numbers import count_words, summarise_pairs, words

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(
        f"lmc-explorer {__version__}, torch {torch.__version__}, {platform.machine()}, "
        f"{torch.get_num_threads()} threads"
    )
    examples = get_task("plays").examples(arguments.split, arguments.examples)
    choice = get_task("plays").examples("train", CHOICE)
    everything: dict[str, list[dict[str, Any]]] = {}
    for family in arguments.family or FAMILIES:
        names = [name for name in zoo() if name.startswith(FAMILIES[family])]
        pairs = list(combinations(names, 2))[: arguments.pairs]
        found = everything[family] = []
        for one, two in pairs:
            rows, tried = pair(
                load(f"zoo:{one}"), load(f"zoo:{two}"), examples, choice, arguments.points
            )
            found.append(rows)
            print(
                f"  {one} {two} " + ", ".join(f"{k} {v['barrier']:.3f}" for k, v in rows.items()),
                file=sys.stderr,
            )
            for orders in tried:
                low, high = float(orders.excess.min()), float(orders.excess.max())
                at = (
                    ""
                    if orders.found is None
                    else f", exact {float(orders.excess[orders.found]):.3f} (rank {orders.rank})"
                )
                print(
                    f"    {orders.mixture}: middle above its ends {low:.3f} to {high:.3f} nats, "
                    f"naive {float(orders.excess[orders.naive]):.3f}{at}",
                    file=sys.stderr,
                    flush=True,
                )
        whole = summarise_pairs(pairs, [rows["plain"]["whole"] for rows in found], examples.groups)
        print(
            f"\n{family}: {count_words(whole)}, {arguments.split} split, {len(examples)} examples"
        )
        columns = (
            f"{'order':14} {'barrier, nats':>15} {'of plain':>14} {'ends agree':>10} {'middle':>7}"
        )
        print(f"{columns} {'load, middle':>12} {'align, s':>12}")
        for name in found[0]:
            each = [rows[name] for rows in found]
            barrier = words(summarise_pairs(pairs, [row["whole"] for row in each], examples.groups))
            shares = [rows[name]["whole"].over(rows["plain"]["whole"]) for rows in found]
            share = words(summarise_pairs(pairs, shares, examples.groups))
            seconds = f"{mean(row['seconds'] for row in each):.1f}" if "seconds" in each[0] else ""
            load_ends, load_middle = (
                mean(row[key] for row in each) for key in ("load", "middle load")
            )
            print(
                f"{name:14} {barrier:>15} {share:>14} "
                f"{mean(row['ends'] for row in each):>10.3f} "
                f"{mean(row['middle'] for row in each):>7.3f} "
                f"{load_ends:>5.3f} {load_middle:>6.3f} {seconds:>12}",
                flush=True,
            )
        print(f"agreement by chance: {found[0]['plain']['chance']:.3f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            kept = {
                f: [{n: _plain(row) for n, row in rows.items()} for rows in each]
                for f, each in everything.items()
            }
            json.dump(kept, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
