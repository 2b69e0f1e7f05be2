"""Networks trained towards equivariance: what each form of the constraint costs or gains, on data
of each kind.

    python benchmarks/equivariance.py                                 # perceptron on digits under C4, five seeds, 5 minutes
    python benchmarks/equivariance.py --network convolution --kinds orbit broken
    python benchmarks/equivariance.py --json found.json               # goes on where it was stopped

400 training images, the settings of `equivariance.networks` (chosen on validation data). Prints
mean and standard error over seeds, which draw the data, the start and the order of batches. The
price rho of "best price" is the one with the lowest mean validation loss; all other numbers are of
the test split. Differences are taken within a seed. One thread of torch.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmc_core.equivariance.data import KINDS, domain_of, sample
from lmc_core.equivariance.forms import Equality, Fixed, Form, Resilient
from lmc_core.equivariance.groups import group
from lmc_core.equivariance.measures import equivariance_error, gauge, score
from lmc_core.equivariance.networks import NETWORKS, build
from lmc_core.equivariance.relaxed import Relaxed
from lmc_core.equivariance.training import Schedule, train

PRICES = (0.02, 0.05, 0.1, 0.3, 1.0, 3.0)
RATES = 0.02, 0.02  # primal and dual
AUGMENTED = 2.0  # critical for these rates
TRAINED = 400  # images
FORMS: dict[str, Form] = {
    "free": Fixed(1.0),
    "strict": Fixed(0.0),
    "equality": Equality(*RATES, AUGMENTED),
    **{f"price {price:g}": Resilient(*RATES, price) for price in PRICES},
}


def measured(options: argparse.Namespace, kind: str, form: str, seed: int) -> dict[str, Any]:
    """Train one network and measure it."""
    domain = domain_of(options.source, group(options.group))
    samples = {
        split: sample(
            options.source, kind, domain, split, seed, TRAINED if split == "train" else None
        )
        for split in ("train", "validation", "test")
    }
    module, layout = build(options.network, domain, seed)
    own = NETWORKS[options.network]
    net = Relaxed(module, layout, as_built=form == "free")
    begin = time.perf_counter()
    schedule = Schedule(options.steps or own.steps, own.rate, own.decay, own.batch, seed)
    state = train(net, FORMS[form], samples["train"], schedule, lambda *seen: None)
    zero = torch.zeros_like(state.gamma)
    found: dict[str, Any] = {"seconds": time.perf_counter() - begin}
    for split in ("validation", "test"):
        for branch, gamma in (("on", state.gamma), ("off", zero)):
            measured = score(net, gamma, samples[split])
            found[f"{split} {branch}"], found[f"{split} {branch} accuracy"] = (
                measured.loss,
                measured.accuracy,
            )
    found["error"] = equivariance_error(net, state.gamma, samples["test"].inputs[:100])
    found["gauge"] = float(gauge(net, samples["train"]).abs().max())
    found["gamma"], found["multiplier"] = state.gamma.tolist(), state.multiplier.tolist()
    return found


def table(kind: str, runs: dict[str, list[dict[str, Any]]]) -> str:
    """Print one kind of data; returns the best price."""
    print(f"\n{kind}: {KINDS[kind]}")
    columns = (
        ("loss, branch on", 17),
        ("branch off", 17),
        ("accuracy on", 15),
        ("off", 15),
        ("equiv. error", 13),
        ("|dJ/dg| at 0", 13),
    )
    print("form".ljust(12), *(name.rjust(width) for name, width in columns))
    for form, found in runs.items():
        cells = [estimate([run[name] for run in found]) for name in ("test on", "test off")]
        shares = [
            estimate([100 * run[f"test {name} accuracy"] for run in found], 1)
            for name in ("on", "off")
        ]
        error, slope = (np.mean([run[name] for run in found]) for name in ("error", "gauge"))
        print(
            f"{form:12} {cells[0]:>17} {cells[1]:>17} {shares[0]:>15} {shares[1]:>15} "
            f"{error:13.1e} {slope:13.1e}"
        )
    prices = {
        form: np.mean([run["validation on"] for run in found])
        for form, found in runs.items()
        if form.startswith("price")
    }
    return min(prices, key=lambda form: float(prices[form]))


def estimate(values: list[float], digits: int = 3) -> str:
    """Mean and standard error."""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f}"


def claims(found: dict[str, dict[str, list[dict[str, Any]]]], best: dict[str, str]) -> None:
    """Print what the method should show, with the numbers."""
    print()
    if "orbit" in found:
        orbit = found["orbit"]
        lost = [run["test off"] - run["test on"] for run in orbit["equality"]]
        print(
            f"orbit, equality: projected - branch on {estimate(lost, 5)} nats (at most 0.02 "
            f"wanted; largest {max(lost):.5f})"
        )
        drop = [100 * (run["test on accuracy"] - run["test off accuracy"]) for run in orbit["free"]]
        print(f"orbit, free: accuracy lost by projection {estimate(drop, 1)} points")
        slope = max(run["gauge"] for runs in orbit.values() for run in runs)
        print(f"orbit, all forms: largest |dJ/dgamma| at gamma = 0 {slope:.1e} (below 1e-6 wanted)")
    for kind, form in best.items():
        runs = found[kind]
        for other in ("free", "strict", "equality"):
            gain = [
                a["test on"] - b["test on"] for a, b in zip(runs[other], runs[form], strict=True)
            ]
            print(
                f"{kind}, {form} (best on validation): {other} loses {estimate(gain)} nats "
                "against it in test loss"
            )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", default="digits")
    parser.add_argument("--group", default="C4")
    parser.add_argument("--network", default="perceptron", choices=NETWORKS)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="of training; default: the network's own")
    parser.add_argument("--json", type=Path, help="keeps what is measured, and goes on from there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kept: dict[str, Any] = (
        json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    )
    print(
        f"{options.network} on {options.source} under {options.group}, {options.seeds} seeds; "
        f"{platform.platform()}"
    )
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    best: dict[str, str] = {}
    for kind in options.kinds:
        found[kind] = {}
        for form in FORMS:
            for seed in range(options.seeds):
                name = (
                    f"{options.source} {options.group} {options.network} {options.steps} "
                    f"{kind} {form} {seed}"
                )
                if name not in kept:
                    kept[name] = measured(options, kind, form, seed)
                    if options.json:
                        options.json.write_text(json.dumps(kept))
                found[kind].setdefault(form, []).append(kept[name])
                print(f"\r{kind}, {form}, seed {seed}".ljust(50), end="", file=sys.stderr)
        best[kind] = table(kind, found[kind])
    claims(found, best)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
