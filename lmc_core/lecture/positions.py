"""Two small networks on the way to their projection, and what they say of digits in all their
positions.
"""

from __future__ import annotations

import numpy as np
import torch

from lmc_core.equivariance.data import domain_of, sample
from lmc_core.equivariance.forms import Equality, Fixed, Form
from lmc_core.equivariance.groups import rotations
from lmc_core.equivariance.measures import score, strip
from lmc_core.equivariance.networks import build
from lmc_core.equivariance.relaxed import Relaxed
from lmc_core.equivariance.training import Schedule, train
from lmc_core.lecture.measured import Positions

TRAINED, STEPS = 150, 200  # digits, each in four positions; steps
FORMS: dict[str, Form] = {"free": Fixed(1.0), "led": Equality(0.05, 0.05, 2.0)}


def positions(form: str, points: int = 11, shown: tuple[int, ...] = (4, 7, 2)) -> Positions:
    """Train a network on digits in all positions, and average it with its turned copies step by
    step.

    Args:
        form: a key of `FORMS`: trained freely, or led towards equivariance.
        points: of the way, both ends included.
        shown: one digit of each of these classes is shown.
    """
    domain = domain_of("digits", rotations())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network is several times slower on two
    try:
        network = Relaxed(*build("perceptron", domain, 0), as_built=form == "free")
        taught = sample("digits", "orbit", domain, "train", 0, TRAINED)
        state = train(network, FORMS[form], taught, Schedule(STEPS), lambda *seen: None)
        held = sample("digits", "orbit", domain, "test", 0, 200)
        still = sample("digits", "upright", domain, "test", 0)
        first = [int((still.labels == each).nonzero()[0, 0]) for each in shown]
        shares = torch.linspace(0, 1, points, dtype=torch.float64).tolist()
        scores, answers = [], []
        moved = torch.empty(0)
        for share in shares:
            gamma = (1 - share) * state.gamma
            scores.append(score(network, gamma, held))
            moved, chances = strip(network, gamma, still.inputs[first])
            answers.append(chances.argmax(-1).numpy())
    finally:
        torch.set_num_threads(threads)
    return Positions(
        shares,
        [each.loss for each in scores],
        [each.accuracy for each in scores],
        moved.unflatten(-1, (domain.places, domain.places)).numpy(),
        np.stack(answers),
        still.labels[first].numpy(),
        float(state.gamma.abs().max()),
    )
