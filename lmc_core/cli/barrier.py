"""`lmc barrier A B`: the loss along the line between two models."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import fmean
from typing import cast

from lmc_core.cli.computing import (
    Run,
    announce,
    choose_classes,
    describe_time,
    describe_windows,
    make_notes,
    require_used,
    with_notes,
)
from lmc_core.cli.output import check_target, facts, list_notes, print_json, table
from lmc_core.figures.barrier import barrier_caption, barrier_figure
from lmc_core.figures.export import results_csv, standalone_html
from lmc_core.figures.text import (
    above_plain_words,
    barrier_words,
    classes_sentence,
    is_above_plain,
    label_results,
    origin_words,
    setting_label,
)
from lmc_core.numbers import describe_change, estimate, number, size
from lmc_core.runs.kinds import MatcherReport, ModelsNumbers
from lmc_core.runs.remembered import make_request
from lmc_core.runs.requests.barrier import BarrierNumbers, BentNumbers

SHOWN = 9  # evenly spaced points in the table for people; --csv and --json have all


def run(arguments: argparse.Namespace) -> None:
    """Compute, or read from the store; then print and write what was asked for."""
    check_target(arguments.csv, "--csv")
    check_target(arguments.html, "--html")
    require_used(arguments, "leave one of them out")
    with Run(arguments) as bar:
        request = bar.make(
            make_request,
            arguments.a,
            arguments.b,
            task=arguments.task,
            split=arguments.split,
            examples=arguments.examples,
            seed=arguments.seed,
            length=arguments.length,
            method=arguments.method,
            classes=choose_classes(arguments.a, arguments.classes),
            points=arguments.points,
            refine=arguments.refine,
            device=arguments.device,
            settings=dict(arguments.settings),
            learn=arguments.learn,
            temperature=arguments.temperature,
            repair=arguments.repair,
            reroute=arguments.reroute,
            stderr=arguments.stderr,
            precision=arguments.precision,
            compiled=arguments.compile,
            bend=arguments.bend,
            bend_seconds=arguments.bend_seconds,
            through=arguments.through,
        )
        announce(bar, [request])
        result = cast(BarrierNumbers, bar.compute(request).result)
    if arguments.csv is not None:
        arguments.csv.write_text(results_csv([result], label_results([result])), encoding="utf-8")
    if arguments.html is not None:
        page = standalone_html(barrier_figure([result]), barrier_caption([result]), [result])
        arguments.html.write_text(page, encoding="utf-8")
    said = make_notes(result, (arguments.a, arguments.b))
    if arguments.json:
        print_json(with_notes(result, said))
    else:
        print(summarize(result, said))


def summarize(result: BarrierNumbers, said: Sequence[str] = ()) -> str:
    """The result in words with units, with what a person should know beside it, and a few points of
    the curve.
    """
    windows = describe_windows(result)
    pairs = [
        ("models", " → ".join(result["models"])),
        *list_notes(said),
        (
            "task",
            f"{result['task']}, {result['split']} split, {result['examples']:,} examples{windows}",
        ),
        *([("data", result["about"])] if result.get("data") else []),
        ("alignment", describe_alignment(result)),
        ("barrier", f"{barrier_words(result)} at lam {number(result['barrier_lam'])}"),
        ("midpoint", _describe_midpoint(result)),
        *_list_bounds(result),
    ]
    if is_above_plain(result):
        pairs.append(("beside", above_plain_words(result).replace("\u03bb", "lam")))
    if result["function_error"] is not None:
        pairs.append(("function", describe_change(result["function_error"])))
    pairs += _list_soft(result)
    pairs += list_passed(result.get("found") or {})
    if learned := _describe_learning(result.get("found") or {}):
        pairs.append(("learned", learned))
    pairs += _list_extras(result)
    if result.get("memory"):
        pairs.append(("memory", f"about {size(result['memory'])} at the most"))
    pairs.append(("time", describe_time(result["seconds"]) + origin_words(result)))
    pairs.append(("key", result["key"]))
    return facts(pairs) + "\n\n" + _make_table(result)


def describe_alignment(result: ModelsNumbers) -> str:
    """How models were brought together, with the classes, in words."""
    setting = setting_label(result["method"], result["classes"], result.get("largest"))
    chosen = classes_sentence(result["classes"])
    return f"{setting} ({chosen})" if chosen else setting


def _list_soft(result: BarrierNumbers) -> list[tuple[str, str]]:
    """What a line to a soft end leads to, in words; nothing of any other."""
    if not (soft := result.get("soft")):
        return []
    own = number(soft["loss_of_b"], result["unit"])
    end = f"loss {number(soft['loss'])}, that of {result['models'][1]} itself is {own}"
    matches = (
        f"{number(soft['entropy'], 'nats')} of entropy, {100 * soft['sharp']:.0f} % of "
        f"the rows mostly one other, at temperature {number(soft['temperature'])}"
    )
    return [("soft end", f"another function: {end}"), ("matches", matches)]


def _describe_midpoint(result: BarrierNumbers) -> str:
    """Loss half way, and how far that is above the chord: a place that nobody chose by its
    value.
    """
    loss = f"loss {number(result['midpoint_loss'], result['unit'])}"
    above, error = result.get("midpoint_excess"), result.get("midpoint_excess_stderr")
    return loss if above is None else f"{loss}, {estimate(above, error)} above the chord"


def _list_bounds(result: BarrierNumbers) -> list[tuple[str, str]]:
    """What holds of the maximum although its place was looked for, in words; nothing of a result
    that does not say.
    """
    pairs, unit = [], result["unit"]
    crossfit = result.get("barrier_crossfit")
    if crossfit is not None:
        value = estimate(crossfit, result.get("barrier_crossfit_stderr"), unit)
        words = f"{value}, read on the half of the examples that did not choose the place"
        pairs.append(("cross-fitted", words))
    if low := result.get("excess_low"):
        top = result["lam"].index(result["barrier_lam"])
        high = result.get("excess_high") or low
        ends = f"from {number(low[top], digits=2)} to {number(high[top], digits=2)}"
        zero = "at zero: it contains zero everywhere" if result.get("at_zero") else "not at zero"
        pairs.append(("band", f"{ends} {unit} there, 95 % for the whole curve; {zero}"))
    if result.get("drop"):
        found = (
            ("at most", result.get("largest_drop"), result.get("largest_drop_stderr")),
            ("half way", result.get("midpoint_drop"), result.get("midpoint_drop_stderr")),
            ("cross-fitted", result.get("drop_crossfit"), result.get("drop_crossfit_stderr")),
        )
        said = [
            f"{word} {estimate(100 * value, None if error is None else 100 * error)}"
            for word, value, error in found
            if value is not None
        ]
        zero = "; at zero" if result.get("drop_at_zero") else ""
        words = f"of the accuracy below the chord, in points: {', '.join(said)}{zero}"
        pairs.append(("drop", words))
    return pairs


def list_passed(found: MatcherReport) -> list[tuple[str, str]]:
    """The checkpoints that were matched before the ends, in words; nothing where none were."""
    if not (passed := found.get("through")):
        return []
    count = f"{len(passed)} pair{'s' * (len(passed) > 1)} of checkpoints"
    said = [f"objective {passed[0]['objective']:.4f}"]
    if len(passed) > 1:
        said.append(f"{passed[-1]['objective']:.4f} of the last")
    return [("through", f"{count}, {' to '.join(said)}")]


def _describe_learning(found: MatcherReport) -> str:
    """What a method that learns did, in words."""
    history = found.get("history")
    if not history:
        return ""
    first, last = history[0][2], min(row[2] for row in history)
    moved = ""
    if rows := found.get("rows"):
        moved = f"; {found.get('rows_moved', 0):,} of {rows:,} permuted rows moved"
    if refused := found.get("refused"):
        moved += (
            f"; the maps of {len(refused)} better checks were not kept, as float32 does not "
            "carry them"
        )
    if returned := found.get("returned"):
        moved += f"; {len(returned)} times the loss rose, and the best maps went on more slowly"
    return (
        f"{found.get('steps', 0):,} steps of {found.get('batch', 0)} examples out of "
        f"{found.get('examples', 0):,}; loss half way on {found.get('held_out', 0):,} held-out "
        f"training examples {first:.3f} -> {last:.3f}{moved}"
    )


def _list_extras(result: BarrierNumbers) -> list[tuple[str, str]]:
    """Temperatures and routing, in words."""
    pairs = []
    if tempered := result.get("tempered"):
        top = result["lam"].index(tempered["barrier_lam"])
        value = estimate(tempered["barrier"], tempered["barrier_stderr"], result["unit"])
        at = number(tempered["temperatures"][top])
        pairs.append(("temperature", f"{value} at the best temperature ({at} there)"))
    if bent := result.get("bent"):
        pairs += _list_bent(bent, result["unit"])
    if result.get("repair"):
        pairs.append(("repair", "hidden units renormalised between the ends"))
    if result.get("rerouted"):
        pairs.append(("routers", "fitted to the routing of both ends"))
    if routing := result.get("routing"):
        middle = len(routing["lam"]) // 2
        with_a, with_b = (fmean(each[middle]) for each in (routing["with_a"], routing["with_b"]))
        words = (
            f"half way {with_a:.2f} of the choice agrees with A, {with_b:.2f} with B (chance "
            f"{routing['chance']:.2f})"
        )
        pairs.append(("routing", words))
    return pairs


def _list_bent(bent: BentNumbers, unit: str) -> list[tuple[str, str]]:
    """A curve with a bend beside the straight line, in words."""
    straight = bent["straight"]
    value = estimate(straight["barrier"], straight["barrier_stderr"], unit)
    longer = bent["length"] / bent["chord"] if bent["chord"] else 1.0
    how = "learned with the alignment"
    if training := bent["training"]:
        how = (
            f"{training['steps']:,} steps of {training['batch']} training examples, "
            f"{training['learn_seconds']:.1f} s"
        )
    shape = f"{longer:.3f} times as long, {number(bent['away'])} away half way"
    return [("bend", f"{how}; {shape}"), ("straight", f"{value} on the line between the same ends")]


def _make_table(result: BarrierNumbers) -> str:
    """Some points of the curve, the maximum among them."""
    lam, loss, chord, excess = result["lam"], result["loss"], result["chord"], result["excess"]
    top = lam.index(result["barrier_lam"])
    places = (step / (SHOWN - 1) for step in range(SHOWN))
    rows = {min(range(len(lam)), key=lambda i, at=at: abs(lam[i] - at)) for at in places} | {top}
    if accuracy := result.get("accuracy"):
        scores = [f"{100 * value:.2f} %" for value in accuracy]
    else:
        scores = [f"{value:.3f}" for value in result.get("perplexity", ())]
    lines = [
        (
            "barrier" if row == top else "",
            f"{lam[row]:.3f}",
            f"{loss[row]:.4f}",
            f"{chord[row]:.4f}",
            f"{excess[row]:.4f}",
            scores[row],
        )
        for row in sorted(rows)
    ]
    header = ("", "lam", "loss", "chord", "excess", result["score"])
    return table(header, lines) + f"\nLoss, chord and excess in {result['unit']}."
