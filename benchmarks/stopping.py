"""What stopping by the standard error does to it and to its intervals, simulated in float64.

    python benchmarks/stopping.py
    python benchmarks/stopping.py --barriers      # of the losses of shipped results

Values of examples are drawn from three laws of mean 0 and deviation 1, of which losses are most
like the second and third. They are measured in the rounds of `lmc_core.paths.rounds` until the
standard error is that of `needed` of them. Printed: examples taken, the mean error at the end and
the deviation of the mean, both over what was asked for, the bias of the mean, and how often
1.96 standard errors hold the truth; beside that a fixed number of as many, and as a negative
control a look at every example from the fourth on.

With `--barriers` the values are the losses of a shipped result's examples at all of its points,
drawn with replacement, and what is estimated is the barrier of all of them: its place is looked for
anew whenever its error is. The error that is asked for is that of a quarter of the result's examples.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lmc_core import folders
from lmc_core.paths.rounds import PILOT, count_next

MOST = 16  # times the examples that are needed, after which none are left
LAWS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda draw, n: draw.standard_normal(n),
    "exponential": lambda draw, n: draw.standard_exponential(n) - 1,
    "lognormal": lambda draw, n: (
        (np.exp(draw.standard_normal(n)) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)
    ),
}


def stop(values: np.ndarray, goal: float, every: bool = False) -> tuple[int, float, float]:
    """Examples taken, mean and standard error of one run.

    Args:
        values: of all examples.
        goal: the standard error that is asked for.
        every: look at every example from the fourth on.
    """
    counts = np.arange(1, len(values) + 1)
    means = np.cumsum(values) / counts
    squares = np.cumsum(values**2) / counts - means**2
    errors = np.sqrt(np.maximum(squares, 0) / np.maximum(counts - 1, 1))
    if every:
        enough = np.flatnonzero(errors[3:] <= goal)
        taken = int(enough[0]) + 4 if len(enough) else len(values)
    else:
        taken = 0
        while taken < len(values) and (taken < PILOT or errors[taken - 1] > goal):
            taken = count_next(len(values), taken, errors[taken - 1] if taken else np.inf, goal)
    return taken, float(means[taken - 1]), float(errors[taken - 1])


def summarise(runs: np.ndarray, goal: float) -> str:
    """The numbers of many runs `[runs, 3]` in words."""
    taken, means, errors = runs.T
    held = np.mean(np.abs(means) <= 1.96 * errors)
    return (
        f"{taken.mean():8.0f} {errors.mean() / goal:8.3f} {means.std() / goal:8.3f} "
        f"{means.mean() / goal:+8.3f} {held:8.3f}"
    )


def read_excess(path: Path) -> np.ndarray:
    """Loss above the chord of every example at the points between the ends, `[points, examples]`,
    of a stored result.
    """
    lam = np.array(json.loads((path / "result.json").read_text())["lam"])[:, None]
    losses = np.load(path / "arrays.npz")["losses"].astype(float)
    return (losses - (1 - lam) * losses[:1] - lam * losses[-1:])[1:-1]


def find_barrier(means: np.ndarray) -> np.ndarray:
    """The place of the barrier by the convention of `lmc_core.paths.barrier`; `[..., points]`."""
    return np.where(means.max(-1) <= 0, means.argmin(-1), means.argmax(-1))


def stop_barrier(values: np.ndarray, goal: float, how: str) -> tuple[int, float, float]:
    """Examples taken, barrier and standard error of one run.

    Args:
        values: excess of the examples in the order in which they are taken, `[points, examples]`.
        goal: the standard error that is asked for; the number of examples where that is fixed.
        how: "rounds", "every", or "fixed".
    """

    def look(taken: int) -> tuple[float, float]:
        part = values[:, :taken]
        row = part[int(find_barrier(part.mean(1)))]
        return float(row.mean()), float(row.std(ddof=1) / taken**0.5)

    there = values.shape[1]
    if how == "fixed":
        return int(goal), *look(int(goal))
    if how == "every":
        counts = np.arange(1, there + 1)
        means = np.cumsum(values, 1) / counts
        squares = np.cumsum(values**2, 1) / counts - means**2
        rows = find_barrier(means.T), counts - 1
        errors = np.sqrt(np.maximum(squares[rows], 0) / np.maximum(counts - 1, 1))
        enough = np.flatnonzero(errors[3:] <= goal)
        taken = int(enough[0]) + 4 if len(enough) else there
        return taken, *look(taken)
    taken, error = 0, np.inf
    while taken < there and (taken < PILOT or error > goal):
        taken = count_next(there, taken, error, goal)
        error = look(taken)[1]
    return taken, *look(taken)


def simulate_barriers(runs: int) -> None:
    """Print what stopping does to the barriers of shipped results."""
    print(f"{'':42}   taken    error deviation  bias   held")
    for path in sorted((folders.assets() / "results").iterdir()):
        if not (path / "result.json").is_file():
            continue
        result = json.loads((path / "result.json").read_text())
        if result.get("what") != "barrier" or result["examples"] < 1000:
            continue
        values = read_excess(path)
        row = values[int(find_barrier(values.mean(1)))]
        needed = values.shape[1] // 4
        truth, goal = float(row.mean()), float(row.std(ddof=1) / needed**0.5)
        generator = np.random.default_rng(0)
        drawn = [generator.integers(0, values.shape[1], 8 * needed) for _ in range(runs)]
        mean_taken = 0.0
        for how in ("rounds", "every", "fixed"):
            wanted = round(mean_taken) if how == "fixed" else goal
            found = np.array([stop_barrier(values[:, each], wanted, how) for each in drawn])
            mean_taken = found[:, 0].mean() if how == "rounds" else mean_taken
            found[:, 1] -= truth
            words = f"{result['models'][0]} {result['method']} {truth:.4f}"
            print(f"{words:34}{how:8}{summarise(found, goal)}", flush=True)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--barriers", action="store_true", help="of shipped results")
    arguments = parser.parse_args()
    if arguments.barriers:
        return simulate_barriers(arguments.runs)
    print(f"{'':34}   taken    error deviation  bias   held")
    for law, draw in LAWS.items():
        for needed in (100, 200, 500, 2000):
            goal, generator = needed**-0.5, np.random.default_rng(0)
            drawn = [draw(generator, MOST * needed) for _ in range(arguments.runs)]
            for words, every in (("in rounds", False), ("at every example", True)):
                runs = np.array([stop(values, goal, every) for values in drawn])
                print(f"{law:12}{needed:5} {words:16}{summarise(runs, goal)}")
                if not every:
                    same = int(round(runs[:, 0].mean()))
                    fixed = np.array(
                        [(same, v[:same].mean(), v[:same].std(ddof=1) / same**0.5) for v in drawn]
                    )
            print(f"{law:12}{needed:5} {'a fixed number':16}{summarise(fixed, goal)}", flush=True)


if __name__ == "__main__":
    main()
