"""What the steps of the lecture measure: numbers and pictures, no weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHOWN = 12  # units that are drawn
ANGLES = [float(angle) for angle in range(0, 91, 10)]


@dataclass(frozen=True)
class Averages:
    """Models on a line.

    Attributes:
        lam: weight of the second model at each point.
        loss: mean loss at each point, in nats.
        accuracy: share predicted correctly at each point.
        answers: the class each point's model gives to each of the examples that are shown,
            `[points, shown]`.
        targets: what they are, `[shown]`.
        images: of those examples, `[shown, height, width]`.
    """

    lam: list[float]
    loss: list[float]
    accuracy: list[float]
    answers: np.ndarray
    targets: np.ndarray
    images: np.ndarray


@dataclass(frozen=True)
class Units:
    """Two units of one feed-forward block, exchanged or half exchanged.

    Attributes:
        incoming: rows of W_in, what each unit listens to, `[units, width]`.
        outgoing: columns of W_out, what each unit says, as rows `[units, width]`.
        before: outputs of the example that half an exchange changes most, `[classes]`.
        after: the same after the exchange.
        difference: largest relative difference of the outputs over all examples.
    """

    incoming: np.ndarray
    outgoing: np.ndarray
    before: np.ndarray
    after: np.ndarray
    difference: float


@dataclass(frozen=True)
class Heads:
    """The heads of one attention block in some order.

    Attributes:
        attention: what the head at each place looks at, `[heads, tokens, tokens]`, first example.
        before: the same in the model's own order.
        writing: columns of the output matrix that belong to each place, `[heads, width]`, one of
            each.
        outputs: of the example that an exchange without the output matrix changes most,
            `[classes]`, in the model's own order.
        after: the same now.
        difference: largest relative difference of the outputs over all examples.
    """

    attention: np.ndarray
    before: np.ndarray
    writing: np.ndarray
    outputs: np.ndarray
    after: np.ndarray
    difference: float


@dataclass(frozen=True)
class Routed:
    """A mixture with two of its experts exchanged.

    Attributes:
        choice: the place that the router sends each token to first, `[tokens]`, first example.
        expert: the expert that stands at each place, `[experts]`.
        router: rows of the router, `[experts, width]`.
        loss: mean loss over the examples, in nats.
        difference: largest relative difference of the outputs over all examples.
    """

    choice: np.ndarray
    expert: np.ndarray
    router: np.ndarray
    loss: float
    difference: float


@dataclass(frozen=True)
class Stretched:
    """Queries and keys of one head in the two strongest coordinates of its plane.

    Attributes:
        queries: `[tokens, 2]`, first example.
        keys: `[tokens, 2]`.
        scores: of all pairs of tokens, `[tokens, tokens]`.
        map: what the queries went through, `[2, 2]`.
        key_map: what the keys went through, `[2, 2]`.
        difference: largest relative difference of the outputs over all examples.
        score_difference: largest difference of the scores as a share of the largest score.
    """

    queries: np.ndarray
    keys: np.ndarray
    scores: np.ndarray
    map: np.ndarray
    key_map: np.ndarray
    difference: float
    score_difference: float


@dataclass(frozen=True)
class Positions:
    """One network between itself and its projection.

    Attributes:
        shares: how much of the average over its turned copies is in it, from 0 (as trained) to 1
            (their average).
        loss: at each, in nats.
        accuracy: at each, share of right answers.
        images: digits in all their positions, `[digits, positions, side, side]`.
        answers: what each network says of them, `[shares, digits, positions]`.
        labels: what they are, `[digits]`.
        trained: the largest |gamma| that training left: 1 for a free network.
    """

    shares: list[float]
    loss: list[float]
    accuracy: list[float]
    images: np.ndarray
    answers: np.ndarray
    labels: np.ndarray
    trained: float


@dataclass(frozen=True)
class Wander:
    """Moves of one model.

    Attributes:
        distances: length of each move as a share of the length of the parameters, for permutations.
        permuted: largest relative difference of the outputs after each.
        random: the same after a move of the same length in a random direction.
    """

    distances: list[float]
    permuted: list[float]
    random: list[float]


@dataclass(frozen=True)
class Turned:
    """A model whose residual stream was turned.

    Attributes:
        filters: patch filters, what each coordinate of the stream sees of a patch,
            `[width, edge, edge]`.
        before: weights that touch the stream, a sample `[weights]`.
        after: the same after the turn.
        reading: whether each of them reads from the stream; the others write to it.
        cosine: of all weights that touch the stream with those before.
        outputs: of the first example, `[classes]`.
        difference: largest relative difference of the outputs over all examples.
    """

    filters: np.ndarray
    before: np.ndarray
    after: np.ndarray
    reading: np.ndarray
    cosine: float
    outputs: np.ndarray
    difference: float


@dataclass(frozen=True)
class Tilted:
    """Two rotations of the stream by the same angles: one within the complement of the ones
    direction, one out of it.

    Attributes:
        degrees: the angles.
        keeping: largest relative difference of the outputs at each angle where the ones direction
            stays.
        tilting: the same where it is tilted.
        accuracy: share of the examples that the tilted model gets right, at each angle.
        points: states of the stream seen from the side: along the direction that is turned, along
            another one that is orthogonal to it, and along the ones direction `[tokens, 3]`, in
            units of their spread.
    """

    degrees: list[float]
    keeping: list[float]
    tilting: list[float]
    accuracy: list[float]
    points: np.ndarray
