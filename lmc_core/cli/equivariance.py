"""`lmc equivariance`: train a small network on the straight path from free to equivariant, and say
what it cost.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
from safetensors.numpy import save_file

from lmc_core.cli.arguments import NETWORK
from lmc_core.cli.computing import Run
from lmc_core.cli.output import check_target, facts, print_json, table
from lmc_core.equivariance.numbers import EquivarianceNumbers
from lmc_core.equivariance.request import make_equivariance_request
from lmc_core.figures.export import standalone_html
from lmc_core.figures.panel import panels
from lmc_core.figures.text import origin_words
from lmc_core.numbers import estimate, number, percent, seconds

WEIGHTS = "weights."  # before the names of arrays that are weights of the network


def run(arguments: argparse.Namespace) -> None:
    """Train, or read from the store; then print and write what was asked for."""
    check_target(arguments.html, "--html")
    check_target(arguments.out, "--out")
    with Run(arguments) as bar:
        chosen = {name: getattr(arguments, name) for name in NETWORK}
        request = make_equivariance_request(
            **{name: value for name, value in chosen.items() if value is not None}
        )
        found = bar.compute(request)
    arrays = found.arrays()
    if arguments.out is not None:
        _write_weights(arguments.out, arrays)
    if arguments.html is not None:
        panel = panels([found])[0]
        assert panel.figure is not None  # this kind has one
        page = standalone_html(panel.figure, panel.caption, found.result, title="Equivariance")
        arguments.html.write_text(page, encoding="utf-8")
    if arguments.json:
        shown = {n: a.tolist() for n, a in arrays.items() if not n.startswith(WEIGHTS)}
        print_json({**found.result, "arrays": shown})
    else:
        print(summarize(cast(EquivarianceNumbers, found.result)))


def _write_weights(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays that are weights, under the names of the network."""
    weights = {
        name.removeprefix(WEIGHTS): np.ascontiguousarray(array)
        for name, array in arrays.items()
        if name.startswith(WEIGHTS)
    }
    save_file(weights, path, {"format": "pt"})


def summarize(result: EquivarianceNumbers) -> str:
    """The result in words with units, and a row for each layer."""
    sentence = f"{result['group_sentence']}, {len(result['group_labels'])} elements"
    kind = result["kind_label"]
    training = f"{result['steps']:,} steps, {result['trained_on']:,} examples"
    pairs = [
        ("network", f"{result['network_label']}, {result['parameters']:,} parameters"),
        ("group", f"{result['group']}: {sentence}"),
        ("data", f"{result['source_label']}; {kind[0].lower()}{kind[1:]}"),
        ("form", f"{result['form_label']}{_describe_settings(result)}; {training}"),
    ]
    for score, words in ((result["on"], "free part on"), (result["off"], "projected")):
        loss = estimate(score["loss"], score["stderr"], "nats")
        pairs.append((words, f"{loss}, {percent(score['accuracy'])} right"))
    spent = result["seconds"]
    took = f"{seconds(spent.get('train'))} to train, {seconds(spent.get('evaluate'))}"
    on, off = (number(result[name], digits=2) for name in ("error_on", "error_off"))
    pairs += [
        ("error", f"of equivariance {on} (projected: {off})"),
        ("split", f"{result['split']}, {result['held_out']:,} examples"),
        ("time", f"{took} to measure at the end{origin_words(result)}"),
        ("key", result["key"]),
    ]
    columns = zip(
        result["layers"],
        result["gamma"],
        result["multiplier"],
        result["gauge"],
        result["dimensions"],
        strict=True,
    )
    rows = [
        (layer, number(gamma), number(multiplier), number(gauge), f"{free:,} / {whole:,}")
        for layer, gamma, multiplier, gauge, (free, whole) in columns
    ]
    header = ("layer", "gamma", "multiplier", "-dJ/dgamma at 0", "equivariant dimensions")
    return facts(pairs) + "\n\n" + table(header, rows)


def _describe_settings(result: EquivarianceNumbers) -> str:
    """What the form of the constraint is set to, in words."""
    rates = f", rates {result['primal_rate']:g} and {result['dual_rate']:g}"
    if result["form"] == "equality":
        return f"{rates}, c = {result['augmented']:g}"
    return f"{rates}, rho = {result['price']:g}" if result["form"] == "resilient" else ""
