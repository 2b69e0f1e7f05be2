"""What stopping by the standard error does to it and to its intervals, simulated in float64.

    python benchmarks/stopping.py

Values of examples are drawn from three laws of mean 0 and deviation 1, of which losses are most
like the second and third. They are measured in the rounds of `lmc_core.paths.rounds` until the
standard error is that of `needed` of them. Printed: examples taken, the mean error at the end and
the deviation of the mean, both over what was asked for, the bias of the mean, and how often
1.96 standard errors hold the truth; beside that a fixed number of as many, and as a negative
control a look at every example from the fourth on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

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


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4000)
    arguments = parser.parse_args()
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
