"""A softmax temperature fitted at each point of a path, so that a barrier can be told from over- or
underconfidence.

    T(lam) = argmin over T > 0 of the mean of  -log softmax(z / T)[y]  over training examples

(Guo et al. 2017, arXiv 1706.04599). In beta = 1 / T the loss is convex: with p = softmax(beta z)
its slope is the mean of E_p[z] - z[y], its curvature the mean of Var_p[z]. Averaging weights
shrinks the outputs of a network, which alone makes a barrier; what is left at the best temperature
is not that.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.paths.curve import Curve, measure
from lmc_core.paths.line import ModelPath
from lmc_core.tasks.evaluator import EXACT, Evaluator, Mode
from lmc_core.tasks.task import IGNORED, Examples

# temperatures stay in [1 / LIMIT, LIMIT]: logits that are never wrong have no best one, nor have
# those of no use
LIMIT = 100.0
# logits that are held at once in float32, 128 MB; of more, evenly spaced targets are kept
HELD = 2**25


def fit_temperature(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> float:
    """The temperature at which the mean cross-entropy is least, within [1/100, 100].

    Newton's method in 1 / T, kept inside a bracket of the root of the slope.

    Args:
        logits: `[n, classes]`.
        targets: class numbers `[n]`.
        weights: of each target `[n]`; all equal by default.
    """
    z = logits.double()
    z = z - z.gather(1, targets[:, None])  # relative to the target's own logit
    share = (
        torch.full((len(z),), 1.0 / len(z), dtype=torch.float64)
        if weights is None
        else weights.double()
    )
    share = (share / share.sum()).to(z.device)
    low, high, beta = 1 / LIMIT, LIMIT, 1.0
    for _ in range(100):
        p = (beta * z).softmax(1)
        mean = (p * z).sum(1)
        slope = float(share @ mean)
        curvature = float(share @ ((p * z.square()).sum(1) - mean.square()))
        low, high = (low, beta) if slope > 0 else (beta, high)
        step = beta - slope / curvature if curvature > 0 else float("nan")
        found = step if low < step < high else (low * high) ** 0.5
        if abs(found - beta) <= 1e-10 * beta:
            break
        beta = found
    return 1 / beta


@torch.no_grad()
def temperatures(
    line: ModelPath,
    lam: Tensor,
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
    mode: Mode = EXACT,
) -> Tensor:
    """Fit a temperature at every point of a path.

    Args:
        line: the path.
        lam: the points `[points]`.
        examples: of the training split; never those that the curve is measured on.
        device: where to run.
        progress: called with the share done; may raise to stop.
        mode: how to run.

    Returns:
        float64 `[points]`.
    """
    found = []
    line = line.on(device)
    evaluator = Evaluator(line.a, examples, device, mode)
    counted = (examples.targets != IGNORED).reshape(len(examples), -1)
    # the loss of an example is the mean over its targets
    weights = (counted / counted.sum(1, keepdim=True)).flatten()
    for index, at in enumerate(lam.tolist()):
        evaluator.write(line.state(at))
        rows, step, done = [], 1, 0
        for batch in itertools.chain.from_iterable(evaluator.blocks()):
            logits = evaluator.run(batch).flatten(0, -2)
            step = -(-counted.numel() * logits.shape[-1] // HELD)
            rows.append(logits[-done % step :: step].cpu())
            done += len(logits)
            progress((index + done / counted.numel()) / len(lam))
        kept = weights[::step] > 0
        found.append(
            fit_temperature(
                torch.cat(rows)[kept],
                examples.targets.flatten()[::step][kept],
                weights[::step][kept],
            )
        )
    return torch.tensor(found, dtype=torch.float64)


def tempered(
    line: ModelPath,
    lam: Tensor,
    train: Examples,
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
    mode: Mode = EXACT,
) -> tuple[Tensor, Curve]:
    """The curve at the best temperature of each point.

    Args:
        line: the path.
        lam: the points of a curve that was measured already, from 0 to 1.
        train: examples that temperatures are fitted on.
        examples: examples that the loss is measured on.
        device: where to run.
        progress: called with the share done; may raise to stop.
        mode: how to run.

    Returns:
        The temperatures `[points]`, and the curve with them.
    """
    share = len(train) / (len(train) + len(examples))
    found = temperatures(line, lam, train, device, lambda done: progress(share * done), mode)

    def tell(done: float) -> None:
        progress(share + (1 - share) * done)

    return found, measure(line, lam, examples, device, tell, found, mode)


def temperature_stderr(
    logits: Tensor,
    targets: Tensor,
    weights: Tensor,
    owners: Tensor,
    temperature: float,
    groups: Tensor | None = None,
) -> float:
    """Standard error of a fitted temperature over examples, or groups of them.

    1 / T solves mean slope = 0, so that its variance is that of the mean slope over the square of
    the mean curvature (an M-estimator; Huber 1967), and T has that error times T^2.

    Args:
        logits: `[n, classes]`.
        targets: class numbers `[n]`.
        weights: of each target `[n]`, such that those of an example sum to one.
        owners: number of the example of each target `[n]`, from 0.
        temperature: that was fitted.
        groups: which examples belong together, `[examples]`; None for none.

    Returns:
        The error; infinite where nothing bends the loss.
    """
    z = logits.double()
    z = z - z.gather(1, targets[:, None])
    p = (z / temperature).softmax(1)
    mean = (p * z).sum(1)
    share = weights.double()
    count = int(owners.max()) + 1
    slopes = torch.zeros(count, dtype=torch.float64).index_add(0, owners, share * mean)
    curvature = float(share @ ((p * z.square()).sum(1) - mean.square())) / count
    if curvature <= 0:
        return float("inf")
    return float(stderr(slopes, groups)) / curvature * temperature**2
