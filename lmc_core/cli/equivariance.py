"""`lmc equivariance`: train a small network on the straight path from free to equivariant, and say
what it cost.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmc_core.cli.output import check_target, facts, print_json, table
from lmc_core.cli.progress import Progress
from lmc_core.cli.shared_arguments import FRESH, decimal, whole

# argument of `make_equivariance_request` -> its type and help
WORDS: dict[str, tuple[type, str]] = {
    "source": (str, "digits or fashion (default: digits)"),
    "kind": (str, "of the data: symmetric, orbit, partly, upright or broken (default: orbit)"),
    "group": (str, "C4, D4, mirror, S3 or S4 (default: C4)"),
    "network": (str, "perceptron, convolution or transformer (default: perceptron)"),
    "form": (str, "of the constraint: free, strict, equality or resilient (default: equality)"),
    "primal_rate": (float, "of gamma (default: 0.02)"),
    "dual_rate": (float, "of the multiplier (default: 0.02)"),
    "augmented": (float, "c of the equality form; 0 lets gamma ring (default: 2)"),
    "price": (float, "rho of the resilient form (default: 0.1)"),
    "steps": (int, "of training (default: the network's own)"),
    "rate": (float, "learning rate of the weights (default: the network's own)"),
    "decay": (float, "of the weights (default: the network's own)"),
    "batch": (int, "examples a step, 0 for all (default: the network's own)"),
    "examples": (int, "to train on, before they are moved (default: 400)"),
    "split": (str, "that losses are measured on, validation or test (default: validation)"),
    "seed": (int, "of data, start and batches (default: 0)"),
    "device": (str, "cpu, cuda or mps (default: cpu, which is faster for networks this small)"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be typed after `lmc equivariance`; the standard library alone."""
    for name, (kind, words) in WORDS.items():
        metavar = {int: "N", float: "X", str: "NAME"}[kind]
        parse = {int: whole, float: decimal, str: str}[kind]
        parser.add_argument(f"--{name.replace('_', '-')}", type=parse, metavar=metavar, help=words)
    parser.add_argument(
        "--executor",
        default="inline",
        help="inline, or local: in a worker process (default: inline)",
    )
    parser.add_argument("--fresh", action="store_true", help=FRESH)
    parser.add_argument(
        "--json", action="store_true", help="print one object, with every recorded step"
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write the figure as a page that needs nothing else",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the trained network's weights as safetensors",
    )


def run(arguments: argparse.Namespace) -> None:
    """Train, or read from the store; then print and write what was asked for."""
    check_target(arguments.html, "--html")
    check_target(arguments.out, "--out")
    from lmc_core.equivariance.request import make_equivariance_request
    from lmc_core.runs import Local, get_executor

    executor = get_executor(arguments.executor)
    if isinstance(executor, Local):
        executor.cancel_on_interrupt = True
    given = {name: getattr(arguments, name) for name in WORDS}
    request = make_equivariance_request(
        **{name: value for name, value in given.items() if value is not None}
    )
    with Progress() as progress:
        found = executor.run(request, progress.report, fresh=arguments.fresh)
    arrays = found.arrays()
    if arguments.out is not None:
        _write_weights(arguments.out, arrays)
    if arguments.html is not None:
        from lmc_core.figures.export import standalone_html
        from lmc_core.figures.panel import panels

        panel = panels([found])[0]
        assert panel.figure is not None  # this kind has one
        page = standalone_html(panel.figure, panel.caption, found.result, title="Equivariance")
        arguments.html.write_text(page, encoding="utf-8")
    if arguments.json:
        print_json(
            {
                **found.result,
                "arrays": {
                    n: a.tolist() for n, a in arrays.items() if not n.startswith("weights.")
                },
            }
        )
    else:
        print(summary(found.result))


def _write_weights(path: Path, arrays: Mapping[str, Any]) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    weights = {
        n.removeprefix("weights."): np.ascontiguousarray(a)
        for n, a in arrays.items()
        if n.startswith("weights.")
    }
    save_file(weights, path, {"format": "pt"})


def summary(result: Mapping[str, Any]) -> str:
    """The result in words with units, and a row for each layer."""
    from lmc_core.figures.text import origin_words
    from lmc_core.numbers import estimate, number, percent, seconds

    settings = {
        "equality": f", rates {result['primal_rate']:g} and {result['dual_rate']:g}, c = "
        f"{result['augmented']:g}",
        "resilient": f", rates {result['primal_rate']:g} and {result['dual_rate']:g}, rho = "
        f"{result['price']:g}",
    }.get(result["form"], "")
    pairs = [
        ("network", f"{result['network_label']}, {result['parameters']:,} parameters"),
        (
            "group",
            f"{result['group']}: {result['group_sentence']}, {len(result['group_labels'])} "
            "elements",
        ),
        (
            "data",
            f"{result['source_label']}; "
            f"{result['kind_label'][0].lower()}{result['kind_label'][1:]}",
        ),
        (
            "form",
            f"{result['form_label']}{settings}; {result['steps']:,} steps, "
            f"{result['trained_on']:,} examples",
        ),
    ]
    for name, words in (("on", "free part on"), ("off", "projected")):
        score = result[name]
        pairs.append(
            (
                words,
                f"{estimate(score['loss'], score['stderr'], 'nats')}, "
                f"{percent(score['accuracy'])} right",
            )
        )
    spent = result["seconds"]
    took = f"{seconds(spent['train'])} to train, {seconds(spent['evaluate'])} to measure at the end"
    errors = (
        f"{number(result['error_on'], digits=2)} (projected: "
        f"{number(result['error_off'], digits=2)})"
    )
    pairs += [
        ("error", f"of equivariance {errors}"),
        ("split", f"{result['split']}, {result['held_out']:,} examples"),
        ("time", took + origin_words(result)),
        ("key", result["key"]),
    ]
    rows = [
        (
            layer,
            *(number(result[name][k]) for name in ("gamma", "multiplier", "gauge")),
            f"{free:,} / {whole:,}",
        )
        for k, (layer, (free, whole)) in enumerate(
            zip(result["layers"], result["dimensions"], strict=True)
        )
    ]
    return (
        facts(pairs)
        + "\n\n"
        + table(("layer", "gamma", "multiplier", "-dJ/dgamma at 0", "equivariant dimensions"), rows)
    )
