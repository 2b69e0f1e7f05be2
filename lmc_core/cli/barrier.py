"""`lmc barrier A B`: the loss along the line between two models."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from lmc_core.cli.output import check_target, facts, noted, notes, print_json, table, windows
from lmc_core.cli.pair import chosen_classes
from lmc_core.cli.progress import Progress
from lmc_core.errors import BadInput

SHOWN = 9  # evenly spaced points in the table for people; --csv and --json have all


def run(arguments: argparse.Namespace) -> None:
    """Compute, or read from the store; then print and write what was asked for."""
    check_target(arguments.csv, "--csv")
    check_target(arguments.html, "--html")
    if arguments.method == "none" and (arguments.classes or arguments.settings):
        raise BadInput(
            "--class and --set have no effect with --method none; leave one of them out."
        )
    from lmc_core.numbers import size
    from lmc_core.runs import Local, get_executor
    from lmc_core.runs.ask import memory_of
    from lmc_core.runs.kinds.barrier import make_request

    executor = get_executor(arguments.executor)
    if isinstance(executor, Local):
        executor.cancel_on_interrupt = True
    with Progress() as progress:
        request = make_request(
            arguments.a,
            arguments.b,
            task=arguments.task,
            split=arguments.split,
            examples=arguments.examples,
            seed=arguments.seed,
            length=arguments.length,
            method=arguments.method,
            classes=chosen_classes(arguments.a, arguments.classes),
            points=arguments.points,
            refine=arguments.refine,
            device=arguments.device,
            settings=dict(arguments.settings),
            learn=arguments.learn,
            temperature=arguments.temperature,
            repair=arguments.repair,
        )
        memory = memory_of(request.models, request.points, request.method != "none").peak
        progress.report(0.0, f"about {size(memory)} of memory are needed")
        result = executor.run(request, progress.report, fresh=arguments.fresh).result
    if arguments.csv is not None or arguments.html is not None:
        _write(arguments, result)
    said = notes(result, (arguments.a, arguments.b))
    if arguments.json:
        print_json(result | ({"notes": said} if said else {}))
    else:
        print(summary(result, said))


def _write(arguments: argparse.Namespace, result: Mapping[str, Any]) -> None:
    from lmc_core.figures.barrier import barrier_caption, barrier_figure
    from lmc_core.figures.export import results_csv, standalone_html
    from lmc_core.figures.text import label_results

    if arguments.csv is not None:
        arguments.csv.write_text(results_csv([result], label_results([result])), encoding="utf-8")
    if arguments.html is not None:
        page = standalone_html(barrier_figure([result]), barrier_caption([result]), [result])
        arguments.html.write_text(page, encoding="utf-8")


def summary(result: Mapping[str, Any], said: Sequence[str] = ()) -> str:
    """The result in words with units, with what a person should know beside it, and a few points of
    the curve.
    """
    from lmc_core.figures.text import (
        above_plain_words,
        barrier_words,
        classes_sentence,
        is_above_plain,
        origin_words,
        setting_label,
    )
    from lmc_core.numbers import number, seconds, size

    setting = setting_label(result["method"], result["classes"], result.get("largest"))
    chosen = classes_sentence(result["classes"])
    aligned = result["function_error"] is not None
    pairs = [
        ("models", " → ".join(result["models"])),
        *noted(said),
        (
            "task",
            f"{result['task']}, {result['split']} split, {result['examples']:,} "
            f"examples{windows(result)}",
        ),
        *([("data", result["about"])] if result.get("data") else []),
        ("alignment", f"{setting} ({chosen})" if chosen else setting),
        ("barrier", f"{barrier_words(result)} at lam {number(result['barrier_lam'])}"),
        ("midpoint", _midpoint(result)),
        *_certain(result),
    ]
    if is_above_plain(result):
        pairs.append(("beside", above_plain_words(result).replace("\u03bb", "lam")))
    if aligned:
        pairs.append(
            (
                "function",
                f"outputs changed by {number(result['function_error'], digits=2)} (relative, at "
                "most)",
            )
        )
    if soft := result.get("soft"):
        own = number(soft["loss_of_b"], result["unit"])
        words = f"loss {number(soft['loss'])}, that of {result['models'][1]} itself is {own}"
        pairs.append(("soft end", f"another function: {words}"))
        words = (
            f"{number(soft['entropy'], 'nats')} of entropy, {100 * soft['sharp']:.0f} % of "
            "the rows mostly one other"
        )
        pairs.append(("matches", f"{words}, at temperature {number(soft['temperature'])}"))
    if learned := _learned(result.get("found") or {}):
        pairs.append(("learned", learned))
    pairs += _further(result)
    if result.get("memory"):
        pairs.append(("memory", f"about {size(result['memory'])} at the most"))
    spent = result["seconds"]
    took = f"{seconds(spent['align'])} to align, {seconds(spent['evaluate'])} to evaluate"
    pairs.append(("time", took + origin_words(result)))
    pairs.append(("key", result["key"]))
    return facts(pairs) + "\n\n" + _points(result)


def _midpoint(result: Mapping[str, Any]) -> str:
    """Loss half way, and how far that is above the chord: a place that nobody chose by its
    value.
    """
    from lmc_core.numbers import estimate, number

    loss = f"loss {number(result['midpoint_loss'], result['unit'])}"
    if result.get("midpoint_excess") is None:
        return loss
    return (
        f"{loss}, {estimate(result['midpoint_excess'], result['midpoint_excess_stderr'])} "
        "above the chord"
    )


def _certain(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What holds of the maximum although its place was looked for, in words; nothing of a result
    that does not say.
    """
    from lmc_core.numbers import estimate, number

    pairs = []
    if result.get("barrier_crossfit") is not None:
        value = estimate(
            result["barrier_crossfit"], result["barrier_crossfit_stderr"], result["unit"]
        )
        pairs.append(
            (
                "cross-fitted",
                f"{value}, read on the half of the examples that did not choose the place",
            )
        )
    if result.get("excess_low"):
        top = result["lam"].index(result["barrier_lam"])
        low, high = (number(result[name][top], digits=2) for name in ("excess_low", "excess_high"))
        zero = "at zero: it contains zero everywhere" if result["at_zero"] else "not at zero"
        pairs.append(
            (
                "band",
                f"from {low} to {high} {result['unit']} there, 95 % for the whole curve; {zero}",
            )
        )
    if result.get("drop"):
        names = {
            "largest_drop": "at most",
            "midpoint_drop": "half way",
            "drop_crossfit": "cross-fitted",
        }
        said = [
            f"{word} {estimate(100 * result[name], 100 * result[f'{name}_stderr'])}"
            for name, word in names.items()
            if result[name] is not None
        ]
        zero = "; at zero" if result["drop_at_zero"] else ""
        pairs.append(
            ("drop", f"of the accuracy below the chord, in points: {', '.join(said)}{zero}")
        )
    return pairs


def _learned(found: Mapping[str, Any]) -> str:
    """What a method that learns did, in words."""
    if not found.get("history"):
        return ""
    first, last = found["history"][0][2], min(row[2] for row in found["history"])
    moved = (
        f"; {found['rows_moved']:,} of {found['rows']:,} permuted rows moved"
        if found.get("rows")
        else ""
    )
    if refused := found.get("refused"):
        moved += (
            f"; the maps of {len(refused)} better checks were not kept, as float32 does not "
            "carry them"
        )
    return (
        f"{found['steps']:,} steps of {found['batch']} examples out of {found['examples']:,}; "
        "loss half way on "
        f"{found['held_out']:,} held-out training examples {first:.3f} -> {last:.3f}{moved}"
    )


def _further(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Temperatures and routing, in words."""
    from lmc_core.numbers import estimate, number

    pairs = []
    if tempered := result.get("tempered"):
        top = result["lam"].index(tempered["barrier_lam"])
        value = estimate(tempered["barrier"], tempered["barrier_stderr"], result["unit"])
        pairs.append(
            (
                "temperature",
                f"{value} at the best temperature ({number(tempered['temperatures'][top])} there)",
            )
        )
    if result.get("repair"):
        pairs.append(("repair", "hidden units renormalised between the ends"))
    if routing := result.get("routing"):
        middle = len(routing["lam"]) // 2
        with_a, with_b = (
            sum(routing[name][middle]) / len(routing[name][middle]) for name in ("with_a", "with_b")
        )
        words = (
            f"half way {with_a:.2f} of the choice agrees with A, {with_b:.2f} with B (chance "
            f"{routing['chance']:.2f})"
        )
        pairs.append(("routing", words))
    return pairs


def _points(result: Mapping[str, Any]) -> str:
    lam, score = result["lam"], result["score"]
    grid = [step / (SHOWN - 1) for step in range(SHOWN)]
    top = lam.index(result["barrier_lam"])
    rows = sorted(
        {min(range(len(lam)), key=lambda i, at=at: abs(lam[i] - at)) for at in grid} | {top}
    )
    lines = [
        (
            "barrier" if row == top else "",
            f"{lam[row]:.3f}",
            *(f"{result[name][row]:.4f}" for name in ("loss", "chord", "excess")),
            f"{100 * result[score][row]:.2f} %"
            if score == "accuracy"
            else f"{result[score][row]:.3f}",
        )
        for row in rows
    ]
    return (
        table(("", "lam", "loss", "chord", "excess", score), lines)
        + f"\nLoss, chord and excess in {result['unit']}."
    )
